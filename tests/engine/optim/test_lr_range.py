"""What curves of the loss over a rising learning rate suggest."""

import itertools
import math

import pytest

from cifar_tui.engine.config.presets import PRESETS
from cifar_tui.engine.config.schema import TrainConfig, preset_config
from cifar_tui.engine.errors import ConfigError
from cifar_tui.engine.optim.lr_range import (
    LrRange,
    LrSuggestion,
    RangePoint,
    SmoothedLoss,
    default_steps,
    suggest,
)

STEPS = 200


def points_of(loss_at, *, noise=0.01, steps=STEPS):
    """The points of a test from 1e-6 to 10 whose loss is `loss_at(log10 of the rate)`, with some noise."""
    lr_range, smoothed, points = LrRange(steps=steps), SmoothedLoss(steps), []
    for step in range(steps):
        rate = lr_range.rate(step)
        loss = loss_at(math.log10(rate)) + noise * math.sin(7 * step)
        mean = smoothed.add(loss)
        points.append(RangePoint(step=step + 1, learning_rate=rate, loss=loss, smoothed=mean))
        if not math.isfinite(loss) or smoothed.diverged(mean):
            break
    return points


def falls_at(place, *, rises_at=0.0):
    """A loss that falls from 2.3 to 1.3 around 10^`place`, and grows without limit after 10^`rises_at`."""
    return lambda log: 1.3 + 1 / (1 + 10 ** (2 * (log - place))) + 10 ** (2 * (log - rises_at))


def test_the_rates_rise_by_the_same_factor_from_the_first_to_the_last():
    rates = [LrRange(low=1e-4, high=1.0, steps=21).rate(step) for step in range(21)]
    assert rates[0] == 1e-4
    assert rates[-1] == pytest.approx(1.0)
    factors = [after / before for before, after in itertools.pairwise(rates)]
    assert factors == pytest.approx([10**0.2] * 20)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"low": 0.0}, "from 0 to 10"),
        ({"low": 1.0, "high": 1.0}, "from 1 to 1"),
        ({"high": 101.0}, "at most 100"),
        ({"low": math.nan}, "from nan to 10"),
        ({"steps": 19}, "19 steps"),
        ({"steps": 100_001}, "100,001 steps"),
    ],
)
def test_what_is_no_range_is_refused(wrong, words):
    with pytest.raises(ConfigError, match=words):
        LrRange(**wrong)


def test_small_batches_take_more_steps_within_limits():
    assert [default_steps(size) for size in (1, 4, 16, 32, 64, 65_536)] == [2000, 2000, 800, 400, 200, 200]


def test_the_smoothed_loss_is_a_moving_mean_without_the_bias_of_its_start():
    smoothed = SmoothedLoss(200)  # remembers 10 steps
    assert smoothed.add(3.0) == pytest.approx(3.0)
    assert smoothed.add(1.0) == pytest.approx((0.9 * 3 + 1) / 1.9)
    assert all(smoothed.add(2.0) < 3.0 for _ in range(100))
    assert smoothed.add(2.0) == pytest.approx(2.0, abs=1e-4)


def test_a_test_has_diverged_at_four_times_the_least_loss():
    smoothed = SmoothedLoss(200)
    assert not smoothed.diverged(smoothed.add(1.0))
    assert not smoothed.diverged(4.0)
    assert smoothed.diverged(4.1)
    assert smoothed.diverged(math.nan)


def test_a_loss_below_the_first_one_has_not_diverged_however_small_the_least_was():
    smoothed = SmoothedLoss(20)
    for loss in (2.3, *[1e-5] * 40):
        smoothed.add(loss)
    assert not smoothed.diverged(0.5)
    assert smoothed.diverged(2.4)


@pytest.mark.parametrize("place", [-4, -3, -2])
def test_the_suggestion_is_where_the_loss_falls_most_steeply(place):
    points = points_of(falls_at(place))
    suggestion = suggest(points, STEPS)
    assert isinstance(suggestion, LrSuggestion)
    late = math.log10(suggestion.learning_rate) - place
    assert 0 <= late <= 0.5, "the smoothed loss follows a little later"
    assert suggestion.learning_rate < suggestion.minimum
    assert not suggestion.still_falling
    assert suggestion.learning_rate == float(f"{suggestion.learning_rate:.2g}"), "two digits"


def test_a_loss_that_falls_to_the_end_suggests_higher_rates_too():
    suggestion = suggest(points_of(falls_at(0.5, rises_at=9)), STEPS)
    assert isinstance(suggestion, LrSuggestion)
    assert suggestion.still_falling


@pytest.mark.parametrize(
    ("loss_at", "noise", "words"),
    [
        (lambda _: 2.3, 0.3, "does not fall at any"),
        (lambda log: 2.3 + 10 ** (log + 3), 0.05, "rises without falling"),
        (lambda log: 2.3 if log < -5.99 else math.inf, 0.0, "rises without falling"),
        (lambda _: math.nan, 0.0, "rises without falling"),
        (lambda log: 2.3 * 10 ** (3 * (log + 6)), 0.0, "rises without falling"),
    ],
    ids=["flat", "rises", "infinite from the second step", "never finite", "diverges at once"],
)
def test_a_curve_that_does_not_fall_suggests_nothing_and_says_why(loss_at, noise, words):
    suggestion = suggest(points_of(loss_at, noise=noise), STEPS)
    assert isinstance(suggestion, str)
    assert words in suggestion


def test_no_points_suggest_nothing():
    assert isinstance(suggest([], STEPS), str)


def test_a_suggestion_keeps_the_proportions_of_all_rates():
    suggestion = LrSuggestion(learning_rate=0.24, minimum=1.0, still_falling=False)
    assert suggestion.settings(TrainConfig()) == {"learning_rate": 0.24}
    quick = preset_config("quick")
    assert suggestion.settings(quick) == {
        "learning_rate": 0.24,
        "bias_lr": 2 * PRESETS["quick"]["bias_lr"],
        "head_lr": 2 * PRESETS["quick"]["head_lr"],
    }
