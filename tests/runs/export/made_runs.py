"""Made-up runs to export: folders with settings, an event log, a report and test images."""

from dataclasses import replace

import numpy as np
import torch

from cifar_tui.engine.checkpoint.files import serialized
from cifar_tui.engine.config.schema import build_config
from cifar_tui.engine.data.dataset import ImageSplit
from cifar_tui.engine.events import (
    ClassAccuracy,
    DataLoaded,
    EpochFinished,
    Evaluated,
    LossPoint,
    Phase,
    PhaseChanged,
    TrainingFinished,
    TrainingStarted,
    Validated,
)
from cifar_tui.engine.layout import LAST_FILE
from cifar_tui.runs.disk.samples import write_predictions, write_samples
from cifar_tui.runs.disk.store import write_config, write_name
from cifar_tui.runs.results import ImagePredictions
from tests.runs.made_events import record

START = 1_700_000_000.0
PROVENANCE = {"version": "0.1.0", "torch": "2.14.1", "device": "cpu", "processor": "x86_64 AVX2"}


def made_run(folder, *, name="", classes=("cat", "dog", "ship"), images=60, seed=0, points=None, **settings):
    """A finished run of 2 epochs of 50 steps in `folder`, evaluated after each; returns the folder.

    Its `points` are every fifth step by default; its predictions are right for about two images in three.
    """
    folder.mkdir(parents=True)
    write_config(folder, build_config({"data": "synthetic", "epochs": 2} | settings))
    if name:
        write_name(folder, name)
    generator = np.random.default_rng(seed)
    targets = np.arange(images) % len(classes)
    guessed = generator.integers(0, len(classes), images)
    predicted = np.where(generator.random(images) < 0.6, targets, guessed)
    confidences = generator.uniform(1 / len(classes), 1, images).astype(np.float32)
    last = evaluated(100, targets, predicted, classes, final=True)
    record(folder, *events(classes, images, points or made_points(generator), last))
    write_predictions(folder, made_predictions(100, targets, predicted, confidences))
    pixels = generator.integers(0, 256, (images, 3, 32, 32), dtype=np.uint8)
    write_samples(folder, ImageSplit(images=torch.from_numpy(pixels), targets=torch.from_numpy(targets)))
    (folder / LAST_FILE).write_bytes(serialized({"provenance": PROVENANCE}))
    return folder


def made_points(generator, count=20, steps=5):
    return [
        LossPoint(
            time=START + number,
            step=steps * number,
            steps=steps,
            epoch=1 + (steps * number - 1) // 50,
            batch=1 + (steps * number - 1) % 50,
            loss=float(2 / number**0.3 + generator.normal(0, 0.05)),
            accuracy=float(np.clip(1 - 0.9 / number**0.3, 0, 1)),
            learning_rate=0.1 / number,
            images=4 * steps,
            train_seconds=number / 10,
        )
        for number in range(1, count + 1)
    ]


def events(classes, images, points, last):
    """The events of a finished run whose last evaluation is `last`."""
    half = [replace(entry, correct=entry.total // 2) for entry in last.per_class]
    first = Evaluated(
        time=START + 10,
        step=50,
        final=False,
        correct=sum(entry.correct for entry in half),
        total=images,
        loss=1.5,
        per_class=tuple(half),
    )
    counts = {"train_images": 200, "test_images": images}
    yield DataLoaded(time=START, title="made", synthetic=True, class_names=tuple(classes), **counts)
    steps = {"steps_per_epoch": 50, "total_steps": 100}
    yield TrainingStarted(time=START, run="made", device="cpu", backend="eager", **steps)
    for epoch in (1, 2):
        yield from (point for point in points if 50 * epoch - 50 < point.step <= 50 * epoch)
        values = {"time": START + 10 * epoch, "epoch": epoch, "step": 50 * epoch}
        yield EpochFinished(**values, loss=2.0 / epoch, accuracy=0.3 * epoch, train_seconds=float(epoch))
        yield Validated(**values, correct=5 * epoch, total=20, loss=1.8 / epoch, best=True)
        if epoch == 1:
            yield first
    yield from (point for point in points if point.step > 100)
    yield TrainingFinished(
        time=START + 20, completed=True, epoch=2, step=100, train_seconds=2.0, images=400, final_loss=1.0
    )
    yield last
    yield PhaseChanged(time=START + 22, phase=Phase.DONE)


def evaluated(step, targets, predicted, classes, *, final=False):
    right = targets == predicted
    per_class = tuple(
        ClassAccuracy(name=name, correct=int(right[targets == k].sum()), total=int((targets == k).sum()))
        for k, name in enumerate(classes)
    )
    counted = {"correct": int(right.sum()), "total": len(targets), "per_class": per_class}
    return Evaluated(time=START + 21, step=step, final=final, loss=1.25, **counted)


def made_predictions(step, targets, predicted, confidences):
    """Predictions of an evaluation, each image with its predicted class alone."""
    return ImagePredictions(
        step=step or None,
        targets=targets,
        losses=np.ones(len(targets), np.float32),
        top_classes=np.asarray(predicted)[:, None],
        top_confidences=np.asarray(confidences, np.float32)[:, None],
    )
