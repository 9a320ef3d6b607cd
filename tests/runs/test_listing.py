"""The list of runs: what became of each, side by side, and deleting one."""

import os
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest

from cifar_tui.engine.config.file import config_to_toml
from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.errors import ConfigError, RunFailedError
from cifar_tui.engine.events import Message, Phase, PhaseChanged, RunEnded
from cifar_tui.engine.layout import CONFIG_FILE, SUMMARY_FILE
from cifar_tui.engine.text import cell_width
from cifar_tui.runs import listing
from cifar_tui.runs.disk.run_lock import RunLock
from cifar_tui.runs.disk.summary import RunSummary
from cifar_tui.runs.format import age
from cifar_tui.runs.listing import (
    ListedRun,
    compare_runs,
    delete_run,
    list_run,
    list_runs,
    run_cells,
)
from tests.runs.made_events import STARTED, at, evaluated, finished, record


def training() -> list:
    return [PhaseChanged(phase=Phase.TRAINING), replace(STARTED, total_steps=2)]


def over(*, completed=True, error="") -> list:
    return [
        *training(),
        evaluated(2, 60),
        finished(completed=completed, epoch=2, step=2),
        PhaseChanged(phase=Phase.FAILED if error else Phase.DONE),
        RunEnded(exit_code=4 if error else 0, error=error),
    ]


@pytest.fixture
def make_run(tmp_path):
    def make(name, events=(), config=None):
        folder = tmp_path / name
        folder.mkdir()
        (folder / CONFIG_FILE).write_text(config_to_toml(config or TrainConfig()))
        if events:
            record(folder, *events)
        return folder

    return make


def test_a_run_with_a_damaged_summary_does_not_hide_the_others(tmp_path, make_run):
    make_run("a", over())
    damaged = make_run("b", over()) / SUMMARY_FILE
    expected = [run_cells(run)["time"] for run in list_runs(tmp_path)]
    damaged.write_text(damaged.read_text().replace('"train_seconds": 3.0', '"train_seconds": Infinity'))
    assert [run_cells(run)["time"] for run in list_runs(tmp_path)] == expected


@pytest.mark.parametrize(
    ("events", "state"),
    [
        (over(), "done"),
        (over(completed=False), "stopped"),
        ([PhaseChanged(phase=Phase.DONE, message="stopped"), RunEnded(exit_code=0)], "stopped"),
        (over(error="out of memory"), "failed"),
        (training(), "crashed"),
        ([*training(), PhaseChanged(phase=Phase.PAUSED)], "crashed"),
        ([], "unknown"),
    ],
)
@pytest.mark.parametrize("summarised", [True, False], ids=["with summary", "from the log"])
def test_a_run_that_nobody_owns_is_told_by_how_it_ended(make_run, events, state, summarised):
    folder = make_run("run", events)
    if not summarised:
        (folder / SUMMARY_FILE).unlink(missing_ok=True)
    assert list_run(folder).state == state


def test_a_run_is_live_while_somebody_owns_it_and_crashed_when_its_owner_died(make_run):
    folder = make_run("run", training())
    lock = RunLock(folder)
    lock.acquire()
    assert list_run(folder).state == "running"
    record(folder, PhaseChanged(phase=Phase.PAUSED))
    assert list_run(folder).state == "paused"
    lock.release()
    make_run("died", over())
    (folder.parent / "died" / "lock").write_text('{"pid": 1, "host": "here"}')
    os.utime(folder.parent / "died" / "lock", (0, 0))
    assert list_run(folder.parent / "died").state == "crashed"


def test_runs_are_listed_oldest_first_and_what_is_none_is_passed_over(make_run, tmp_path):
    for time, name in enumerate(("20260102-100000", "20260101-100000", "20260103-100000")):
        make_run(name, (at(time, Message(text="")), *over()))
    make_run(".20260103-100000.1.deleted", over())
    (tmp_path / "README.md").write_text("")
    (tmp_path / "folder").mkdir()
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "config.toml").mkdir()
    (tmp_path / "nowhere").symlink_to(tmp_path / "missing")
    listed = [run.name for run in list_runs(tmp_path)]
    assert listed == ["20260102-100000", "20260101-100000", "20260103-100000"]  # by time, not by name


def test_a_place_without_runs_has_none(tmp_path):
    assert list_runs(tmp_path) == []
    assert list_runs(tmp_path / "none") == []


def test_a_place_that_cannot_be_listed_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"cannot read the checkpoints folder .*file.*choose another"):
        list_runs(tmp_path / "file")


@pytest.mark.parametrize("content", ["epochs = ", "\0", "[" * 5000, "a = " + "[" * 5000])
def test_a_run_with_broken_settings_is_listed_as_unknown(make_run, tmp_path, content):
    (make_run("run", over()) / "config.toml").write_text(content)
    (run,) = list_runs(tmp_path)
    assert (run.state, run.config) == ("unknown", None)
    assert run.summary.completed


def test_a_run_with_a_foreign_log_is_listed_as_unknown(make_run):
    folder = make_run("run")
    (folder / "events.jsonl").write_bytes(os.urandom(5000))
    run = list_run(folder)
    assert (run.state, run.summary) == ("unknown", None)
    assert run_cells(run)["preset"] == "tutorial", "as its settings say"


def test_settings_of_another_version_are_no_harm(make_run):
    folder = make_run("run", over())
    (folder / "config.toml").write_text("epochs = 2\nlater = 1979-05-27\n")
    assert list_run(folder).state == "done"
    assert run_cells(list_run(folder))["epoch"] == "2/2"


@pytest.mark.alone
def test_four_hundred_runs_of_all_kinds_are_listed_in_well_under_a_second(make_run, tmp_path):
    kinds = [make_run(f"run-{number}", over()) for number in range(4)]
    (kinds[0] / SUMMARY_FILE).unlink()
    (kinds[1] / SUMMARY_FILE).write_text('{"pha')
    for number in range(4, 400):
        shutil.copytree(kinds[number % 4], tmp_path / f"run-{number}")
        (tmp_path / f"file-{number}").touch()
    code = (
        "import sys, time; from pathlib import Path; from cifar_tui.runs.listing import list_runs; "
        "print(len(list_runs(Path(sys.argv[1]))), time.process_time(), "
        "*({'torch', 'numpy', 'textual', 'rich'} & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False
    )
    count, seconds, *imported = result.stdout.split()
    assert (count, imported) == ("400", [])
    assert float(seconds) < 1, "of processor time, from the start of the interpreter"


def test_the_differences_and_the_results_stand_side_by_side(make_run):
    first = list_run(make_run("a", over(), TrainConfig(epochs=2)))
    second = list_run(make_run("b", over(error="broke"), TrainConfig(epochs=4, learning_rate=0.5)))
    comparison = compare_runs([first, second])
    assert comparison.names == ("a", "b")
    assert comparison.settings == {"epochs": (2, 4), "learning_rate": (0.001, 0.5)}
    assert comparison.results == {
        "state": ("✓ done", "✗ failed"),
        "epoch": ("2/2", "2/4"),
        "steps": ("2 of 2", "2 of 2"),
        "training loss": ("–", "–"),
        "best test accuracy": ("60.00 %", "60.00 %"),
        "last test accuracy": ("60.00 %", "60.00 %"),
        "training time": ("3 s", "3 s"),
    }


def test_a_setting_that_a_run_does_not_have_is_a_difference(make_run):
    first, second = (list_run(make_run(name, over())) for name in "ab")
    second.config["later"] = [1]
    assert compare_runs([first, second]).settings == {"later": (None, [1])}
    assert compare_runs([first]).settings == {name: (value,) for name, value in first.config.items()}


def test_a_run_from_before_a_setting_was_trained_with_its_default(make_run):
    first, second = (list_run(make_run(name, over())) for name in "ab")
    del first.config["image_size"], first.config["mixup"]
    second.config["mixup"] = 0.2
    assert compare_runs([first, second]).settings == {"mixup": (0.0, 0.2)}
    assert compare_runs([second, first]).settings == {"mixup": (0.2, 0.0)}


def test_a_run_that_is_deleted_is_gone_and_nothing_else(make_run, tmp_path):
    folder, other = make_run("a", over()), make_run("b", over())
    delete_run(folder)
    assert list(tmp_path.iterdir()) == [other]


def test_a_live_run_is_not_deleted(make_run):
    folder = make_run("run", training())
    lock = RunLock(folder)
    lock.acquire()
    with pytest.raises(ConfigError, match="run run is still running; stop it before deleting it"):
        delete_run(folder)
    lock.release()
    assert list_run(folder).state == "crashed"


def test_a_run_that_becomes_live_while_it_is_deleted_stays(make_run, monkeypatch):
    folder = make_run("run", training())
    lock, real = RunLock(folder), listing.owner_of

    def look_and_lock(path):
        owner = real(path)
        if not owner.live:
            lock.acquire()
        return owner

    monkeypatch.setattr(listing, "owner_of", look_and_lock)
    with pytest.raises(ConfigError, match="is still running"):
        delete_run(folder)
    lock.release()
    assert (folder / "config.toml").is_file()


def test_only_the_folder_of_a_run_is_deleted(make_run, tmp_path):
    folder, link, other = make_run("run", over()), tmp_path / "link", tmp_path / "other"
    link.symlink_to(folder)
    other.mkdir()
    with pytest.raises(ConfigError, match="link' is a symlink; delete the folder it points to"):
        delete_run(link)
    for wrong in (other, tmp_path / "missing", folder / "config.toml"):
        with pytest.raises(ConfigError, match=r"is not a run \(no config\.toml\)"):
            delete_run(wrong)
    assert folder.is_dir()
    assert other.is_dir()


def test_a_run_that_is_deleted_in_part_is_no_run_any_more(make_run, tmp_path, monkeypatch):
    folder = make_run("run", over())

    def refuse(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("shutil.rmtree", refuse)
    with pytest.raises(
        RunFailedError, match=r"all files of run run: Permission denied; remove '.*\.run\..*' yourself"
    ):
        delete_run(folder)
    assert list_runs(tmp_path) == []
    assert list(tmp_path.glob("*/config.toml")) == []


def test_a_run_that_cannot_be_moved_is_one_sentence(make_run, monkeypatch):
    folder = make_run("run", over())

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.rename", refuse)
    with pytest.raises(RunFailedError, match=r"cannot delete '.*run': Permission denied"):
        delete_run(folder)
    assert list_run(folder).state == "done"


def listed(tmp_path, name="run", config=None, **figures):
    summary = RunSummary(**figures)
    return ListedRun(name=name, folder=tmp_path, state="done", summary=summary, config=config or {})


@pytest.mark.parametrize(
    ("figures", "column", "text"),
    [
        ({"config": {"data": "auto"}, "data_title": "CIFAR-10"}, "data", "CIFAR-10"),
        ({"config": {"data": "synthetic"}, "data_title": "synthetic shapes"}, "data", "synthetic"),
        ({"config": {"data": "/some/where/flowers/"}, "data_title": "folder /some"}, "data", "flowers"),
        ({"config": {"data": "/some/flowers-of-the-alps"}}, "data", "flowers-of-th…"),
        ({"config": {"epochs": 5}, "epoch": 2}, "epoch", "2/5"),
        ({"best_accuracy": 0.54321}, "best", "54.32"),
        ({}, "last", "–"),
        ({"loss": 123_456.7}, "loss", "1.23e+05"),
        ({"train_seconds": 3723.4}, "time", "1 h 02 m"),
        ({"train_seconds": 221.4}, "time", "3 m 41 s"),
        ({"train_seconds": 59.6}, "time", "1 m 00 s"),
        ({}, "age", "–"),
    ],
)
def test_figures_are_short_and_unknown_ones_a_dash(tmp_path, figures, column, text):
    assert run_cells(listed(tmp_path, **figures))[column] == text


def test_nothing_in_a_table_can_wreck_the_screen(tmp_path):
    config = {"preset": "\n", "data": "\t", "epochs": "\r"}
    cells = run_cells(listed(tmp_path, name="a\x1b[2J\udcff", config=config))
    assert all(text.isprintable() for text in cells.values())


@pytest.mark.parametrize("text", ["x" * 300, "界" * 300, "x " * 150])
def test_what_is_too_long_for_a_table_is_cut(tmp_path, text):
    run = listed(tmp_path, name=text, config={"preset": text, "data": text, "epochs": text})
    widths = {column: cell_width(cell) for column, cell in run_cells(replace(run, title=text)).items()}
    assert {column: width for column, width in widths.items() if width > 40} == {}
    assert widths["name"] <= 28


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-5, "0 s"), (59.9, "59 s"), (60, "1 m"), (7200, "2 h"), (864_000, "10 d"), (8e7, "2 y")],
)
def test_an_age_is_told_in_its_largest_unit(seconds, text):
    assert age(seconds) == text
