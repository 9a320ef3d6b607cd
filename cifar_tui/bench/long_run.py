"""A very long run that was never trained: the events that its training sends, written through the real log.

Processes that measure import this module, so it imports little.
"""

import itertools
import math
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.events import (
    CheckpointSaved,
    ClassAccuracy,
    DataLoaded,
    EpochFinished,
    Evaluated,
    Event,
    LossPoint,
    LossWindow,
    Phase,
    PhaseChanged,
    SamplesPredicted,
    TrainingStarted,
)
from cifar_tui.engine.layout import EVENTS_FILE, WEIGHTS_FILE
from cifar_tui.runs.disk.event_log import EventLog, read_events
from cifar_tui.runs.disk.store import create_run_folder

STEPS_PER_SECOND = 700
STEPS_PER_EPOCH = 12_500
MORE_EPOCHS = 100
"""How much longer the run is configured to train than its log tells of."""

_STEPS_PER_POINT = 50
_STEPS_PER_WINDOW = 2000
_STEPS_PER_CLOCK_SAVE = 3 * 60 * STEPS_PER_SECOND
_IMAGES_PER_STEP = 4
_SAMPLE_IMAGES = 64
_TEST_IMAGES = 10_000
_SPIKES = 7
_SPIKED_BATCH = 6150
_SPIKE_LOSS = 40.0
_CLASSES = ("plane", "car", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_BEGAN = 1_767_225_600.0


@dataclass(frozen=True, kw_only=True, slots=True)
class LongLog:
    """A log that was made to be measured.

    Attributes:
        folder: the run's folder.
        steps: the steps it tells of.
        size: bytes.
        lines: lines.
        highest_sent: the highest loss (nats) of a single step among the events that were sent.
        highest_in_log: the highest that can be read back.
    """

    folder: Path
    steps: int
    size: int
    lines: int
    highest_sent: float
    highest_in_log: float


def make_log(checkpoints: Path, steps: int) -> LongLog:
    """Send what a training of about `steps` steps sends through an `EventLog`, in a new folder of a run.

    Raises:
        OSError: the log cannot be written.
        RunFailedError: the folder cannot be made.
    """
    epochs = max(1, round(steps / STEPS_PER_EPOCH))
    folder = create_run_folder(checkpoints, unfinished_config(epochs))
    sent = append_events(folder, itertools.chain(opening_events(epochs), _with_progress(epochs)))
    content = (folder / EVENTS_FILE).read_bytes()
    return LongLog(
        folder=folder,
        steps=epochs * STEPS_PER_EPOCH,
        size=len(content),
        lines=content.count(b"\n"),
        highest_sent=sent,
        highest_in_log=max(_highest_losses(read_events(folder))),
    )


def append_events(folder: Path, events: Iterable[Event]) -> float:
    """Send `events` through an `EventLog`; the highest loss (nats) of a point among them, or 0."""
    highest = 0.0
    log = EventLog(folder)
    try:
        for event in events:
            log.append(event)
            if isinstance(event, LossPoint):
                highest = max(highest, event.loss)
    finally:
        log.close()
    return highest


def unfinished_config(epochs: int) -> TrainConfig:
    """The tutorial, for longer than what is logged: the run is still live."""
    return TrainConfig(epochs=epochs + MORE_EPOCHS)


def opening_events(epochs: int) -> Iterator[Event]:
    """What a training says before its first step."""
    config = unfinished_config(epochs)
    time = _BEGAN
    yield PhaseChanged(time=time, phase=Phase.LOADING, message="PyTorch")
    yield PhaseChanged(time=time, phase=Phase.LOADING, message=f"data {config.data}")
    yield DataLoaded(
        time=time,
        title="CIFAR-10",
        synthetic=False,
        class_names=_CLASSES,
        train_images=STEPS_PER_EPOCH * config.batch_size,
        test_images=_TEST_IMAGES,
    )
    yield TrainingStarted(
        time=time,
        run="bench",
        device="cpu",
        steps_per_epoch=STEPS_PER_EPOCH,
        total_steps=config.epochs * STEPS_PER_EPOCH,
    )
    yield PhaseChanged(time=time, phase=Phase.TRAINING)
    yield _samples(time, 0, random.Random(0))  # noqa: S311 - the same numbers every time, no secret


def training_events(first: int, last: int) -> Iterator[Event]:
    """What the epochs `first` to `last` of a training say, as the tutorial's settings have it.

    The loss falls and is noisy; in a few epochs a single step has a loss far above all others.
    """
    spiked = {first + (last - first) * number // (_SPIKES + 1) for number in range(1, _SPIKES + 1)}
    generator = random.Random(first)  # noqa: S311 - the same numbers every time, no secret
    saved = (first - 1) * STEPS_PER_EPOCH
    for epoch in range(first, last + 1):
        losses: list[float] = []
        for batch in range(_STEPS_PER_POINT, STEPS_PER_EPOCH + 1, _STEPS_PER_POINT):
            step = (epoch - 1) * STEPS_PER_EPOCH + batch
            spike = _SPIKE_LOSS + generator.random() if epoch in spiked and batch == _SPIKED_BATCH else 0.0
            point = _point(epoch, batch, spike, generator)
            losses.append(point.loss)
            yield point
            if batch % _STEPS_PER_WINDOW == 0:
                window = losses[-_STEPS_PER_WINDOW // _STEPS_PER_POINT :]
                mean = sum(window) / len(window)
                yield LossWindow(time=point.time, epoch=epoch, batch=batch, step=step, loss=mean)
                yield _samples(point.time, step, generator)
            if step - saved >= _STEPS_PER_CLOCK_SAVE and batch < STEPS_PER_EPOCH:
                saved = step
                yield _checkpoint(point, "by the clock")
        yield from _end_of_epoch(point, sum(losses) / len(losses), generator)


def _with_progress(epochs: int) -> Iterator[Event]:
    from cifar_tui.bench.report import show_progress

    text = f"making the log of {epochs * STEPS_PER_EPOCH:,} steps"
    show_progress(text)
    for event in training_events(1, epochs):
        yield event
        if isinstance(event, EpochFinished) and event.epoch % 20 == 0:
            show_progress(f"{text}: {event.epoch / epochs:.0%}", passing=True)


def _highest_losses(events: Iterable[Event]) -> Iterator[float]:
    return (event.loss for event in events if isinstance(event, LossPoint))


def _point(epoch: int, batch: int, spike: float, generator: random.Random) -> LossPoint:
    step = (epoch - 1) * STEPS_PER_EPOCH + batch
    trend = 0.7 + 1.6 / math.sqrt(1 + step / 20_000)
    loss = trend * generator.uniform(0.8, 1.2)
    seconds = round(step / STEPS_PER_SECOND, 3)
    images = _STEPS_PER_POINT * _IMAGES_PER_STEP
    return LossPoint(
        time=round(_BEGAN + seconds, 3),
        step=step,
        steps=_STEPS_PER_POINT,
        epoch=epoch,
        batch=batch,
        loss=loss + spike / _STEPS_PER_POINT,
        accuracy=generator.randrange(images + 1) / images,
        learning_rate=0.001,
        images=images,
        train_seconds=seconds,
    )


def _end_of_epoch(point: LossPoint, loss: float, generator: random.Random) -> Iterator[Event]:
    images = STEPS_PER_EPOCH * _IMAGES_PER_STEP
    yield EpochFinished(
        time=point.time,
        epoch=point.epoch,
        step=point.step,
        loss=loss,
        accuracy=generator.randrange(images) / images,
        train_seconds=point.train_seconds,
    )
    yield _samples(point.time, point.step, generator)
    yield PhaseChanged(time=point.time, phase=Phase.EVALUATING)
    per_class = _TEST_IMAGES // len(_CLASSES)
    rows = tuple(
        ClassAccuracy(name=name, correct=generator.randrange(per_class), total=per_class) for name in _CLASSES
    )
    yield Evaluated(
        time=point.time,
        step=point.step,
        final=False,
        correct=sum(row.correct for row in rows),
        total=_TEST_IMAGES,
        loss=loss,
        per_class=rows,
    )
    yield PhaseChanged(time=point.time, phase=Phase.TRAINING)
    yield _checkpoint(point, f"end of epoch {point.epoch}")


def _checkpoint(point: LossPoint, reason: str) -> CheckpointSaved:
    path = f"checkpoints/20260101-000000/{WEIGHTS_FILE}"
    return CheckpointSaved(time=point.time, path=path, step=point.step, reason=reason)


def _samples(when: float, step: int, generator: random.Random) -> SamplesPredicted:
    return SamplesPredicted(
        time=when,
        step=step,
        predicted=tuple(generator.randrange(len(_CLASSES)) for _ in range(_SAMPLE_IMAGES)),
        confidences=tuple(round(generator.uniform(0.1, 1.0), 4) for _ in range(_SAMPLE_IMAGES)),
    )
