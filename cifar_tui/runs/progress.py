"""The figures of a run that change faster than its event log is written."""

import math
from collections.abc import Sequence
from dataclasses import fields, replace

from cifar_tui.runs.curves import Curves, so_far
from cifar_tui.runs.state import RunProgress, RunSnapshot

_NAMES = tuple(field.name for field in fields(RunProgress))
_TRANSIENT = ("loading", "evaluating")


def progress_of(snapshot: RunSnapshot) -> RunProgress:
    """Return the progress of the run in `snapshot`."""
    return RunProgress(**{name: getattr(snapshot, name) for name in _NAMES})


def with_progress(snapshot: RunSnapshot, progress: RunProgress) -> RunSnapshot:
    """Return `snapshot` with `progress`, but with its own figures if it is at a later step."""
    names = _NAMES if progress.step >= snapshot.step else _TRANSIENT
    return replace(snapshot, **{name: getattr(progress, name) for name in names})


def with_newest_points(curves: Curves, progress: RunProgress) -> Curves:
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
