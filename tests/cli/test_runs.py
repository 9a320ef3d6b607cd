"""`cifar-tui runs`: what it prints, for a reader and for a program."""

import contextlib
import io
import json
import subprocess
import sys
import time
from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.text import Text

from cifar_tui.cli.runs import list_command
from cifar_tui.engine.config.file import config_to_toml
from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.errors import ConfigError
from cifar_tui.engine.events import ClassAccuracy, Phase, PhaseChanged, RunEnded
from cifar_tui.runs.disk.store import write_name
from tests.runs.made_evaluations import evaluate
from tests.runs.made_events import STARTED, evaluated, finished, point, record


@pytest.fixture
def make_run(tmp_path):
    def make(name, *, completed=True, began=3 * 86_400, **settings):
        folder = tmp_path / name
        folder.mkdir()
        config = TrainConfig(**{"data": "synthetic", **settings})
        (folder / "config.toml").write_text(config_to_toml(config))
        record(
            folder,
            replace(STARTED, total_steps=20, time=time.time() - began),
            evaluated(20, 60),
            finished(completed=completed, epoch=2, step=20, train_seconds=75.0),
            PhaseChanged(phase=Phase.DONE),
            RunEnded(exit_code=0),
        )
        return folder

    return make


@pytest.fixture
def two_runs(make_run):
    make_run("20260101-100000")
    make_run("20260102-100000", completed=False, epochs=5, began=60)


@pytest.fixture
def terminal(monkeypatch, capsys):
    """Makes standard output a terminal of so many columns; gives a reader of the lines on it."""

    def terminal(columns):
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setenv("TERM", "xterm")

        return lambda: Text.from_ansi(capsys.readouterr().out).plain.splitlines()

    return terminal


@pytest.mark.usefixtures("two_runs")
def test_where_there_is_no_terminal_a_plain_table_has_every_column(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    assert list_command(tmp_path, [], as_json=False) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == "run state preset data epoch best test last test train loss time age"
    assert lines[1] == "20260101-100000 ✓ done tutorial synthetic 2/2 60.00 60.00 – 1 m 15 s 3 d"
    assert (
        lines[2]
        == "20260102-100000 ■ stopped at step 20 of 20 tutorial synthetic 2/5 60.00 60.00 – 1 m 15 s 1 m"
    )
    assert len(lines) == 3


@pytest.mark.usefixtures("two_runs")
@pytest.mark.parametrize("columns", [200, 100, 80, 60, 40])
def test_the_table_fits_the_terminal_without_breaking_an_id(tmp_path, terminal, columns):
    shown = terminal(columns)
    assert list_command(tmp_path, [], as_json=False) == 0
    lines = shown()
    assert len(lines) == 3
    assert all(cell_len(line) <= columns for line in lines)
    assert lines[1].startswith("20260101-100000 ")
    assert "✓ done" in lines[1]
    assert "■ stopped" in lines[2]
    assert ("loss" in lines[0]) == (columns >= 100)


def test_where_not_even_the_ids_fit_they_stay_whole(make_run, tmp_path, terminal):
    names = [f"a-run-with-a-long-name-{number}" for number in range(4)]
    for name in names:
        make_run(name)
    shown = terminal(30)
    assert list_command(tmp_path, names, as_json=False) == 0
    assert [line.split()[0] for line in shown()[:5]] == ["run", *names]


@pytest.mark.usefixtures("two_runs")
def test_runs_that_are_named_stand_side_by_side(tmp_path, capsys):
    assert list_command(tmp_path, ["20260101", "latest", "20260101"], as_json=False) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[:3] == [["run", "20260101-100000", "20260102-100000"], ["epochs", "2", "5"], []]
    assert ["state", "✓", "done", "■", "stopped"] in lines
    assert ["best", "test", "accuracy", "60.00", "%", "60.00", "%"] in lines


@pytest.mark.parametrize(
    ("columns", "headings"),
    [
        (200, ["run", *(f"2026010{number}-100000" for number in range(6))]),
        (80, ["run", "best", "test", "last", "test", "batch_size", "lr", "epoch", "time", "state"]),
        (60, ["run", "best", "test", "last", "test", "batch_size", "lr"]),
    ],
)
def test_more_runs_than_fit_side_by_side_are_rows(make_run, tmp_path, terminal, columns, headings):
    names = [f"2026010{number}-100000" for number in range(6)]
    for number, name in enumerate(names):
        make_run(name, learning_rate=0.1 + number, batch_size=4 + number)
    record(tmp_path / names[2], evaluated(20, 70))
    shown = terminal(columns)
    assert list_command(tmp_path, names, as_json=False) == 0
    lines = shown()
    assert lines[0].split() == headings
    assert all(cell_len(line) <= columns for line in lines)
    if columns < 200:
        assert [line.split()[0] for line in lines[1:7]] == names
        assert lines[3].split()[1:3] == ["★", "70.00"]
        assert lines[7] == "★ best" + ("" if columns == 80 else " · no room for epoch, time, state")


@pytest.mark.usefixtures("two_runs")
def test_a_single_run_is_told_with_all_its_settings(tmp_path, capsys):
    assert list_command(tmp_path, ["latest"], as_json=False) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["epochs", "5"] in lines
    assert ["batch_size", "4"] in lines


@pytest.mark.usefixtures("two_runs")
def test_json_is_a_list_of_runs(tmp_path, capsys):
    assert list_command(tmp_path, [], as_json=True) == 0
    first, second = json.loads(capsys.readouterr().out)
    assert (first["run"], first["state"], second["state"]) == ("20260101-100000", "done", "stopped")
    assert (first["best_accuracy"], first["step"], first["config"]["epochs"]) == (0.6, 20, 2)


@pytest.mark.usefixtures("two_runs")
def test_json_of_several_runs_has_their_differences(tmp_path, capsys):
    assert list_command(tmp_path, ["20260101", "20260102"], as_json=True) == 0
    compared = json.loads(capsys.readouterr().out)
    assert compared["differences"] == {"epochs": {"20260101-100000": 2, "20260102-100000": 5}}
    assert [run["run"] for run in compared["runs"]] == ["20260101-100000", "20260102-100000"]
    assert list_command(tmp_path, ["latest"], as_json=True) == 0
    assert [run["run"] for run in json.loads(capsys.readouterr().out)] == ["20260102-100000"]


def classes(**correct):
    """An evaluation of 100 images of each class at step 20."""
    entries = tuple(ClassAccuracy(name=name, correct=count, total=100) for name, count in correct.items())
    return replace(
        evaluated(20, sum(correct.values())), total=100 * len(correct), per_class=entries, final=True
    )


def test_json_of_several_runs_has_curves_and_what_each_gains_and_loses_against_the_first(make_run, tmp_path):
    for name, loss, figures in (("a", 2.0, {"cat": 50, "dog": 60}), ("b", 1.5, {"dog": 52, "cat": 55})):
        points = [point(step, loss - step / 1000) for step in range(1, 1001)]
        record(make_run(name), *points, classes(**figures))
    compared = compared_as_json(tmp_path, "a", "b")
    curves = compared["runs"][1]["curves"]
    assert len(curves["loss"]) == 500
    assert curves["loss"][0] == [1, 1.499]
    assert (curves["steps_per_epoch"], curves["test_accuracy"][-1]) == (100, [20, 0.535])
    (against,) = compared["comparisons"]
    assert (against["run"], against["baseline"]) == ("b", "a")
    assert against["at_same_epoch"]["loss"] == pytest.approx(-0.5)
    assert against["at_same_epoch"]["epoch"] == 10
    assert against["evaluated_steps"] == [20, 20]
    changes = [(entry["name"], round(entry["change"], 4)) for entry in against["per_class"]]
    assert changes == [("dog", -0.08), ("cat", 0.05)], "the largest first"
    assert against["images"] == {
        "compared": False,
        "reason": "b has no stored predictions; training writes them at each evaluation",
    }


def test_json_has_the_images_that_one_run_recognises_and_the_other_does_not(make_run, tmp_path):
    for name, predicted in (("a", [0, 0, 0, 1]), ("b", [0, 1, 1, 1])):
        folder = make_run(name)
        record(folder, evaluate(folder, [0, 1, 0, 1], predicted))
    (against,) = compared_as_json(tmp_path, "a", "b")["comparisons"]
    assert against["images"]["counts"] == {
        "both_right": 2,
        "only_run": 1,
        "only_baseline": 1,
        "both_wrong": 0,
    }
    assert against["images"]["indices"]["only_run"] == [1]
    assert against["images"]["indices"]["only_baseline"] == [2]


def compared_as_json(checkpoints, *names):
    """What `runs --json` prints of the runs `names`."""
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        assert list_command(checkpoints, list(names), as_json=True) == 0
    return json.loads(printed.getvalue())


def test_a_run_on_other_images_of_the_same_classes_is_named(make_run, tmp_path, capsys):
    for pixels, name in enumerate("ab"):
        folder = make_run(name)
        record(folder, evaluate(folder, [0, 1, 0, 1], [0, 1, 1, 1], pixels=pixels))
    assert list_command(tmp_path, ["a", "b"], as_json=False) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "b was evaluated on different test images"


def test_the_gains_and_losses_of_classes_follow_the_table(make_run, tmp_path, capsys):
    for name, figures in (("a", {"cat": 50, "dog": 60, "ant": 70}), ("b", {"cat": 53, "dog": 48, "ant": 70})):
        record(make_run(name), classes(**figures))
    make_run("c")
    assert list_command(tmp_path, ["a", "b"], as_json=False) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert lines[-5:] == [
        "class a b",
        "dog 60.0 % ▼ -12.0",
        "cat 50.0 % ▲ +3.0",
        "ant 70.0 % = 0.0",
        "▲ ▼ percentage points of test accuracy against the first run",
    ]


def test_gains_are_shown_of_as_many_runs_as_there_is_room_for(make_run, tmp_path, terminal):
    names = [f"a-run-with-a-long-name-{number}" for number in range(4)]
    for number, name in enumerate(names):
        record(make_run(name), classes(cat=50 + number))
    shown = terminal(80)
    assert list_command(tmp_path, names, as_json=False) == 0
    lines = shown()
    place = next(number for number, line in enumerate(lines) if line.startswith("class"))
    assert lines[place].split() == ["class", *names[:2]]
    assert lines[place + 1].split() == ["cat", "50.0", "%", "▲", "+1.0"]
    assert f"no room for {names[2]}, {names[3]}" in lines


def test_runs_without_an_evaluation_or_on_other_images_are_named(make_run, tmp_path, capsys):
    record(make_run("a"), classes(cat=50))
    record(make_run("b"), classes(cat=50, dog=50))
    folder = make_run("c")
    (folder / "events.jsonl").unlink()
    assert list_command(tmp_path, ["a", "b", "c"], as_json=False) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2:] == ["c has no evaluation", "b was evaluated on 200 test images, not 100"]
    assert list_command(tmp_path, ["c", "a"], as_json=False) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("c has no evaluation: no gains")


def test_json_of_what_is_not_known_is_null(make_run, tmp_path, capsys):
    folder = make_run("run")
    (folder / "summary.json").write_text("{")
    (folder / "events.jsonl").write_text("{")
    (folder / "config.toml").write_text("when = 1979-05-27")
    assert list_command(tmp_path, [], as_json=True) == 0
    (run,) = json.loads(capsys.readouterr().out)
    assert (run["state"], run["step"], run["config"]) == ("unknown", None, {"when": "1979-05-27"})


def test_without_runs_a_sentence_says_how_to_get_one(tmp_path, capsys):
    assert list_command(tmp_path / "none", [], as_json=False) == 0
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"cifar-tui: no runs in '{tmp_path / 'none'}'; start one with")
    assert list_command(tmp_path / "none", [], as_json=True) == 0
    assert json.loads(capsys.readouterr().out) == []


@pytest.mark.usefixtures("two_runs")
def test_a_name_that_fits_no_run_is_the_callers_to_tell(tmp_path, capsys):
    with pytest.raises(ConfigError, match="no run '1999'"):
        list_command(tmp_path, ["1999"], as_json=False)
    assert capsys.readouterr().out == ""


def test_a_reader_that_has_left_is_no_error(make_run, tmp_path):
    for number in range(100):
        make_run(f"run-{number:03d}")
    code = (
        "import sys; from pathlib import Path; from cifar_tui.cli.runs import list_command; "
        "sys.exit(list_command(Path(sys.argv[1]), [], as_json=True))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        process.stdout.read(1)
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == 0


@pytest.mark.usefixtures("two_runs")
def test_a_named_run_is_shown_and_found_by_its_name(tmp_path, capsys):
    write_name(tmp_path / "20260101-100000", "baseline")
    assert list_command(tmp_path, [], as_json=False) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [line[:3] for line in lines[:2]] == [
        ["run", "name", "state"],
        ["20260101-100000", "baseline", "✓"],
    ]
    assert list_command(tmp_path, ["base", "latest"], as_json=False) == 0
    assert capsys.readouterr().out.splitlines()[0].split() == ["run", "baseline", "20260102-100000"]
    assert list_command(tmp_path, ["baseline"], as_json=True) == 0
    (run,) = json.loads(capsys.readouterr().out)
    assert (run["run"], run["name"]) == ("20260101-100000", "baseline")
