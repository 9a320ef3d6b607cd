"""How far a run is from a baseline: at the same epoch, class by class, and image by image.

NumPy is imported lazily: screens use this module and start without it.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING

from cifar_tui.engine.data.class_names import match_classes
from cifar_tui.engine.events import Evaluated
from cifar_tui.runs.curves import Curves
from cifar_tui.runs.disk.samples import StoredImages
from cifar_tui.runs.results import Results

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Indices = NDArray[np.int64]

Points = Sequence[tuple[float, float]]

RECENT = 0.05
"""Share of the steps so far over which training loss and accuracy are averaged."""

_SAME_STEP = 1e-9

_step = itemgetter(0)


@dataclass(frozen=True, kw_only=True, slots=True)
class EpochDifference:
    """By how much a run differs from its baseline at the same epoch: positive if it is higher.

    Attributes:
        epoch: the latest epoch that both have trained, in fractions.
        loss: training loss (nats), of means over the last twentieth of the steps to there.
        train_accuracy: training accuracy (-1 to 1), likewise.
        test_accuracy: test accuracy (-1 to 1) of the run's last evaluation that the baseline reaches.
        test_epoch: the epoch of that evaluation.
        interpolated: whether the baseline was not evaluated there, only before and after.
    """

    epoch: float
    loss: float | None = None
    train_accuracy: float | None = None
    test_accuracy: float | None = None
    test_epoch: float | None = None
    interpolated: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassDifference:
    """The accuracy (0-1) of one class in a run and in its baseline; None where it has no images of it.

    Attributes:
        name: of the class.
        support: test images of the class in the run.
        baseline_support: test images of the class in the baseline.
    """

    name: str
    accuracy: float | None = None
    baseline: float | None = None
    support: int = 0
    baseline_support: int = 0

    @property
    def change(self) -> float | None:
        """By how much the run is better (-1 to 1); None unless both have images of the class."""
        if self.accuracy is None or self.baseline is None:
            return None
        return self.accuracy - self.baseline


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Disagreements:
    """Positions of test images by the run that recognises them: both, one of the two, or none."""

    both_right: "Indices"
    only_run: "Indices"
    only_baseline: "Indices"
    both_wrong: "Indices"


def epochs_done(curves: Curves) -> float:
    """Return how many epochs `curves` cover, in fractions; 0 if that is not known."""
    last = max((points[-1][0] for points in (curves.loss, curves.test_accuracy) if points), default=0.0)
    return last / curves.steps_per_epoch if curves.steps_per_epoch else 0.0


def difference_at_epoch(run: Curves, baseline: Curves, epoch: float = math.inf) -> EpochDifference | None:
    """Compare the two at the latest epoch, up to `epoch`, that both have trained; None without one."""
    shared = min(epochs_done(run), epochs_done(baseline), epoch)
    if shared <= 0:
        return None
    test_accuracy, test_epoch, interpolated = _test_difference(run, baseline, shared)
    return EpochDifference(
        epoch=shared,
        loss=_minus(*(recent_mean(each.loss, shared * each.steps_per_epoch) for each in (run, baseline))),
        train_accuracy=_minus(
            *(recent_mean(each.train_accuracy, shared * each.steps_per_epoch) for each in (run, baseline))
        ),
        test_accuracy=test_accuracy,
        test_epoch=test_epoch,
        interpolated=interpolated,
    )


def recent_mean(points: Points, step: float) -> float | None:
    """Return the mean over the last twentieth of the steps up to `step`, of one point at least."""
    end = bisect_right(points, step * (1 + _SAME_STEP), key=_step)
    if not end:
        return None
    first = min(end - 1, bisect_right(points, step * (1 - RECENT), key=_step))
    return math.fsum(value for _, value in points[first:end]) / (end - first)


def _test_difference(run: Curves, baseline: Curves, epoch: float) -> tuple[float | None, float | None, bool]:
    """Return the difference, its epoch, and whether the baseline's accuracy there is interpolated."""
    theirs = [(step / baseline.steps_per_epoch, value) for step, value in baseline.test_accuracy]
    for step, value in reversed(run.test_accuracy):
        place = step / run.steps_per_epoch
        if place > epoch * (1 + _SAME_STEP):
            continue
        after = bisect_right(theirs, place * (1 + _SAME_STEP), key=_step)
        if not after:  # the baseline was not evaluated so early
            break
        (left, low) = theirs[after - 1]
        if math.isclose(left, place, rel_tol=2 * _SAME_STEP):
            return value - low, place, False
        if after < len(theirs):
            right, high = theirs[after]
            return value - (low + (high - low) * (place - left) / (right - left)), place, True
    return None, None, False


def _minus(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one - other


def class_differences(run: Evaluated, baseline: Evaluated) -> list[ClassDifference]:
    """Compare the classes of two evaluations by name: the largest differences first, unknown ones last."""
    ours = [entry.name for entry in run.per_class]
    theirs = [entry.name for entry in baseline.per_class]
    positions = match_classes(theirs, ours)
    found = []
    for entry, position in zip(run.per_class, positions, strict=True):
        other = None if position is None else baseline.per_class[position]
        found.append(
            ClassDifference(
                name=entry.name if other is None else other.name,
                accuracy=entry.accuracy,
                baseline=None if other is None else other.accuracy,
                support=entry.total,
                baseline_support=0 if other is None else other.total,
            )
        )
    found += [
        ClassDifference(name=entry.name, baseline=entry.accuracy, baseline_support=entry.total)
        for index, entry in enumerate(baseline.per_class)
        if index not in positions
    ]
    return sorted(found, key=lambda entry: -1.0 if entry.change is None else abs(entry.change), reverse=True)


def compare_images(run: Results, baseline: Results) -> Disagreements:
    """Sort the images by which of the two runs recognises them; both must have evaluated the same ones."""
    import numpy as np

    ours, theirs = (each.predictions.predicted == each.predictions.targets for each in (run, baseline))
    return Disagreements(
        both_right=np.flatnonzero(ours & theirs),
        only_run=np.flatnonzero(ours & ~theirs),
        only_baseline=np.flatnonzero(~ours & theirs),
        both_wrong=np.flatnonzero(~ours & ~theirs),
    )


def why_not_compared(
    run: Results | None, baseline: Results | None, different: str, labels: tuple[str, str]
) -> str:
    """Say why the predictions of a run and its baseline cannot be compared image by image; "" if they can.

    Args:
        run: the latest evaluation of the run; None without stored predictions.
        baseline: that of the baseline.
        different: what `other_images` says of the two.
        labels: what the user calls the run and the baseline.
    """
    if run is None or baseline is None:
        label = labels[0] if run is None else labels[1]
        return f"{label} has no stored predictions; training writes them at each evaluation"
    if different:
        return f"the runs were evaluated on {different}"
    missing = [label for each, label in zip((run, baseline), labels, strict=True) if not len(each.images)]
    if missing:
        return f"the test images of {missing[0]} are not stored, so they may be different"
    return ""


def other_images(run: Results | None, baseline: Results | None) -> str:
    """Say how far two runs were evaluated on different test images; "" if no difference is known.

    The pixels of all images that both have stored are compared, of images in one file none; of runs on images
    of different sizes the paths of their files.
    """
    import numpy as np

    if run is None or baseline is None:
        return ""
    ours, theirs = run.predictions.targets, baseline.predictions.targets
    if len(ours) != len(theirs):
        return f"different numbers of test images ({len(ours):,} and {len(theirs):,})"
    found = match_classes(baseline.class_names, run.class_names)
    positions = np.array([-1 if position is None else position for position in found])
    if not np.array_equal(positions[ours], theirs):
        return "test images of different classes"
    sizes = run.image_size, baseline.image_size
    if None not in sizes and sizes[0] != sizes[1]:
        if run.files and (run.root, run.files) == (baseline.root, baseline.files):
            return ""
        one, other = (f"{size}×{size}" for size in sizes)
        return f"test images of {one} and {other} pixels, not known to be the same"
    if isinstance(run.images, StoredImages) and isinstance(baseline.images, StoredImages):
        try:
            return "" if run.images.starts_like(baseline.images) else "different test images"
        except OSError as error:
            return f"test images that cannot be read any more ({error.strerror})"
    return ""


def images_compared(run: Results, baseline: Results) -> str:
    """Say how many of the test images are known to be the same in both runs; "" if all are."""
    count, total = min(len(run.images), len(baseline.images)), len(run.predictions.targets)
    if count == total:
        return ""
    return f"only the first {count:,} of {total:,} test images are known to be the same"
