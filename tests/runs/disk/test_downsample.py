"""`Downsampler`: a long run's log grows with the logarithm of its length and keeps every spike."""

import itertools
import random

import pytest

from cifar_tui.runs.disk import downsample as downsample_module
from cifar_tui.runs.disk.downsample import Downsampler
from tests.runs.made_events import point

POINTS_PER_LEVEL = 64


@pytest.fixture(autouse=True)
def _short_levels(monkeypatch):
    """Levels of few points, so that a short run reaches many of them."""
    monkeypatch.setattr(downsample_module, "POINTS_PER_LEVEL", POINTS_PER_LEVEL)


def downsampled(points):
    """What is logged of `points`, flushed at the end."""
    downsampler = Downsampler()
    kept = list(itertools.chain.from_iterable(map(downsampler.take, points)))
    return kept + downsampler.flush()


def test_the_first_points_are_logged_as_they_are():
    points = [point(50 * number) for number in range(1, POINTS_PER_LEVEL)]
    assert downsampled(points) == points


def test_what_is_logged_was_measured_and_is_in_order():
    losses = random.Random(1)
    points = [point(50 * number, loss=losses.random()) for number in range(1, 10 * POINTS_PER_LEVEL)]
    kept = downsampled(points)
    assert len(kept) < len(points) / 2
    assert set(kept) <= set(points)
    assert [entry.step for entry in kept] == sorted(entry.step for entry in kept)
    assert kept[0] == points[0]


@pytest.mark.parametrize("number", [5 * POINTS_PER_LEVEL, 31 * POINTS_PER_LEVEL + 7, 60 * POINTS_PER_LEVEL])
@pytest.mark.parametrize("loss", [40.0, 0.0])
def test_a_spike_of_one_point_is_kept_up_or_down(number, loss):
    points = (point(50 * k, loss=loss if k == number else 2.0) for k in range(1, 61 * POINTS_PER_LEVEL))
    assert [entry.step for entry in downsampled(points) if entry.loss == loss] == [50 * number]


@pytest.mark.parametrize("steps", [1, 50])
def test_the_log_grows_with_the_logarithm_of_the_length(steps):
    downsampler = Downsampler()
    numbers = range(1, 256 * POINTS_PER_LEVEL)
    points = (point(steps * number, steps=steps, loss=number % 2) for number in numbers)
    logged = [len(downsampler.take(point)) for point in points]
    sizes = [sum(logged[: length * POINTS_PER_LEVEL]) for length in (3, 15, 63, 255)]
    for shorter, longer in itertools.pairwise(sizes):
        assert longer - shorter == pytest.approx(2 * POINTS_PER_LEVEL, abs=8), "each time 4 times as long"


def test_what_waits_is_given_once_and_in_order():
    downsampler = Downsampler()
    far = 50 * 20 * POINTS_PER_LEVEL
    assert downsampler.take(point(far, loss=3.0)) == []
    assert downsampler.take(point(far + 50, loss=1.0)) == []
    assert [entry.loss for entry in downsampler.flush()] == [3.0, 1.0]
    assert downsampler.flush() == []


def test_a_single_point_that_waits_is_given_once():
    downsampler = Downsampler()
    waiting = point(50 * 20 * POINTS_PER_LEVEL)
    downsampler.take(waiting)
    assert downsampler.flush() == [waiting]
