"""The line that says what a run is doing, by a sign and a word as well as by colour."""

from textual.content import Content

from cifar_tui.engine.events import Phase
from cifar_tui.engine.text import cut_path, escaped
from cifar_tui.runs.state import STOPPED, PendingRequest, RunSnapshot, stopped_early

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

_LONGEST_TITLE = 40

STOPPED_SIGN = SIGNS[PendingRequest.STOP]
"""Sign and colour of a run that was stopped before its last step."""


def badge(snapshot: RunSnapshot) -> Content:
    """Build `▶ training`, or what is pending: `‖ pausing · ▶ training`."""
    phase, stopped = snapshot.phase, stopped_early(snapshot)
    sign, colour = STOPPED_SIGN if stopped else SIGNS[phase]
    text = f"{sign} {stopped or phase}"
    if snapshot.pending is not None:
        pending_sign, colour = SIGNS[snapshot.pending]
        text = f"{pending_sign} {snapshot.pending} · {text}"
    return Content.styled(text, f"bold {colour}")


def state_line(snapshot: RunSnapshot) -> Content:
    """Build the badge, CIFAR-10 · cpu, eager, and why a run failed."""
    failed = snapshot.phase in {Phase.FAILED, Phase.CRASHED}
    message = snapshot.ended.error if failed and snapshot.ended and snapshot.ended.error else snapshot.message
    if stopped_early(snapshot) and message.startswith(STOPPED):
        message = ""
    parts: list[tuple[str, str]] = []
    if message:
        parts.append((escaped(message), "$text-error" if failed else ""))
    if snapshot.data:
        title = cut_path(snapshot.data.title, _LONGEST_TITLE)
        parts.append((title, "bold $text-warning" if snapshot.data.synthetic else ""))
    if snapshot.started:
        names = (snapshot.started.device, snapshot.started.backend)
        parts.append((escaped(", ".join(filter(None, names))), ""))
    details = Content(" · ").join(Content.styled(*part) for part in parts)
    return Content.assemble(
        Content(" ").join([Content(), badge(snapshot), Content()]).stylize("reverse"), " ", details
    )
