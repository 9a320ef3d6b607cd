"""What a run was like at one of its steps."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter

from cifar_tui.runs.curves import Curves
from cifar_tui.runs.format import duration, loss_figure, percentage, rate_figure

_step = itemgetter(0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """The values at `step`, each from the nearest point; None if not known.

    Attributes:
        epoch: epochs done, in fractions.
        seconds: training time.
        loss: training loss (nats) of the point, not smoothed.
        accuracy: training accuracy (0-1) of the point, not smoothed.
        test: test accuracy (0-1) of the latest evaluation up to this step.
        test_epoch: epochs done at that evaluation.
        learning_rate: of the step.
    """

    step: float
    epoch: float | None = None
    seconds: float | None = None
    loss: float | None = None
    accuracy: float | None = None
    test: float | None = None
    test_epoch: float | None = None
    learning_rate: float | None = None


def read(curves: Curves, step: float) -> Reading:
    """Read out the curves at `step`."""
    evaluated = bisect_right(curves.test_accuracy, step, key=_step)
    test_step, test = curves.test_accuracy[evaluated - 1] if evaluated else (0, None)
    length = curves.steps_per_epoch
    return Reading(
        step=step,
        epoch=step / length if length else None,
        seconds=_nearest(curves.train_seconds, step),
        loss=_nearest(curves.loss, step),
        accuracy=_nearest(curves.train_accuracy, step),
        test=test,
        test_epoch=test_step / length if length else None,
        learning_rate=_nearest(curves.learning_rate, step),
    )


def reading_line(reading: Reading) -> str:
    """Format as `step 12,350 · epoch 1.98 · 3 m 41 s · loss 1.123 · train 58.2 % · test 57.53 % · …`."""
    parts = [f"step {reading.step:,.0f}"]
    if reading.epoch is not None:
        parts.append(f"epoch {reading.epoch:.2f}")
    if reading.seconds is not None:
        parts.append(duration(reading.seconds))
    if reading.loss is not None:
        parts.append(f"loss {loss_figure(reading.loss)}")
    if reading.accuracy is not None:
        parts.append(f"train {percentage(reading.accuracy, 1)}")
    if reading.test is not None:
        earlier = reading.test_epoch is not None and reading.test_epoch != reading.epoch
        at = f" (epoch {reading.test_epoch:.3g})" if earlier else ""
        parts.append(f"test {percentage(reading.test, 2)}{at}")
    if reading.learning_rate is not None:
        parts.append(f"lr {rate_figure(reading.learning_rate)}")
    return " · ".join(parts)


def _nearest(points: Sequence[tuple[float, float]], step: float) -> float | None:
    """Return the value of the point nearest to `step`."""
    after = bisect_right(points, step, key=_step)
    near = points[max(0, after - 1) : after + 1]
    return min(near, key=lambda point: abs(point[0] - step))[1] if near else None
