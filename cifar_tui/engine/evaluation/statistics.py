"""What the predictions of an evaluation say: confusion, precision and recall of classes, calibration.

NumPy is imported lazily: screens use this module and start without it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

CALIBRATION_BINS = 15
"""Guo et al., https://arxiv.org/abs/1706.04599, use as many."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassStatistics:
    """How well one class is recognised.

    Attributes:
        support: images of the class.
        predicted: images that were taken for it.
        correct: images that are both.
    """

    support: int
    predicted: int
    correct: int

    @property
    def recall(self) -> float | None:
        """Share (0-1) of the images of the class that were recognised: its accuracy; None without any."""
        return self.correct / self.support if self.support else None

    @property
    def precision(self) -> float | None:
        """Share (0-1) of the images taken for the class that are of it; None without any."""
        return self.correct / self.predicted if self.predicted else None

    @property
    def f1(self) -> float | None:
        """Harmonic mean (0-1) of precision and recall; None if the class neither occurs nor is predicted."""
        both = self.support + self.predicted
        return 2 * self.correct / both if both else None


@dataclass(frozen=True, kw_only=True, slots=True)
class ConfusedPair:
    """Images of class `truth` taken for class `predicted`: `count`, a `share` (0-1) of those of `truth`."""

    truth: int
    predicted: int
    count: int
    share: float


@dataclass(frozen=True, kw_only=True, slots=True)
class CalibrationBin:
    """The predictions with a confidence from `low` to below `high`: their `count`, means from 0 to 1."""

    low: float
    high: float
    count: int
    confidence: float
    accuracy: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Calibration:
    """How far confidence and accuracy agree.

    Attributes:
        bins: the bins that have predictions, by confidence.
        error: expected calibration error (0-1): the mean of |accuracy - confidence| over all predictions.
    """

    bins: tuple[CalibrationBin, ...]
    error: float


def confusion_matrix(targets: "ArrayLike", predicted: "ArrayLike", classes: int) -> "NDArray[np.int64]":
    """Count the images of each class (row) that were taken for each class (column): shape (C, C).

    Args:
        targets: shape (N,), true classes, 0 to C - 1.
        predicted: shape (N,), predicted classes, 0 to C - 1.
        classes: C.
    """
    import numpy as np

    cells = np.asarray(targets, np.int64) * classes + np.asarray(predicted, np.int64)
    return np.bincount(cells, minlength=classes * classes).reshape(classes, classes)


def class_statistics(confusion: "NDArray[np.int64]") -> tuple[ClassStatistics, ...]:
    """Return the statistics of each class, from a matrix as `confusion_matrix` returns."""
    figures = zip(
        confusion.sum(axis=1).tolist(),
        confusion.sum(axis=0).tolist(),
        confusion.diagonal().tolist(),
        strict=True,
    )
    return tuple(
        ClassStatistics(support=support, predicted=predicted, correct=correct)
        for support, predicted, correct in figures
    )


def most_confused(confusion: "NDArray[np.int64]", count: int) -> tuple[ConfusedPair, ...]:
    """Return the `count` largest cells beside the diagonal, none of them empty; the largest first."""
    import numpy as np

    mistakes = confusion.copy()
    np.fill_diagonal(mistakes, 0)
    support = confusion.sum(axis=1)
    largest = np.argsort(-mistakes, axis=None, kind="stable")[:count]
    truths, predictions = np.unravel_index(largest, mistakes.shape)
    return tuple(
        ConfusedPair(
            truth=truth,
            predicted=predicted,
            count=int(mistakes[truth, predicted]),
            share=float(mistakes[truth, predicted] / support[truth]),
        )
        for truth, predicted in zip(truths.tolist(), predictions.tolist(), strict=True)
        if mistakes[truth, predicted]
    )


def calibration(
    confidences: "ArrayLike", correct: "ArrayLike", *, bins: int = CALIBRATION_BINS
) -> Calibration:
    """Compare confidence and accuracy in `bins` equally wide bins of confidence.

    The expected calibration error of Naeini et al., "Obtaining well calibrated probabilities using Bayesian
    binning", AAAI 2015.

    Args:
        confidences: shape (N,), from 0 to 1; the last bin includes 1.
        correct: shape (N,), whether the prediction is right.
        bins: number of bins.
    """
    import numpy as np

    confidences, correct = np.asarray(confidences, np.float64), np.asarray(correct, np.float64)
    edges = np.linspace(0.0, 1.0, bins + 1)
    places = np.clip(np.searchsorted(edges, confidences, side="right") - 1, 0, bins - 1)
    counts = np.bincount(places, minlength=bins)
    confidence_sums = np.bincount(places, confidences, bins)
    correct_sums = np.bincount(places, correct, bins)
    error = np.abs(correct_sums - confidence_sums).sum() / max(1, len(confidences))
    return Calibration(
        bins=tuple(
            CalibrationBin(
                low=float(edges[place]),
                high=float(edges[place + 1]),
                count=int(counts[place]),
                confidence=float(confidence_sums[place] / counts[place]),
                accuracy=float(correct_sums[place] / counts[place]),
            )
            for place in np.flatnonzero(counts)
        ),
        error=float(error),
    )


def accuracy_by_coverage(
    confidences: "ArrayLike", correct: "ArrayLike"
) -> "tuple[NDArray[np.float64], NDArray[np.float64]]":
    """Return the accuracy over the most confident images, for each share of images kept.

    Images of equal confidence are kept or left out together.

    Returns:
        shares of images (0-1], ascending, and the accuracies (0-1) over them; both empty without images.
    """
    import numpy as np

    confidences, correct = np.asarray(confidences, np.float64), np.asarray(correct, np.float64)
    order = np.argsort(-confidences, kind="stable")
    kept = np.arange(1, len(order) + 1)
    ends = np.append(np.diff(confidences[order]) != 0, True)[: len(order)]
    return kept[ends] / max(1, len(order)), (np.cumsum(correct[order]) / kept)[ends]


def changes(
    now: Sequence[ClassStatistics], before: Sequence[ClassStatistics] | None
) -> tuple[float | None, ...]:
    """Return by how much the recall of each class has changed, from -1 to 1; None where it is not known."""
    if before is None or len(before) != len(now):
        return (None,) * len(now)
    recalls = [(one.recall, other.recall) for one, other in zip(now, before, strict=True)]
    return tuple(None if a is None or b is None else a - b for a, b in recalls)
