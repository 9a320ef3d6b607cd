"""Evaluates a net on a whole split: `EvalReport` has accuracy, per class, confusion and every prediction."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from cifar_tui.engine.data.dataset import ImageSplit
from cifar_tui.engine.device.select import available_threads, intra_op_threads
from cifar_tui.engine.errors import CancelledError
from cifar_tui.engine.events import ClassAccuracy, Evaluated, SamplesPredicted
from cifar_tui.engine.training.batches import normalize

_BATCH_SIZE = 500


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class EvalReport:
    """What a net makes of every image of a split, in the split's order.

    Attributes:
        targets: int64 (N,), the true classes.
        predicted: int64 (N,), the classes with the largest logit.
        confidences: float32 (N,), the softmax probabilities of `predicted`.
        confusion: int64 (C, C); rows are true classes, columns predicted ones.
        loss: mean cross-entropy in nats.
        seconds: how long it took.
    """

    class_names: tuple[str, ...]
    targets: Tensor
    predicted: Tensor
    confidences: Tensor
    confusion: Tensor
    loss: float
    seconds: float

    @property
    def total(self) -> int:
        """Number of images."""
        return len(self.targets)

    @property
    def correct(self) -> int:
        """Number of images classified rightly."""
        return int(self.confusion.diagonal().sum())

    @property
    def per_class(self) -> tuple[ClassAccuracy, ...]:
        """Right answers and images of each class."""
        totals = self.confusion.sum(dim=1).tolist()
        correct = self.confusion.diagonal().tolist()
        return tuple(
            ClassAccuracy(name=name, correct=right, total=total)
            for name, right, total in zip(self.class_names, correct, totals, strict=True)
        )

    def to_event(self, *, step: int, final: bool) -> Evaluated:
        """The report without its single predictions, as an event."""
        return Evaluated(
            step=step,
            final=final,
            correct=self.correct,
            total=self.total,
            loss=self.loss,
            per_class=self.per_class,
        )

    def to_dict(self) -> dict[str, Any]:
        """The `test` object of `--json`: `accuracy` 0-1, `correct`, `total` and `per_class` by name."""
        return {
            "accuracy": self.correct / self.total,
            "correct": self.correct,
            "total": self.total,
            "per_class": {
                entry.name: {"correct": entry.correct, "total": entry.total, "accuracy": entry.accuracy}
                for entry in self.per_class
            },
        }


@torch.no_grad()
def evaluate(
    net: nn.Module,
    split: ImageSplit,
    class_names: tuple[str, ...],
    *,
    progress: Callable[[int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> EvalReport:
    """Run `net` over all of `split`, without gradients, on the split's device.

    Args:
        net: gives logits (N, C); it is left in the mode, training or evaluation, it was in.
        split: at least one image.
        class_names: C names.
        progress: told after each batch how many images are done.
        cancelled: asked before each batch.

    Raises:
        CancelledError: `cancelled` said so.
    """
    started = time.perf_counter()
    was_training = net.training
    net.eval()
    logits = []
    loss_sum = 0.0
    try:
        with intra_op_threads(available_threads()):
            for first in range(0, len(split), _BATCH_SIZE):
                if cancelled is not None and cancelled():
                    raise CancelledError
                part = slice(first, first + _BATCH_SIZE)
                batch_logits = net(normalize(split.images[part]))
                loss_sum += functional.cross_entropy(
                    batch_logits, split.targets[part], reduction="sum"
                ).item()
                logits.append(batch_logits.float().cpu())
                if progress is not None:
                    progress(min(first + _BATCH_SIZE, len(split)))
    finally:
        net.train(was_training)
    confidences, predicted = torch.cat(logits).softmax(dim=1).max(dim=1)
    targets = split.targets.cpu()
    classes = len(class_names)
    confusion = torch.bincount(targets * classes + predicted, minlength=classes * classes)
    return EvalReport(
        class_names=class_names,
        targets=targets,
        predicted=predicted,
        confidences=confidences,
        confusion=confusion.view(classes, classes),
        loss=loss_sum / len(split),
        seconds=time.perf_counter() - started,
    )


@torch.no_grad()
def predict(net: nn.Module, images: Tensor) -> tuple[Tensor, Tensor]:
    """The predicted classes, int64 (N,), and their softmax probabilities, float32 (N,), of uint8 `images`."""
    was_training = net.training
    net.eval()
    try:
        logits = net(normalize(images))
    finally:
        net.train(was_training)
    confidences, predicted = logits.float().softmax(dim=1).max(dim=1)
    return predicted.cpu(), confidences.cpu()


def predict_samples(net: nn.Module, images: Tensor, *, step: int) -> SamplesPredicted:
    """What `net` makes of uint8 `images` after a step, as an event."""
    predicted, confidences = predict(net, images)
    return SamplesPredicted(
        step=step,
        predicted=tuple(predicted.tolist()),
        confidences=tuple(round(confidence, 4) for confidence in confidences.tolist()),
    )
