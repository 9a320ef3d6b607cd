"""One line that says what a run is doing, by a sign and a word as well as by colour."""

from textual.content import Content

from cifar_tui.engine.events import Phase
from cifar_tui.runs.state import PendingRequest, RunSnapshot

SIGNS: dict[Phase, tuple[str, str]] = {
    Phase.IDLE: ("○", "$foreground 60%"),
    Phase.LOADING: ("↓", "$text-accent"),
    Phase.TRAINING: ("▶", "$text-success"),
    Phase.PAUSED: ("‖", "$text-warning"),
    Phase.EVALUATING: ("◎", "$text-accent"),
    Phase.SAVING: ("▼", "$text-accent"),
    Phase.DONE: ("✓", "$text-success"),
    Phase.FAILED: ("✗", "$text-error"),
    Phase.CRASHED: ("!", "$text-error"),
}
"""Sign and colour of every phase."""

ASKED_SIGNS: dict[PendingRequest, tuple[str, str]] = {
    PendingRequest.PAUSE: (SIGNS[Phase.PAUSED][0], "$text-warning"),
    PendingRequest.STOP: ("■", "$text-warning"),
}
"""The same of what was asked of a run that has to end something first."""


def state_line(snapshot: RunSnapshot) -> Content:
    """`▶ training · CIFAR-10 · cpu, eager steps`; what went wrong stands here, too."""
    parts: list[Content | tuple[str, str]] = []
    if snapshot.pending is not None:
        sign, colour = ASKED_SIGNS[snapshot.pending]
        parts += [(f"{sign} {snapshot.pending}", f"bold {colour}"), (" · ", "")]
    sign, colour = SIGNS[snapshot.phase]
    parts.append((f"{sign} {snapshot.phase}", f"bold {colour}"))
    message = snapshot.message
    if snapshot.phase is Phase.FAILED and snapshot.ended and snapshot.ended.error:
        message = snapshot.ended.error
    if message:
        parts.append((f" · {message}", "$text-error" if snapshot.phase is Phase.FAILED else ""))
    if snapshot.data:
        parts.append((f" · {snapshot.data.title}", "bold $text-warning" if snapshot.data.synthetic else ""))
    if snapshot.started:
        where = ", ".join(filter(None, (snapshot.started.device, snapshot.started.backend)))
        parts.append((f" · {where}", "$foreground 60%"))
    return Content.assemble(*parts)
