"""Figures over the latest steps are the same however often a run is reported on."""

import math
from itertools import pairwise

import pytest

from cifar_tui.runs.recent import SmoothedMetrics
from tests.runs.made_events import point


def smoothed_loss(losses, *, every):
    metrics = SmoothedMetrics()
    for step in range(every, len(losses) + 1, every):
        window = losses[step - every : step]
        metrics.add(point(step, loss=sum(window) / every, steps=every))
    return metrics.loss


def test_the_smoothed_loss_is_that_of_about_the_last_twentieth_of_the_steps():
    falling = [2.0 - step / 1000 for step in range(1000)]
    assert smoothed_loss(falling, every=1) == pytest.approx(1.05, abs=0.01)
    assert smoothed_loss(falling, every=10) == pytest.approx(1.05, abs=0.01)
    assert smoothed_loss([2.0] * 900 + [1.0] * 100, every=1) == pytest.approx(1.0 + math.exp(-2), abs=0.02)


def test_it_stays_between_the_points():
    metrics = SmoothedMetrics()
    losses = [3.0, 1.0, 2.5, 0.5, 0.7]
    shown = []
    for number, loss in enumerate(losses, start=1):
        metrics.add(point(50 * number, loss=loss))
        shown.append(metrics.loss)
    assert shown[0] == 3.0
    assert all(
        min(one, loss) <= two <= max(one, loss)
        for (one, two), loss in zip(pairwise(shown), losses[1:], strict=True)
    )


def test_points_that_the_log_of_a_long_run_leaves_out_do_not_slow_it_down():
    metrics = SmoothedMetrics()
    metrics.add(point(1000, loss=2.5, steps=50))
    metrics.add(point(3500, loss=1.25, steps=50))
    assert metrics.loss == pytest.approx(1.25, abs=1e-5)


def test_a_value_that_is_not_finite_is_forgotten_at_the_next_point():
    metrics = SmoothedMetrics()
    metrics.add(point(50, loss=math.nan))
    metrics.add(point(100, loss=1.5))
    assert metrics.loss == 1.5
