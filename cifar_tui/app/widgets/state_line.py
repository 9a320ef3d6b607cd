"""The line that says what a run is doing, by a sign and a word as well as by colour."""

from textual.content import Content

from cifar_tui.engine.events import Phase
from cifar_tui.runs.state import PendingRequest, RunSnapshot

SIGNS: dict[Phase | PendingRequest, tuple[str, str]] = {
    Phase.IDLE: ("○", "$foreground 60%"),
    Phase.LOADING: ("↓", "$text-accent"),
    Phase.TRAINING: ("▶", "$text-success"),
    Phase.PAUSED: ("‖", "$text-warning"),
    Phase.EVALUATING: ("◎", "$text-accent"),
    Phase.SAVING: ("▼", "$text-accent"),
    Phase.DONE: ("✓", "$text-success"),
    Phase.FAILED: ("✗", "$text-error"),
    Phase.CRASHED: ("!", "$text-error"),
    PendingRequest.PAUSE: ("‖", "$text-warning"),
    PendingRequest.STOP: ("■", "$text-warning"),
}
"""Sign and colour of every phase and of every request that is pending."""


def state_line(snapshot: RunSnapshot) -> Content:
    """Build `▶ training · CIFAR-10 · cpu, eager`, with the error of a run that failed."""
    phase, failed = snapshot.phase, snapshot.phase is Phase.FAILED
    message = snapshot.ended.error if failed and snapshot.ended and snapshot.ended.error else snapshot.message
    parts: list[tuple[str, str]] = []
    if snapshot.pending is not None:
        sign, colour = SIGNS[snapshot.pending]
        parts.append((f"{sign} {snapshot.pending}", f"bold {colour}"))
    sign, colour = SIGNS[phase]
    parts.append((f"{sign} {phase}", f"bold {colour}"))
    if message:
        parts.append((message, "$text-error" if failed else ""))
    if snapshot.data:
        parts.append((snapshot.data.title, "bold $text-warning" if snapshot.data.synthetic else ""))
    if snapshot.started:
        where = ", ".join(filter(None, (snapshot.started.device, snapshot.started.backend)))
        parts.append((where, "$foreground 60%"))
    return Content(" · ").join(Content.styled(*part) for part in parts)
