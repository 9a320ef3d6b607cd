"""Events of a made-up run of 3 epochs of 100 steps, and its files."""

from dataclasses import replace

from cifar_tui.engine.events import (
    CheckpointSaved,
    ClassAccuracy,
    EpochFinished,
    Evaluated,
    LossPoint,
    TrainingFinished,
    TrainingStarted,
)
from cifar_tui.runs.disk.event_log import EventLog, read_events
from cifar_tui.runs.disk.summary import summarize, write_summary
from cifar_tui.runs.state import RunState

STARTED = TrainingStarted(run="run", device="cpu", steps_per_epoch=100, total_steps=300)


def point(step, loss=2.0, **changes):
    values = {"steps": 50, "epoch": 1, "batch": step, "accuracy": 0.4}
    values |= {"learning_rate": 0.1, "images": 200, "train_seconds": step / 100}
    return LossPoint(step=step, loss=loss, **values | changes)


def epoch_finished(epoch, **changes):
    values = {"step": 100 * epoch, "loss": 2.0, "accuracy": 0.3, "train_seconds": 1.0}
    return EpochFinished(epoch=epoch, **values | changes)


def evaluated(step, correct, **changes):
    classes = (ClassAccuracy(name="a", correct=correct, total=100),)
    values = {"final": False, "correct": correct, "total": 100, "loss": 1.0}
    return Evaluated(step=step, per_class=classes, **values | changes)


def saved(step, **changes):
    return CheckpointSaved(path="last.pt", step=step, reason="requested", **changes)


def finished(**changes):
    values = {"completed": True, "epoch": 3, "step": 300, "train_seconds": 3.0}
    return TrainingFinished(images=1200, final_loss=1.0, **values | changes)


def at(time, event):
    return replace(event, time=float(time))


def texts_of(events):
    """What tells the events of a test apart."""
    return [event.step if isinstance(event, LossPoint) else event.text for event in events]


def folded(*events):
    state = RunState()
    for event in events:
        state.apply(event)
    return state


def record(folder, *events):
    """Continue the run in `folder` by `events`: its event log and its summary."""
    log = EventLog(folder)
    for event in events:
        log.append(event)
    log.close()
    write_summary(folder, summarize(folded(*read_events(folder)).snapshot()))
