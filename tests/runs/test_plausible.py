"""Whatever somebody writes into an event log, all that a screen shows can be built from it."""

import dataclasses
import json
import math

import pytest

from cifar_tui.engine.events import (
    ClassAccuracy,
    Evaluated,
    EvaluationProgress,
    LossPoint,
    Message,
    Resumed,
    RunEnded,
    SamplesPredicted,
    event_to_dict,
)
from cifar_tui.runs.disk.event_log import read_events
from cifar_tui.runs.disk.summary import RunSummary, read_summary, write_summary
from cifar_tui.runs.listing import list_run, run_cells
from cifar_tui.runs.plausible import is_plausible
from cifar_tui.runs.recap import Recap
from cifar_tui.runs.source import build_sample_batch
from cifar_tui.runs.state import RunProgress, RunState
from tests.hostile import EXAMPLES
from tests.runs.made_events import evaluated, point

RUN = [
    *EXAMPLES,
    Resumed(step=5, epoch=1, batch=5, train_seconds=1.0),  # before what is logged already
    point(6),
    RunEnded(exit_code=0),
]
NASTY = [
    -1,
    0,
    10**15,
    10**17,
    10**400,
    10**5000,
    1e18,
    5e10,
    -1e300,
    1e308,
    math.inf,
    math.nan,
    True,
    None,
    "",
    "x" * 2000,
    "\x1b[2J[/red]\ud800",
    [],
    [1],
    [-1],
    [9] * 4,
    [10**400],
    ["a"],
    [""] * 300,
    [[[]]],
    {},
    {"a": 1},
]


def written(value):
    if isinstance(value, int) and abs(value) > 10**300:
        return "1" + "0" * (len(hex(value)) if value < 10**401 else 5000)
    return json.dumps(value)


def show(state, recap):
    """Build what the screens and the recap show of `state`."""
    snapshot = state.snapshot()
    assert all(isinstance(line, str) for line in recap.lines(snapshot))
    state.curves()
    assert snapshot.best_epoch is None or snapshot.best_epoch >= 1
    assert snapshot.status
    if snapshot.evaluated is not None:
        snapshot.evaluated.tutorial_line()
    names = snapshot.data.class_names if snapshot.data is not None else ("a", "b")
    images, targets = [None] * 4, [0] * 4
    build_sample_batch(
        0, images=images, targets=targets, class_names=names, samples=snapshot.samples, evaluated=None
    )


def show_everything(folder):
    """Show the run in `folder` after each event of its log, and its row in the table."""
    state, recap = RunState(), Recap(since=None)
    for event in read_events(folder):
        recap.note(event, state)
        state.apply(event)
        show(state, recap)
    run_cells(list_run(folder))


@pytest.mark.parametrize(
    "number", range(len(RUN)), ids=lambda number: f"{number}-{type(RUN[number]).__name__}"
)
def test_a_value_that_no_run_writes_harms_nothing(tmp_path, number):
    before = [json.dumps(event_to_dict(event)) for event in RUN[:number]]
    after = [json.dumps(event_to_dict(event)) for event in RUN[number + 1 :]]
    good = event_to_dict(RUN[number])
    for name in good:
        bad = [json.dumps(good | {name: "VALUE"}).replace('"VALUE"', written(value)) for value in NASTY]
        (tmp_path / "events.jsonl").write_text("\n".join([*before, *bad, *after]) + "\n")
        show_everything(tmp_path)


def test_all_that_a_run_writes_is_plausible():
    assert all(map(is_plausible, RUN))
    assert is_plausible(LossPoint(**dataclasses.asdict(point(50)) | {"loss": math.nan}))


@pytest.mark.parametrize(
    "event",
    [
        evaluated(1, 101),
        Evaluated(step=1, final=True, correct=0, total=0, loss=1.0, per_class=()),
        evaluated(-1, 3),
        Evaluated(
            step=1,
            final=True,
            correct=1,
            total=2,
            loss=1.0,
            per_class=(ClassAccuracy(name="a", correct=3, total=2),),
        ),
        EvaluationProgress(done=0, total=2, correct=0, batch=1, batches=1),
        EvaluationProgress(done=3, total=2, correct=0, batch=1, batches=1),
        SamplesPredicted(step=1, predicted=(1, 2), confidences=(0.5,)),
        SamplesPredicted(step=1, predicted=(1,), confidences=(1.5,)),
        SamplesPredicted(step=1, predicted=(0,) * 65, confidences=(0.5,) * 65),
        Message(text="x" * 2_000_000),
        Message(text="", time=math.nan),
        Message(text="", time=1e12),
        point(50, accuracy=1.5),
        RunProgress(train_seconds=-1.0),
        RunProgress(evaluating=EvaluationProgress(done=0, total=0, correct=0, batch=0, batches=0)),
        RunSummary(best_accuracy=2.0),
        RunSummary(started=-5.0),
    ],
    ids=lambda event: type(event).__name__,
)
def test_what_cannot_be_is_not_plausible(event):
    assert not is_plausible(event)


def test_steps_that_go_backwards_break_no_curve(tmp_path):
    steps = [50, 10**9, 60, 1, 2]
    lines = [json.dumps(event_to_dict(event)) for event in (*RUN[:5], *map(point, steps))]
    (tmp_path / "events.jsonl").write_text("\n".join(lines) + "\n")
    show_everything(tmp_path)


@pytest.mark.timeout(60)
def test_lines_of_any_length_are_passed_over_in_little_memory(tmp_path):
    path = tmp_path / "events.jsonl"
    good = [json.dumps(event_to_dict(event)) + "\n" for event in (Message(text="a"), Message(text="b"))]
    with path.open("w") as file:
        file.write(good[0])
        file.write("[" * 100_000 + "\n")
    with path.open("r+b") as file:
        file.truncate(1 << 26)  # a hole: 64 MB of zero bytes
        file.seek(0, 2)
        file.write(b"\n" + good[1].encode())
    assert [event.text for event in read_events(tmp_path)] == ["a", "b"]


def test_a_table_of_runs_does_not_wait_for_a_log_that_no_run_writes(tmp_path):
    with (tmp_path / "events.jsonl").open("wb") as file:
        file.truncate(1 << 40)
    assert read_summary(tmp_path) is None


def test_a_summary_with_a_value_that_no_run_writes_harms_nothing(tmp_path):
    write_summary(tmp_path, RunSummary())
    path = tmp_path / "summary.json"
    good = json.loads(path.read_text())
    for name in good:
        for value in NASTY:
            path.write_text(json.dumps(good | {name: "VALUE"}).replace('"VALUE"', written(value)))
            run_cells(list_run(tmp_path))
