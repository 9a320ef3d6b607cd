"""The learning-rate range test in numbers: the rates, the smoothed loss and what it suggests.

Source: Smith, https://arxiv.org/abs/1506.01186, section 3.3. Imports no torch.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.errors import ConfigError

LOWEST, HIGHEST = 1e-6, 10.0
"""The rates that a test runs through unless others are set."""

_STEPS, _MOST_STEPS = 200, 2000
_IMAGES = 51_200
"""A test takes about so many images. In fewer, a net that learns slowly at first is at too high a rate before
its loss falls."""
_FEWEST_STEPS, _LIMIT_STEPS = 20, 100_000
_LARGEST_RATE = 100.0
_MEMORY_SHARE = 1 / 20
"""Share of the steps that the smoothed loss remembers."""
_SLOPE_SHARE = 1 / 10
"""Share of the steps over which a slope is taken."""
_DIVERGED = 4.0
"""The test ends where the smoothed loss is so many times its least."""
_NONE = "No suggestion"
_NOISE = 4.0
"""A descent counts from so many standard errors of the smoothed loss."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LrRange:
    """The learning rates of a range test: `steps` of them, rising geometrically.

    Attributes:
        low: the first one.
        high: the last one.
        steps: training steps, each with its own rate.

    Raises:
        ConfigError: they are no such range; one sentence.
    """

    low: float = LOWEST
    high: float = HIGHEST
    steps: int = _STEPS

    def __post_init__(self) -> None:
        if not 0 < self.low < self.high <= _LARGEST_RATE:
            raise ConfigError(
                f"cannot test learning rates from {self.low:g} to {self.high:g}: they must rise, from above "
                f"0 to at most {_LARGEST_RATE:g}"
            )
        if not _FEWEST_STEPS <= self.steps <= _LIMIT_STEPS:
            raise ConfigError(
                f"cannot test learning rates in {self.steps:,} steps: set {_FEWEST_STEPS} to {_LIMIT_STEPS:,}"
            )

    def rate(self, step: int) -> float:
        """The learning rate at `step`, counted from 0."""
        rate: float = self.low * (self.high / self.low) ** (step / (self.steps - 1))
        return rate


def default_steps(batch_size: int) -> int:
    """How many steps a test takes with batches of `batch_size` images unless it is set."""
    return min(_MOST_STEPS, max(_STEPS, _IMAGES // batch_size))


@dataclass(frozen=True, kw_only=True, slots=True)
class RangePoint:
    """A step of a range test.

    Attributes:
        step: counted from 1.
        learning_rate: of its update.
        loss: mean over its batch, in nats, before the update; it may be infinite or NaN.
        smoothed: moving mean of the losses so far; see `SmoothedLoss`.
    """

    step: int
    learning_rate: float
    loss: float
    smoothed: float


class SmoothedLoss:
    """The exponential moving mean of the losses of a test of `steps` steps, without the bias of its start."""

    def __init__(self, steps: int) -> None:
        self._decay = _decay(steps)
        self._sum = self._weight = 0.0
        self._first = self._least = math.inf

    def add(self, loss: float) -> float:
        """Add a loss and return the mean."""
        self._sum = self._decay * self._sum + (1 - self._decay) * loss
        self._weight = self._decay * self._weight + 1 - self._decay
        mean = self._sum / self._weight
        if math.isinf(self._first):
            self._first = mean
        self._least = min(self._least, mean)
        return mean

    def diverged(self, mean: float) -> bool:
        """Whether `mean`, the latest one, is so high that nothing is learned from here on.

        A net that knows its few images by heart has a loss so small that a multiple of it says nothing: the
        mean must also be above the first one.
        """
        return not mean <= max(_DIVERGED * self._least, self._first)


@dataclass(frozen=True, kw_only=True, slots=True)
class LrSuggestion:
    """What the curve of a range test suggests.

    Attributes:
        learning_rate: where the smoothed loss falls most steeply over the logarithm of the rate: the middle
            of the tenth of the test over which it falls most, in two digits.
        minimum: the rate at which the smoothed loss is least; a tenth of it is another common choice.
        still_falling: whether that is the end of the test, so that higher rates may be better.
    """

    learning_rate: float
    minimum: float
    still_falling: bool

    def settings(self, config: TrainConfig) -> dict[str, float]:
        """The rates to set in `config` by name: all of them in the proportion in which they were tested."""
        factor = self.learning_rate / config.learning_rate
        rates = {"bias_lr": config.bias_lr, "head_lr": config.head_lr}
        scaled = {name: _two_digits(rate * factor) for name, rate in rates.items() if rate is not None}
        return {"learning_rate": self.learning_rate, **scaled}


def suggest(points: Sequence[RangePoint], steps: int) -> LrSuggestion | str:
    """What the `points` of a test of `steps` steps suggest, or in a sentence why that is nothing."""
    points = [point for point in points if math.isfinite(point.smoothed)]
    losses = [point.smoothed for point in points]
    # before the first one, the mean is over a few batches only
    first, span = round(steps * _MEMORY_SHARE), round(steps * _SLOPE_SHARE)
    least = min(range(first, len(losses)), key=losses.__getitem__, default=0)
    if least < first + span or losses[first] - losses[least] < _NOISE * _standard_error(
        points[:least], steps
    ):
        if len(points) < steps:
            return (
                "No suggestion: the loss rises without falling first. Test lower learning rates or more steps"
            )
        return "No suggestion: the loss does not fall at any learning rate. Test higher ones or more steps"
    falls = range(first, least - span + 1)
    steepest = min(falls, key=lambda start: losses[start + span] - losses[start])
    rate = math.sqrt(points[steepest].learning_rate * points[steepest + span].learning_rate)
    return LrSuggestion(
        learning_rate=_two_digits(rate),
        minimum=_two_digits(points[least].learning_rate),
        still_falling=least >= steps - first,
    )


def _standard_error(points: Sequence[RangePoint], steps: int) -> float:
    """Of the smoothed loss, from how far the loss of each step is from the mean before it."""
    squares = [(after.loss - before.smoothed) ** 2 for before, after in pairwise(points)]
    return math.sqrt(sum(squares) / len(squares) * (1 - _decay(steps)) / 2)


def _two_digits(rate: float) -> float:
    return float(f"{rate:.2g}")


def _decay(steps: int) -> float:
    return 1 - 1 / max(2.0, steps * _MEMORY_SHARE)
