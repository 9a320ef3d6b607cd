"""Check values that anybody may have written, once their types are known: ranges, sizes and relations."""

import dataclasses
import functools
import math
from typing import Any

from cifar_tui.engine.events import (
    SAMPLE_IMAGES,
    ClassAccuracy,
    DataLoaded,
    Evaluated,
    EvaluationProgress,
    RunEnded,
    SamplesPredicted,
    Validated,
)

LARGEST = 1e300
"""Larger numbers overflow where a screen computes with them."""
MOST_SECONDS = 1e11
"""Later than year 5000: no clock shows such a time."""
_MOST_COUNTED = 2**53
_LONGEST_TEXT = 1 << 20
_MOST_EXIT_CODE = 255

_SHARES = {"accuracy", "best_accuracy", "last_accuracy", "val_accuracy", "confidences", "waited"}
_SECONDS = {"time", "train_seconds", "updated", "started", "first_started"}
_ANY_SIGN = {"loss", "final_loss", "seconds_left"}


def is_plausible(record: Any) -> bool:  # noqa: ANN401 - any dataclass
    """Check that a run could have written the dataclass `record`, down to the dataclasses in it.

    Counts and times are not negative and small enough to compute with, shares are from 0 to 1, texts have a
    length that a screen can show, and what is counted among others is no more than all. NaN is a number that
    is not known; a time is always known.
    """
    for name, least, most, may_be_nan in _bounds(type(record)):  # type: ignore[arg-type]  # typeshed: a type is hashable
        if not _fits(getattr(record, name), least, most, may_be_nan=may_be_nan):
            return False
    return _agrees(record)


@functools.cache
def _bounds(cls: Any) -> tuple[tuple[str, float, float, bool], ...]:  # noqa: ANN401 - any dataclass
    """The lowest and highest number in each field, and whether it may be NaN."""
    bounds = []
    for entry in dataclasses.fields(cls):
        name, most = entry.name, LARGEST
        if name in _SHARES:
            most = 1.0
        elif name in _SECONDS:
            most = MOST_SECONDS
        bounds.append((name, -LARGEST if name in _ANY_SIGN else 0.0, most, name not in _SECONDS))
    return tuple(bounds)


def _fits(value: Any, least: float, most: float, *, may_be_nan: bool) -> bool:  # noqa: ANN401 - any value
    kind = type(value)
    if kind is float:
        return bool(least <= value <= most) or (may_be_nan and math.isnan(value))
    if kind is int:
        return bool(0 <= value <= _MOST_COUNTED)
    if kind is str:
        return len(value) <= _LONGEST_TEXT
    if kind is tuple:
        return all(_fits(entry, least, most, may_be_nan=may_be_nan) for entry in value)
    return is_plausible(value) if dataclasses.is_dataclass(value) else True


def _agrees(record: Any) -> bool:  # noqa: ANN401 - any dataclass
    match record:
        case Evaluated() | Validated():
            return 0 < record.total >= record.correct
        case ClassAccuracy():
            return record.total >= record.correct
        case EvaluationProgress():
            return 0 < record.done <= record.total and record.correct <= record.done
        case SamplesPredicted():
            return len(record.predicted) == len(record.confidences) <= SAMPLE_IMAGES
        case DataLoaded():
            return bool(record.class_names)
        case RunEnded():
            return record.exit_code <= _MOST_EXIT_CODE
        case _:
            return True
