"""The groups of a sweep: mean and deviation over seeds, and the best by validation accuracy only."""

import pytest

from cifar_tui.runs.sweep.results import (
    Spread,
    counts_text,
    group_members,
    member_of,
    status_counts,
)
from cifar_tui.runs.sweep.store import Outcome
from tests.runs.listed import listed
from tests.runs.sweep.made_sweeps import made_plan

PLAN = made_plan(rates=(0.1, 0.2, 0.3))


def member(number, *, state="done", outcome=None, alive=False, **figures):
    run = listed(f"run{number}", state=state, figures=figures)
    return member_of(number, run, outcome or Outcome(), alive=alive)


def members(**figures):
    """All runs of `PLAN` done, with a list of each figure."""
    return {
        number: member(number, **{name: values[number - 1] for name, values in figures.items()})
        for number in PLAN.numbers
    }


def test_mean_and_deviation_are_over_the_seeds():
    groups = group_members(
        PLAN, members(val_accuracy=[0.5, 0.6, 0.7, 0.7, 0.1, 0.2], last_accuracy=[0.4, 0.6, 1, 1, 0, 0])
    )
    assert [group.values for group in groups] == [(0.1,), (0.2,), (0.3,)]
    first = groups[0].validation
    assert (first.mean, first.deviation, first.count) == pytest.approx((0.55, 0.0707106781, 2))
    assert groups[0].test.mean == pytest.approx(0.5)
    assert groups[1].validation == Spread(mean=0.7, deviation=0.0, count=2)


def test_the_best_is_chosen_by_validation_accuracy_whatever_the_tests_say():
    groups = group_members(
        PLAN, members(val_accuracy=[0.5, 0.6, 0.9, 0.7, 0.1, 0.2], last_accuracy=[0.9, 0.9, 0.1, 0.1, 1, 1])
    )
    assert [group.best for group in groups] == [False, True, False]


def test_without_validation_images_none_is_the_best():
    groups = group_members(PLAN, members(last_accuracy=[0.9, 0.9, 0.1, 0.1, 0.5, 0.5]))
    assert [group.best for group in groups] == [False, False, False]
    assert [group.validation for group in groups] == [None, None, None]


def test_equal_ones_are_best_together_and_one_alone_is_not():
    groups = group_members(PLAN, members(val_accuracy=[0.5, 0.7, 0.6, 0.60001, 0.1, 0.2]))
    assert [group.best for group in groups] == [True, True, False]
    one = made_plan(rates=(0.1,))
    assert not group_members(one, {1: member(1, val_accuracy=0.5), 2: member(2, val_accuracy=0.6)})[0].best


def test_only_runs_that_are_done_count():
    runs = members(val_accuracy=[0.5, 0.6, 0.9, 0.7, 0.1, 0.2])
    runs[2] = member(2, state="running", alive=True, val_accuracy=0.9)
    runs[3] = member(3, state="stopped", outcome=Outcome(hopeless_at=1), val_accuracy=0.95)
    runs[4] = member(4, state="failed", val_accuracy=0.99, error="no memory")
    runs[5] = member_of(5, None, Outcome(), alive=False)
    groups = group_members(PLAN, runs)
    assert groups[0].validation == Spread(mean=0.5, deviation=None, count=1)
    assert groups[1].validation is None
    assert [group.best for group in groups] == [True, False, False]
    assert counts_text(runs) == "2 done, 1 running, 1 waiting, 1 hopeless, 1 failed"
    assert sum(status_counts(runs).values()) == 6


@pytest.mark.parametrize(
    ("state", "outcome", "alive", "status"),
    [
        (None, Outcome(), False, "waiting"),
        (None, Outcome(), True, "starting"),
        (None, Outcome(error="no such file"), False, "failed"),
        (None, Outcome(error="no such file"), True, "starting"),
        (None, Outcome(hopeless_at=3), False, "hopeless"),
        ("stopped", Outcome(), True, "starting"),
        ("stopped", Outcome(hopeless_at=3), False, "hopeless"),
        ("crashed", Outcome(hopeless_at=3), False, "hopeless"),
        ("running", Outcome(hopeless_at=3), True, "running"),
        ("done", Outcome(hopeless_at=3), False, "done"),
        ("done", Outcome(), True, "done"),
        ("paused", Outcome(), True, "paused"),
        ("crashed", Outcome(), False, "crashed"),
        ("failed", Outcome(), False, "failed"),
        ("stopped", Outcome(error="no such file"), False, "failed"),
        ("done", Outcome(error="no such file"), False, "done"),
    ],
)
def test_the_status_of_a_run_follows_from_its_folder_its_process_and_what_the_scheduler_noted(
    state, outcome, alive, status
):
    run = None if state is None else listed("run", state=state)
    assert member_of(1, run, outcome, alive=alive).status == status
