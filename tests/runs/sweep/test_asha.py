"""Asynchronous successive halving stops what it should, on made-up curves."""

import random

import pytest

from cifar_tui.runs.sweep.asha import find_hopeless, last_rung


def curve(*accuracies):
    return dict(enumerate(accuracies, start=1))


@pytest.mark.parametrize(
    ("epoch", "eta", "rung"),
    [(0, 3, 0), (1, 3, 1), (2, 3, 1), (3, 3, 3), (8, 3, 3), (9, 3, 9), (30, 3, 27), (7, 2, 4), (8, 2, 8)],
)
def test_the_rungs_are_powers_of_eta(epoch, eta, rung):
    assert last_rung(epoch, eta) == rung


def test_of_three_runs_on_a_rung_the_best_goes_on():
    curves = {1: curve(0.3), 2: curve(0.5), 3: curve(0.4)}
    assert find_hopeless(curves, [1, 2, 3], eta=3) == {1: 1, 3: 1}


def test_nobody_is_stopped_before_eta_runs_are_on_the_rung():
    assert find_hopeless({1: curve(0.1), 2: curve(0.9)}, [1, 2], eta=3) == {}
    assert find_hopeless({1: curve(0.1), 2: curve(0.9)}, [1, 2], eta=2) == {1: 1}


def test_a_run_is_judged_at_the_last_rung_it_has_got_to_and_not_by_what_comes_after():
    best_early = curve(0.6, 0.1)  # between the rungs 1 and 3
    curves = {1: best_early, 2: curve(0.5, 0.9), 3: curve(0.4, 0.9)}
    assert find_hopeless(curves, [1, 2, 3], eta=3) == {2: 1, 3: 1}


def test_late_ones_are_compared_with_what_early_ones_had_at_the_same_epoch():
    finished = {number: curve(*[0.5 + 0.01 * number] * 9) for number in range(1, 6)}
    late = {6: curve(0.9), 7: curve(0.52), 8: curve(0.9, 0.9, 0.4)}
    assert find_hopeless(finished | late, late, eta=3) == {7: 1, 8: 3}


def test_a_run_that_went_on_alone_is_stopped_once_better_ones_arrive():
    curves = {1: curve(0.2, 0.3)}
    assert find_hopeless(curves, [1], eta=3) == {}
    curves |= {2: curve(0.5), 3: curve(0.6)}
    assert find_hopeless(curves, [1], eta=3) == {1: 1}


def test_equal_ones_go_on_together():
    assert find_hopeless({number: curve(0.5) for number in range(9)}, range(9), eta=3) == {}


def test_a_run_without_a_validation_yet_is_not_judged():
    curves = {1: {}, 2: curve(0.1), 3: curve(0.2), 4: curve(0.3)}
    assert find_hopeless(curves, [1, 5], eta=3) == {}


def test_a_hole_at_the_rung_is_no_verdict():
    curves = {1: {1: 0.1, 3: 0.1}, 2: curve(0.5, 0.5, 0.5), 3: curve(0.5, 0.5, 0.5), 4: {4: 0.1}}
    assert find_hopeless(curves, [1, 4], eta=3) == {1: 3}


@pytest.mark.parametrize("workers", [1, 2, 5, 27])
def test_the_best_run_survives_and_most_of_the_epochs_are_saved(workers):
    """27 runs over 27 epochs whose ranks never change, on a few workers at a time."""
    order = random.Random(workers).sample(range(27), 27)
    curves, waiting, running, hopeless = {}, list(order), [], {}
    while waiting or running:
        while waiting and len(running) < workers:
            running.append(waiting.pop(0))
        for run in running:
            own = curves.setdefault(run, {})
            epoch = len(own) + 1
            own[epoch] = (1 - 0.9**epoch) * (0.3 + 0.02 * run)
        hopeless |= find_hopeless(curves, running, eta=3)
        running = [run for run in running if run not in hopeless and len(curves[run]) < 27]
    assert 26 not in hopeless
    assert len(hopeless) >= 18
    assert sum(map(len, curves.values())) < 27 * 27 / 2
