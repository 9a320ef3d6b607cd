"""The lines of the log pane: what the tutorial prints, messages, alerts and errors."""

from dataclasses import dataclass, field

from cifar_tui.engine.events import (
    Alert,
    CheckpointSaved,
    DataLoaded,
    EpochFinished,
    Evaluated,
    Event,
    LossWindow,
    Message,
    Resumed,
    RunEnded,
    Validated,
)
from cifar_tui.runs.format import loss_figure


@dataclass(frozen=True, kw_only=True, slots=True)
class LogLine:
    """A log line: `kind` is "printed" (the tutorial prints it too), "message", "alert" or "error".

    Attributes:
        step: its step; a resume from an earlier one removes the line. None: it stays.
        number: its index, counting removed lines too.
        earlier: whether an earlier process of the run logged it.
    """

    time: float
    text: str
    kind: str
    step: float | None = None
    number: int = 0
    earlier: bool = field(default=False, compare=False)


def log_line(event: Event) -> LogLine | None:
    """Format `event` as a log line; None for an event without one."""
    step: int | None = None
    match event:
        case DataLoaded():
            counts = f"{event.train_images:,} training images, {event.test_images:,} test images"
            text, kind = f"loaded {event.title}: {counts}, {len(event.class_names)} classes", "message"
        case EpochFinished(step=step):
            figures = (
                f"mean loss {loss_figure(event.loss)}, mean training accuracy {100 * event.accuracy:.1f} %"
            )
            text, kind = (
                f"epoch {event.epoch}: {figures}, {event.train_seconds:.1f} s of training so far",
                "message",
            )
        case Evaluated(step=step, final=False):
            text = f"test accuracy at step {event.step:,}: {100 * event.accuracy:.2f} %"
            kind = "message"
        case Validated(step=step):
            share = f"{100 * event.accuracy:.2f} %, loss {loss_figure(event.loss)}"
            text = f"epoch {event.epoch}: validation accuracy {share}{' (best so far)' if event.best else ''}"
            kind = "message"
        case LossWindow(step=step):
            text, kind = event.tutorial_line(), "printed"
        case CheckpointSaved(step=step):
            text, kind = f"saved {event.path} ({event.reason})", "message"
        case Resumed():
            text, kind = f"resumed from step {event.step:,}", "message"
        case Message():
            text, kind = event.text, "printed" if event.printed else "message"
        case Alert():
            text, kind = event.text, "alert"
        case RunEnded(error=error) if error:
            text, kind = error, "error"
        case _:
            return None
    return LogLine(time=event.time, text=text, kind=kind, step=step)
