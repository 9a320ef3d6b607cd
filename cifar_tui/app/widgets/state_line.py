"""The line that says what a run is doing, by a sign and a word as well as by colour."""

from textual.content import Content

from cifar_tui.engine.events import Phase
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

STOPPED_SIGN = SIGNS[PendingRequest.STOP]
"""Sign and colour of a run that was stopped before its last step."""


def state_line(snapshot: RunSnapshot) -> Content:
    """Build `▶ training  CIFAR-10 · cpu, eager`, with why a run failed."""
    phase, failed = snapshot.phase, snapshot.phase in {Phase.FAILED, Phase.CRASHED}
    message = snapshot.ended.error if failed and snapshot.ended and snapshot.ended.error else snapshot.message
    sign, colour = SIGNS[phase]
    stopped = stopped_early(snapshot)
    if stopped:
        sign, colour = STOPPED_SIGN
        message = "" if message.startswith(STOPPED) else message
    badge = f"{sign} {stopped or phase}"
    if snapshot.pending is not None:
        pending_sign, colour = SIGNS[snapshot.pending]
        badge = f"{pending_sign} {snapshot.pending} · {badge}"
    parts: list[tuple[str, str]] = []
    if message:
        parts.append((message, "$text-error" if failed else ""))
    if snapshot.data:
        parts.append((snapshot.data.title, "bold $text-warning" if snapshot.data.synthetic else ""))
    if snapshot.started:
        parts.append((", ".join(filter(None, (snapshot.started.device, snapshot.started.backend))), ""))
    details = Content(" · ").join(Content.styled(*part) for part in parts)
    return Content.assemble((f" {badge} ", f"bold reverse {colour}"), " ", details)
