"""Events of a made-up run of 3 epochs of 100 steps."""

from dataclasses import replace

from cifar_tui.engine.events import (
    CheckpointSaved,
    ClassAccuracy,
    EpochFinished,
    Evaluated,
    LossPoint,
    TrainingStarted,
)

STARTED = TrainingStarted(
    run="run", config={}, device="cpu", parameters=1, steps_per_epoch=100, total_steps=300, torch_version="2"
)


def point(step, loss=2.0, **changes):
    values = {"steps": 50, "epoch": 1, "batch": step, "loss_min": loss, "loss_max": loss, "accuracy": 0.4}
    values |= {"learning_rate": 0.1, "images": 200, "train_seconds": step / 100}
    return LossPoint(step=step, loss=loss, **values | changes)


def epoch_finished(epoch, **changes):
    values = {"step": 100 * epoch, "loss": 2.0, "accuracy": 0.3, "train_seconds": 1.0}
    return EpochFinished(epoch=epoch, **values | changes)


def evaluated(step, correct, **changes):
    classes = (ClassAccuracy(name="a", correct=correct, total=100),)
    values = {"final": False, "correct": correct, "total": 100, "loss": 1.0, "seconds": 1.0}
    return Evaluated(step=step, per_class=classes, **values | changes)


def saved(step, **changes):
    return CheckpointSaved(path="last.pt", step=step, epoch=1, reason="asked for", **changes)


def at(time, event):
    return replace(event, time=float(time))


def texts_of(events):
    """What tells the events of a test apart."""
    return [event.step if isinstance(event, LossPoint) else event.text for event in events]
