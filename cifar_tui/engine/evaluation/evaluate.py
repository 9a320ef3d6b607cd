"""Evaluate a model on a split: accuracy, accuracy per class, confusion matrix and every prediction."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from cifar_tui.engine.data.dataset import ImageSplit, images_at_a_time
from cifar_tui.engine.device.cores import available_threads
from cifar_tui.engine.device.memory import FREE_MEMORY, memory_advice
from cifar_tui.engine.device.random_state import randomness_kept
from cifar_tui.engine.device.select import intra_op_threads
from cifar_tui.engine.distributed.ranks import ALONE, Ranks
from cifar_tui.engine.errors import CancelledError
from cifar_tui.engine.events import ClassAccuracy, Evaluated, EvaluationProgress, SamplesPredicted
from cifar_tui.engine.models.classifier import logits_in

BATCH_SIZE = 500
"""Images that an evaluation takes at a time, of 32x32 pixels; fewer of larger ones."""

_SUMS = torch.float64

TOP_CLASSES = 5
"""Classes of each image whose probabilities are kept."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class EvalReport:
    """The predictions for every image of a split, in its order.

    Attributes:
        targets: int64 (N,), true classes.
        losses: float32 (N,), cross-entropy in nats.
        top_classes: int64 (N, K), the up to `TOP_CLASSES` classes of highest probability, the highest first.
        top_confidences: float32 (N, K), their softmax probabilities.
        confusion: int64 (C, C); rows are true, columns predicted classes.
        loss: mean cross-entropy in nats.
    """

    class_names: tuple[str, ...]
    targets: Tensor
    losses: Tensor
    top_classes: Tensor
    top_confidences: Tensor
    confusion: Tensor
    loss: float

    @property
    def predicted(self) -> Tensor:
        """Predicted classes, int64 (N,)."""
        return self.top_classes[:, 0]

    @property
    def confidences(self) -> Tensor:
        """Softmax probabilities of the predicted classes, float32 (N,)."""
        return self.top_confidences[:, 0]

    @property
    def total(self) -> int:
        """Number of images."""
        return len(self.targets)

    @property
    def correct(self) -> int:
        """Number of correctly classified images."""
        return int(self.confusion.diagonal().sum())

    @property
    def per_class(self) -> tuple[ClassAccuracy, ...]:
        """Correct predictions and images of each class."""
        totals = self.confusion.sum(dim=1).tolist()
        correct = self.confusion.diagonal().tolist()
        return tuple(
            ClassAccuracy(name=name, correct=right, total=total)
            for name, right, total in zip(self.class_names, correct, totals, strict=True)
        )

    def to_event(self, *, step: int, final: bool) -> Evaluated:
        """Return the report without the individual predictions, as an event."""
        return Evaluated(
            step=step,
            final=final,
            correct=self.correct,
            total=self.total,
            loss=self.loss,
            per_class=self.per_class,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the `test` object of `--json`: `accuracy` (0-1), `correct`, `total`, `per_class` by name."""
        return {
            "accuracy": self.correct / self.total,
            "correct": self.correct,
            "total": self.total,
            "per_class": {
                entry.name: {"correct": entry.correct, "total": entry.total, "accuracy": entry.accuracy}
                for entry in self.per_class
            },
        }


@contextmanager
def _evaluation_mode(net: nn.Module, device: torch.device) -> Iterator[None]:
    """Run a block with `net` in evaluation mode; a training draws the same random numbers after it."""
    was_training = net.training
    modes = [(module, module.training) for module in net.modules()]
    net.eval()
    try:
        with randomness_kept(device):
            yield
    finally:
        net.train(was_training)
        for module, mode in modes:  # some parts may be frozen
            module.training = mode


@torch.no_grad()
def evaluate(
    net: nn.Module,
    split: ImageSplit,
    class_names: tuple[str, ...],
    *,
    progress: Callable[[EvaluationProgress], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
    ranks: Ranks = ALONE,
) -> EvalReport:
    """Evaluate `net` on all of `split`, on the device of the split.

    Several processes take turns with its batches; each returns the report on all of them.

    Args:
        net: returns logits (N, C); its mode (training or evaluation) is restored.
        split: at least one image.
        class_names: C names.
        progress: called after each batch.
        cancelled: checked before each batch.
        ranks: the processes that call this; of their nets, the buffers of the first one's are used in all.

    Raises:
        CancelledError: the user requested a stop.
    """
    logits: list[Tensor] = []
    losses: list[Tensor] = []
    correct = 0
    ranks.share_buffers(net)
    size = images_at_a_time(BATCH_SIZE, split.image_size)
    with (
        memory_advice(f"an evaluation takes {size} images at a time: {FREE_MEMORY}"),
        _evaluation_mode(net, split.targets.device),
        intra_op_threads(max(1, available_threads() // ranks.local_size)),
    ):
        batches = -(-len(split) // size)
        for turn in range(0, batches, ranks.size):
            if cancelled is not None and ranks.highest([int(cancelled())])[0]:
                raise CancelledError
            batch = turn + ranks.rank
            right = 0
            if batch < batches:
                part = slice(batch * size, (batch + 1) * size)
                batch_logits = net(split.inputs(part))
                loss = functional.cross_entropy(batch_logits, split.targets[part], reduction="sum")
                losses.append(loss.to("cpu", _SUMS).view(1))
                logits.append(batch_logits.float().cpu())
                if progress is not None:
                    right = int((logits[-1].argmax(dim=1) == split.targets[part].cpu()).sum())
            if progress is not None:
                correct += int(ranks.add(torch.tensor(right)))
                done = min(turn + ranks.size, batches)
                progress(
                    EvaluationProgress(
                        done=min(done * size, len(split)),
                        total=len(split),
                        correct=correct,
                        batch=done,
                        batches=batches,
                    )
                )
    classes = len(class_names)
    logits = _in_order(logits, torch.empty(0, classes), batches, ranks)
    loss_sum = sum(loss.item() for loss in _in_order(losses, torch.empty(0, dtype=_SUMS), batches, ranks))
    all_logits, targets = torch.cat(logits), split.targets.cpu()
    # stable: of equal probabilities the first class is predicted, as by argmax
    confidences, ranked = all_logits.softmax(dim=1).sort(dim=1, descending=True, stable=True)
    confusion = torch.bincount(targets * classes + ranked[:, 0], minlength=classes * classes)
    return EvalReport(
        class_names=class_names,
        targets=targets,
        losses=functional.cross_entropy(all_logits, targets, reduction="none"),
        top_classes=ranked[:, :TOP_CLASSES].contiguous(),
        top_confidences=confidences[:, :TOP_CLASSES].contiguous(),
        confusion=confusion.view(classes, classes),
        loss=loss_sum / len(split),
    )


def _in_order(own: list[Tensor], empty: Tensor, batches: int, ranks: Ranks) -> list[Tensor]:
    """The values of all batches, in their order, of those that each process has: every so many-th batch."""
    if ranks.size == 1:
        return own
    lengths = torch.zeros(batches, dtype=torch.int64)
    lengths[ranks.rank :: ranks.size] = torch.tensor([len(values) for values in own], dtype=torch.int64)
    lengths = ranks.add(lengths)
    parts = [
        torch.split(part, lengths[rank :: ranks.size].tolist())
        for rank, part in enumerate(ranks.collect(torch.cat([empty, *own])))
    ]
    return [parts[batch % ranks.size][batch // ranks.size] for batch in range(batches)]


@torch.no_grad()
def predict(net: nn.Module, split: ImageSplit) -> tuple[Tensor, Tensor]:
    """Predict the classes, int64 (N,), and their softmax probabilities, float32 (N,), of a few images."""
    with _evaluation_mode(net, split.targets.device):
        logits = logits_in(net(split.inputs(slice(None))))
    confidences, predicted = logits.softmax(dim=1).max(dim=1)
    return predicted.cpu(), confidences.cpu()


def predict_samples(net: nn.Module, samples: ImageSplit, *, step: int) -> SamplesPredicted:
    """Predict the classes of `samples` after `step` steps, as an event."""
    predicted, confidences = predict(net, samples)
    return SamplesPredicted(
        step=step,
        predicted=tuple(predicted.tolist()),
        confidences=tuple(round(confidence, 4) for confidence in confidences.tolist()),
    )
