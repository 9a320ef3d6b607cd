"""`Downsampler`: a long run's log grows with the logarithm of its length and keeps every spike."""

import itertools
import random

import pytest

from cifar_tui.engine.events import LossPoint
from cifar_tui.runs.disk.downsample import POINTS_PER_LEVEL, Downsampler


def point(step, *, steps=50, loss=2.0):
    return LossPoint(
        time=float(step),
        step=step,
        steps=steps,
        epoch=1,
        batch=step,
        loss=loss,
        loss_min=loss,
        loss_max=loss,
        accuracy=0.5,
        learning_rate=0.1,
        images=4 * steps,
        train_seconds=step / 1000,
    )


def thinned(points):
    """What is logged of `points`, with what is left at the end."""
    thinner = Downsampler()
    kept = list(itertools.chain.from_iterable(map(thinner.take, points)))
    return kept + thinner.rest()


def test_the_first_points_are_logged_as_they_are():
    points = [point(50 * number) for number in range(1, POINTS_PER_LEVEL)]
    assert thinned(points) == points


def test_what_is_logged_was_measured_and_is_in_order():
    losses = random.Random(1)
    points = [point(50 * number, loss=losses.random()) for number in range(1, 10 * POINTS_PER_LEVEL)]
    kept = thinned(points)
    assert len(kept) < len(points) / 2
    assert set(kept) <= set(points)
    assert [entry.step for entry in kept] == sorted(entry.step for entry in kept)
    assert kept[0] == points[0]


@pytest.mark.parametrize("number", [5 * POINTS_PER_LEVEL, 31 * POINTS_PER_LEVEL + 7, 60 * POINTS_PER_LEVEL])
@pytest.mark.parametrize("loss", [40.0, 0.0])
def test_a_spike_of_one_point_is_kept_up_or_down(number, loss):
    points = (point(50 * k, loss=loss if k == number else 2.0) for k in range(1, 61 * POINTS_PER_LEVEL))
    assert [entry.step for entry in thinned(points) if entry.loss == loss] == [50 * number]


@pytest.mark.parametrize(("steps", "most"), [(50, 40_000), (1, 60_000)])
def test_ten_million_steps_make_a_small_log(steps, most):
    """Counted with points that are made once: what is decided upon is the step, the steps and the loss."""
    thinner = Downsampler()
    logged = 0
    entry = point(steps, steps=steps)
    for step in range(steps, 10_000_000 + 1, steps):
        object.__setattr__(entry, "step", step)
        logged += len(thinner.take(entry))
    assert 10_000 < logged < most


def test_what_waits_is_given_once_and_in_order():
    thinner = Downsampler()
    far = 50 * 20 * POINTS_PER_LEVEL
    assert thinner.take(point(far, loss=3.0)) == []
    assert thinner.take(point(far + 50, loss=1.0)) == []
    assert [entry.loss for entry in thinner.rest()] == [3.0, 1.0]
    assert thinner.rest() == []


def test_a_single_point_that_waits_is_given_once():
    thinner = Downsampler()
    waiting = point(50 * 20 * POINTS_PER_LEVEL)
    thinner.take(waiting)
    assert thinner.rest() == [waiting]
