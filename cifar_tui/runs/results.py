"""`Results`: the latest evaluation of a run, image by image, and what it says."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from cifar_tui.engine.evaluation.statistics import (
    ClassStatistics,
    ConfusedPair,
    class_statistics,
    confusion_matrix,
    most_confused,
)
from cifar_tui.engine.events import Evaluated

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


_MOST_PAIRS = 500
"""More than a screen has room for."""


class Images(Protocol):
    """Images by their number, each uint8 of the shape (H, W, 3), RGB."""

    def __len__(self) -> int:
        """Return the number of images."""

    def __getitem__(self, number: int, /) -> "NDArray[np.uint8]":
        """Return an image; OSError if it cannot be read any more."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ImagePredictions:
    """What an evaluation predicted for N test images, in test set order.

    Attributes:
        step: the step after which the weights were evaluated; None if unknown.
        targets: int (N,), true classes.
        losses: float32 (N,), cross-entropy in nats.
        top_classes: int (N, K), the classes of highest probability, the predicted one first.
        top_confidences: float32 (N, K), their softmax probabilities.
    """

    step: int | None
    targets: "NDArray[np.integer]"
    losses: "NDArray[np.float32]"
    top_classes: "NDArray[np.integer]"
    top_confidences: "NDArray[np.float32]"

    @property
    def predicted(self) -> "NDArray[np.integer]":
        """Int (N,), predicted classes."""
        return self.top_classes[:, 0]

    @property
    def confidences(self) -> "NDArray[np.float32]":
        """float32 (N,), softmax probabilities of the predicted classes."""
        return self.top_confidences[:, 0]


def history_of(predictions: ImagePredictions, evaluations: Sequence[Evaluated]) -> tuple[Evaluated, ...]:
    """Return `evaluations`, oldest first, until the one that made `predictions`; () if none of them did."""
    import numpy as np

    correct = int(np.count_nonzero(predictions.predicted == predictions.targets))
    made = (predictions.step or 0, correct, len(predictions.targets))
    for position in reversed(range(len(evaluations))):
        evaluation = evaluations[position]
        if (evaluation.step, evaluation.correct, evaluation.total) == made:
            return tuple(evaluations[: position + 1])
    return ()


class SortKey(StrEnum):
    """What images can be sorted by."""

    INDEX = "index"
    CONFIDENCE = "confidence"
    LOSS = "loss"


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageFilter:
    """Which images to show, and in which order.

    Attributes:
        truth: only images of this class; None for all.
        predicted: only images taken for this class; None for all.
        wrong_only: only images that were not recognised.
        text: only images whose file contains it, in any case; "" for all.
        sort: what to sort by.
        descending: the largest first.
    """

    truth: int | None = None
    predicted: int | None = None
    wrong_only: bool = False
    text: str = ""
    sort: SortKey = SortKey.INDEX
    descending: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class Results:
    """The latest evaluation of a run whose predictions are known.

    Attributes:
        class_names: name of class 0, 1, …
        predictions: what was predicted.
        images: the first M test images; fewer than all N where the disk had no room for more.
        files: of each test image its path below `root`; () where the images are in no files.
        root: the folder of the files; None without any.
        image_size: height and width of the images that were evaluated; None if it is not known.
        history: the evaluations by step until the one that made the predictions; many are thinned out.
    """

    class_names: tuple[str, ...]
    predictions: ImagePredictions
    images: Images
    files: Sequence[str] = ()
    root: Path | None = None
    image_size: int | None = None
    history: tuple[Evaluated, ...] = ()

    @property
    def evaluated(self) -> Evaluated:
        """The evaluation that made the predictions."""
        return self.history[-1]

    @functools.cached_property
    def confusion(self) -> "NDArray[np.int64]":
        """Images of each class (row) that were taken for each class (column): int64 (C, C)."""
        return confusion_matrix(self.predictions.targets, self.predictions.predicted, len(self.class_names))

    @functools.cached_property
    def most_confused(self) -> tuple[ConfusedPair, ...]:
        """The pairs of classes that are confused most, the largest first."""
        return most_confused(self.confusion, _MOST_PAIRS)

    @functools.cached_property
    def classes(self) -> tuple[ClassStatistics, ...]:
        """The statistics of each class."""
        return class_statistics(self.confusion)

    def path_of(self, position: int) -> str:
        """Return the file of the image at `position` in the test set; "" if it is in none."""
        file = self.files[position] if self.files else ""
        return str(self.root / file) if self.root is not None and file else file

    def described(self, position: int) -> str:
        """Return the file of the image at `position`; of one in no file, what is known of it."""
        made, names = self.predictions, self.class_names
        return self.path_of(position) or (
            f"image {position:,} · GroundTruth {names[made.targets[position]]}"
            f" · Predicted {names[made.predicted[position]]} · {100 * made.confidences[position]:.1f} %"
        )

    def selected(self, chosen: ImageFilter) -> "NDArray[np.int64]":
        """Return the positions in the test set of the images that pass `chosen`, in its order."""
        import numpy as np

        made = self.predictions
        passes = np.ones(len(made.targets), bool)
        if chosen.truth is not None:
            passes &= made.targets == chosen.truth
        if chosen.predicted is not None:
            passes &= made.predicted == chosen.predicted
        if chosen.wrong_only:
            passes &= made.predicted != made.targets
        if chosen.text and self.files:
            text = chosen.text.casefold()
            passes &= np.array([text in file.casefold() for file in self.files])
        found = np.flatnonzero(passes)
        values: NDArray[np.floating | np.integer] = found
        if chosen.sort is not SortKey.INDEX:
            values = (made.losses if chosen.sort is SortKey.LOSS else made.confidences)[found]
        order = np.argsort(-values if chosen.descending else values, kind="stable")
        return found[order]
