"""`Progress`: the figures of a run that change faster than its event log is written."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

from cifar_tui.engine.events import EvaluationProgress, LoadingProgress, LossPoint
from cifar_tui.runs.state import Curves, RunSnapshot, so_far


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """Fields of `RunSnapshot`, as the process that owns the run has them.

    The log has chart points once a second, of a long run only some, and no progress of loading or evaluating.
    """

    epoch: int = 0
    batch: int = 0
    step: int = 0
    loss: float | None = None
    accuracy: float | None = None
    learning_rate: float | None = None
    images_per_second: float | None = None
    train_seconds: float = 0.0
    seconds_left: float | None = None
    point: LossPoint | None = None
    loading: LoadingProgress | None = None
    evaluating: EvaluationProgress | None = None


_NAMES = tuple(field.name for field in fields(Progress))
_TRANSIENT = ("loading", "evaluating")


def progress_of(snapshot: RunSnapshot) -> Progress:
    """Return the progress of the run in `snapshot`."""
    return Progress(**{name: getattr(snapshot, name) for name in _NAMES})


def with_progress(snapshot: RunSnapshot, progress: Progress) -> RunSnapshot:
    """Return `snapshot` with `progress`, but with its own figures if it is at a later step."""
    names = _NAMES if progress.step >= snapshot.step else _TRANSIENT
    return replace(snapshot, **{name: getattr(progress, name) for name in names})


def with_newest_points(curves: Curves, progress: Progress) -> Curves:
    """Return `curves`, continued to the newest points of the run."""
    curves = replace(curves, test_so_far=so_far(progress.step, progress.evaluating))
    point = progress.point
    if point is None:
        return curves
    return replace(
        curves,
        loss=_continued(curves.loss, point.step, point.loss),
        train_accuracy=_continued(curves.train_accuracy, point.step, point.accuracy),
        learning_rate=_continued(curves.learning_rate, point.step, point.learning_rate),
        train_seconds=_continued(curves.train_seconds, point.step, point.train_seconds),
    )


def _continued(
    curve: Sequence[tuple[float, float]], step: float, value: float
) -> Sequence[tuple[float, float]]:
    if not math.isfinite(value) or (curve and curve[-1][0] >= step):
        return curve
    return (*curve, (step, value))
