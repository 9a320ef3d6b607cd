"""The curves of a run's charts, and the accuracy of an evaluation that is not finished."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from cifar_tui.engine.events import Evaluated, EvaluationProgress


@dataclass(frozen=True, kw_only=True, slots=True)
class AccuracySoFar:
    """The accuracy (0-1) over the share (0-1) of images that are evaluated, and its margin at 95 %."""

    step: int
    share: float
    accuracy: float
    margin: float


def so_far(step: int, evaluating: EvaluationProgress | None) -> AccuracySoFar | None:
    """Return the accuracy of an evaluation that is not finished; None without one."""
    if evaluating is None:
        return None
    share, accuracy = evaluating.done / evaluating.total, evaluating.correct / evaluating.done
    # normal approximation; the margin of what is left to evaluate shrinks to nothing at the end
    margin = 1.96 * math.sqrt(accuracy * (1 - accuracy) / evaluating.done * (1 - share))
    return AccuracySoFar(step=step, share=share, accuracy=accuracy, margin=margin)


@dataclass(frozen=True, kw_only=True, slots=True)
class Curves:
    """Curves of the charts as (step, value) points: losses in nats, accuracies from 0 to 1.

    `train_seconds` has the training time at each step; `steps_per_epoch` is 0 until known. `test_so_far` is
    None unless an evaluation is under way. `mixed` says that the training accuracy is that of mixed images.
    """

    loss: Sequence[tuple[float, float]] = ()
    train_accuracy: Sequence[tuple[float, float]] = ()
    test_so_far: AccuracySoFar | None = None
    test_accuracy: Sequence[tuple[float, float]] = ()
    learning_rate: Sequence[tuple[float, float]] = ()
    train_seconds: Sequence[tuple[float, float]] = ()
    steps_per_epoch: int = 0
    mixed: bool = False


MOST_EVALUATIONS = 256


def with_evaluation(past: tuple[Evaluated, ...], latest: Evaluated) -> tuple[Evaluated, ...]:
    """Append `latest` to the evaluations before, without those of the same step or of other classes.

    Of more than `MOST_EVALUATIONS`, every second one of the older half is dropped.
    """
    kept = tuple(one for one in past if one.step != latest.step and _classes(one) == _classes(latest))
    if len(kept) >= MOST_EVALUATIONS:
        half = len(kept) // 2
        kept = kept[:half:2] + kept[half:]
    return (*kept, latest)


def _classes(evaluated: Evaluated) -> list[str]:
    return [entry.name for entry in evaluated.per_class]
