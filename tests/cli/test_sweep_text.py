"""The table of a sweep as text: what is in its rows, and what is said below."""

import pytest

from cifar_tui.cli.console import print_table
from cifar_tui.cli.sweep_text import groups_table, ranked, sweep_as_json, table_notes
from cifar_tui.runs.sweep.results import group_members, member_of
from cifar_tui.runs.sweep.store import Outcome
from tests.runs.listed import listed
from tests.runs.sweep.made_sweeps import made_plan

PLAN = made_plan(rates=(0.1, 0.2, 0.3), val_size=100, epochs=9)


def member(number, *, state="done", outcome=None, **figures):
    run = listed(f"run{number}", state=state, figures=figures)
    return member_of(number, run, outcome or Outcome(), alive=state == "running")


@pytest.fixture
def members():
    """Two runs done, two running, one hopeless and one that waits."""
    return {
        1: member(1, val_accuracy=0.5, last_accuracy=0.4),
        2: member(2, val_accuracy=0.6, last_accuracy=0.4),
        3: member(3, state="running", epoch=3, val_accuracy=0.70),
        4: member(4, state="running", epoch=5, val_accuracy=0.75),
        5: member(5, state="stopped", outcome=Outcome(hopeless_at=1), val_accuracy=0.1),
        6: member_of(6, None, Outcome(), alive=False),
    }


def printed(plan, members, capsys):
    print_table(groups_table(plan, ranked(group_members(plan, members))))
    return [line.rstrip() for line in capsys.readouterr().out.splitlines()]


def test_a_row_has_means_over_the_runs_that_are_done_and_how_far_the_others_are(members, capsys):
    assert printed(PLAN, members, capsys) == [
        "    lr  runs         val %        test %  state",
        "   0.1   2/2  55.00 ± 7.07  40.00 ± 0.00  ✓ 2 done",
        "   0.2   0/2             –             –  ▶ 2 running (epoch 3–5 of 9 val 70.0–75.0 %)",
        "   0.3   0/2             –             –  · 1 waiting, ▼ 1 hopeless",
    ]
    assert table_notes(PLAN, members) == [
        "mean ± standard deviation over seeds",
        "★ best by validation accuracy",
        "1 stopped as hopeless, not in the means",
    ]


def test_the_best_comes_first_with_a_mark(members, capsys):
    members[3] = member(3, val_accuracy=0.7, last_accuracy=0.1)
    assert [line[:6] for line in printed(PLAN, members, capsys)[1:]] == ["★  0.2", "   0.1", "   0.3"]


def test_without_validation_images_tests_are_reported_and_nothing_is_chosen(capsys):
    plan = made_plan(seeds=(0,))
    members = {1: member(1, last_accuracy=0.4), 2: member(2, last_accuracy=0.9)}
    assert printed(plan, members, capsys) == [
        "    lr  runs  test %  state",
        "   0.1   1/1   40.00  ✓ done",
        "   0.2   1/1   90.00  ✓ done",
    ]
    assert table_notes(plan, members) == [
        "no best without validation images (val_size): test images are for reporting"
    ]
    assert [group["best"] for group in sweep_as_json(plan, members)["groups"]] == [False, False]
