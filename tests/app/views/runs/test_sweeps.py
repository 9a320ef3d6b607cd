"""The Runs view keeps the runs of a sweep together: folded and unfolded, marked, stopped and deleted."""

import shutil

import pytest

from cifar_tui.app.views import runs as runs_screen
from cifar_tui.engine.config.file import config_to_toml
from cifar_tui.engine.events import Phase, PhaseChanged, RunEnded, Validated
from cifar_tui.runs.control.protocol import Request
from cifar_tui.runs.disk.membership import Membership, write_membership
from cifar_tui.runs.disk.run_lock import Owner, RunLock
from cifar_tui.runs.sweep import tree
from cifar_tui.runs.sweep.store import Outcome, create_sweep, sweeps_folder, write_outcomes
from tests.app.panes.pane_app import until
from tests.app.views.runs_app import NEW, OLD, RunsApp, listed
from tests.runs.made_events import STARTED, at, evaluated, finished, record
from tests.runs.sweep.made_sweeps import made_plan

PLAN = made_plan(rates=(0.1, 0.2, 0.3), val_size=100)
"""Six runs: three learning rates with two seeds each."""


@pytest.fixture
def make_member(tmp_path):
    """Writes the run of a number in `PLAN`, done with so many of 100 validation and test images correct."""

    def make_member(number, correct, *, plan=PLAN, completed=True):
        folder = tmp_path / f"2026010{number}-120000"
        folder.mkdir()
        write_membership(folder, Membership(sweep=plan.name, number=number))
        record(
            folder,
            at(number, STARTED),
            Validated(epoch=3, step=300, correct=correct, total=100, loss=1.0, best=True),
            finished(completed=completed),
            *([evaluated(300, 100 - correct, final=True)] if completed else []),
            PhaseChanged(phase=Phase.DONE),
            RunEnded(exit_code=0),
        )
        (folder / "config.toml").write_text(config_to_toml(plan.config(number)))
        return folder

    return make_member


@pytest.fixture
def app(make_run, make_member, tmp_path):
    """A sweep of which five runs are done and one waits, and two ordinary runs, which are newer."""
    make_run(OLD)
    make_run(NEW, learning_rate=0.5)
    create_sweep(sweeps_folder(tmp_path) / PLAN.name, PLAN)
    for number, correct in enumerate((50, 60, 80, 70, 30), start=1):
        make_member(number, correct)
    return RunsApp(tmp_path)


def cells(app, key):
    """The cells of a column by its heading, without the arrow."""
    column = [str(column.label).strip(" ▼▲") for column in app.table.ordered_columns].index(key)
    return [row[column] for row in app.rows()]


async def test_a_sweep_is_a_row_with_one_for_each_group_below(app):
    async with app.run_test(size=(120, 40)) as pilot:
        await listed(pilot, 6)
        assert cells(app, "run") == [NEW, OLD, "▾ rates", "▸ lr 0.3", "▸ lr 0.2", "▸ lr 0.1"]
        best = "★ 75.00 ± 7.07"
        assert cells(app, "val") == ["–", "–", best, "30.00", best, "55.00 ± 7.07"]
        assert cells(app, "state")[2:] == ["■ 5/6 done", "■ 1/2 done", "✓ 2/2 done", "✓ 2/2 done"]
        assert app.table.max_scroll_x == 0


async def test_enter_unfolds_a_group_and_folds_the_sweep(app):
    async with app.run_test(size=(80, 23)) as pilot:
        await listed(pilot, 6)
        await pilot.press("down", "down", "down", "down", "enter")
        await listed(pilot, 8)
        assert cells(app, "run")[4:7] == ["▾ lr 0.2", "20260104-120000", "20260103-120000"]
        assert "  20260104" in app.text()
        assert cells(app, "val")[5:7] == ["70.00", "80.00"]
        assert app.choices == []
        await pilot.press("up", "up", "enter")
        await listed(pilot, 3)
        assert cells(app, "run") == [NEW, OLD, "▸ rates"]
        await pilot.press("enter")
        await listed(pilot, 8)
        await pilot.press("down", "down", "down", "enter")
        await until(pilot, lambda: app.choices)
        assert [choice.folder.name for choice in app.choices] == ["20260104-120000"]


async def test_the_line_below_says_how_the_runs_are_and_what_is_best(app):
    async with app.run_test(size=(120, 40)) as pilot:
        await listed(pilot, 6)
        await pilot.press("down", "down")
        await until(pilot, lambda: "sweep rates · 5 done, 1 waiting" in app.text())
        assert "★ lr 0.2 val 75.00 ± 7.07 %" in app.text()
        await pilot.press("down", "down")
        await until(pilot, lambda: "lr 0.2 · 2 done · val 75.00 ± 7.07 % · test 25.00 ± 7.07 %" in app.text())


async def test_a_hopeless_run_does_not_count(app, make_member, tmp_path):
    make_member(6, 99, completed=False)
    write_outcomes(sweeps_folder(tmp_path) / PLAN.name, {6: Outcome(hopeless_at=1)})
    async with app.run_test(size=(120, 40)) as pilot:
        await listed(pilot, 6)
        await pilot.press("down", "down")
        await until(pilot, lambda: "5 done, 1 hopeless" in app.text())
        assert cells(app, "state")[2] == "✓ 5/6 done"
        assert cells(app, "val")[3] == "30.00"
        await pilot.press("down", "enter")
        await listed(pilot, 8)
        assert cells(app, "state")[4:6] == ["▼ hopeless", "✓ done"]


async def test_space_on_a_group_marks_its_runs_which_v_compares(app):
    async with app.run_test(size=(120, 40)) as pilot:
        await listed(pilot, 6)
        await pilot.press("down", "down", "down", "down", "space")
        await until(pilot, lambda: "● 2 marked" in app.text())
        assert [row[0] for row in app.rows()] == ["", "", "", "", "●", ""]
        await pilot.press("up", "up", "space")
        await until(pilot, lambda: "● 5 marked" in app.text())
        assert [row[0] for row in app.rows()] == ["", "", "●", "●", "●", "●"]
        await pilot.press("space", "space")
        await until(pilot, lambda: "● 5 marked" in app.text())


async def test_a_filter_keeps_the_rows_above_what_it_finds(app):
    async with app.run_test(size=(120, 40)) as pilot:
        await listed(pilot, 6)
        await pilot.press("slash", *"lr=0.1", "enter")
        await listed(pilot, 2)
        assert cells(app, "run") == ["▾ rates", "▸ lr 0.1"]
        assert "2 of 7" in app.text()


async def test_sorting_by_validation_puts_the_best_group_first(app):
    async with app.run_test(size=(120, 40)) as pilot:
        await listed(pilot, 6)
        await pilot.press("s")
        await until(pilot, lambda: "by val ▼" in app.text())
        assert cells(app, "run")[:4] == ["▾ rates", "▸ lr 0.2", "▸ lr 0.1", "▸ lr 0.3"]


async def test_without_seeds_the_runs_are_below_the_sweep_and_the_best_is_marked(make_member, tmp_path):
    plan = made_plan(seeds=(0,), val_size=100)
    create_sweep(sweeps_folder(tmp_path) / plan.name, plan)
    make_member(1, 50, plan=plan)
    make_member(2, 60, plan=plan)
    app = RunsApp(tmp_path)
    async with app.run_test(size=(120, 40)) as pilot:
        await listed(pilot, 3)
        assert cells(app, "run") == ["▾ rates", "20260102-120000", "20260101-120000"]
        assert cells(app, "val") == ["★ 60.00", "★ 60.00", "50.00"]
        assert cells(app, "lr") == ["", "0.2", "0.1"]


async def test_x_stops_a_sweep_that_is_at_work(app, monkeypatch, tmp_path):
    stopped = []
    monkeypatch.setattr(tree, "owner_of", lambda folder: Owner(live=True, crashed=False))
    monkeypatch.setattr(runs_screen, "stop_sweep", stopped.append)
    async with app.run_test(size=(80, 23)) as pilot:
        await listed(pilot, 6)
        await pilot.press("down", "down", "x")
        await until(pilot, lambda: "Stop sweep rates?" in app.text())
        await pilot.press("s")
        await until(pilot, lambda: stopped == [sweeps_folder(tmp_path) / "rates"])
        assert app.notes == ["Stopping sweep rates…"]


async def test_x_deletes_a_sweep_with_its_runs(app, tmp_path):
    async with app.run_test(size=(80, 23)) as pilot:
        await listed(pilot, 6)
        await pilot.press("down", "down", "x")
        await until(pilot, lambda: "Delete these 5 runs" in app.text())
        await pilot.press("y")
        await listed(pilot, 2)
        await until(pilot, lambda: not (sweeps_folder(tmp_path) / "rates").exists())


async def test_runs_of_a_sweep_that_is_gone_are_ordinary_ones(app, tmp_path):
    (sweeps_folder(tmp_path) / "rates" / "plan.toml").write_text("damaged")
    async with app.run_test(size=(80, 23)) as pilot:
        await listed(pilot, 7)
        assert not any("rates" in name for name in cells(app, "run"))


async def test_a_sweep_whose_runs_failed_before_they_had_folders_is_listed_and_deleted(tmp_path):
    folder = sweeps_folder(tmp_path) / PLAN.name
    create_sweep(folder, PLAN)
    write_outcomes(folder, {number: Outcome(error="no such folder: '/a\x1b'") for number in PLAN.numbers})
    app = RunsApp(tmp_path)
    async with app.run_test(size=(120, 40)) as pilot:
        await listed(pilot, 1)
        assert (cells(app, "run"), cells(app, "state")) == (["▾ rates"], ["■ 0/6 done"])
        await until(pilot, lambda: r"sweep rates · 6 failed · no such folder: '/a\x1b'" in app.text())
        await pilot.press("slash", *"rates", "enter")
        await until(pilot, lambda: 'No runs match "rates"' in app.text())
        await pilot.press("escape")
        await listed(pilot, 1)
        await pilot.press("x")
        await until(pilot, lambda: "Delete sweep rates?" in app.text())
        await pilot.press("y")
        await until(pilot, lambda: not folder.exists())
        await until(pilot, lambda: "No runs in" in app.text())


async def test_a_sweep_without_runs_is_below_all_runs(make_run, tmp_path):
    make_run(OLD)
    create_sweep(sweeps_folder(tmp_path) / PLAN.name, PLAN)
    app = RunsApp(tmp_path)
    async with app.run_test(size=(120, 40)) as pilot:
        await listed(pilot, 2)
        assert cells(app, "run") == [OLD, "▾ rates"], "enter opens a run"


async def test_the_cursor_stays_on_a_copy_of_the_folder_of_a_sweep_and_x_deletes_the_copy(tmp_path):
    folder = sweeps_folder(tmp_path) / PLAN.name
    create_sweep(folder, PLAN)
    copy = shutil.copytree(folder, folder.with_name("a-copy"))
    app = RunsApp(tmp_path)
    async with app.run_test(size=(80, 23)) as pilot:
        await listed(pilot, 2)
        assert cells(app, "run") == ["▾ a-copy", "▾ rates"]
        await pilot.press("down", "enter")
        await until(pilot, lambda: cells(app, "run") == ["▾ a-copy", "▸ rates"])
        assert app.current() == "▸ rates"
        await pilot.press("up", "x")
        await until(pilot, lambda: "Delete sweep a-copy?" in app.text())
        await pilot.press("y")
        await until(pilot, lambda: not copy.exists())
        assert folder.exists()


async def test_x_stops_the_runs_of_a_sweep_whose_own_process_was_killed(make_member, monkeypatch, tmp_path):
    create_sweep(sweeps_folder(tmp_path) / PLAN.name, PLAN)
    run, asked = make_member(1, 50), []
    lock = RunLock(run)
    lock.acquire()
    monkeypatch.setattr(runs_screen, "send_request", lambda *request: asked.append(request))
    app = RunsApp(tmp_path)
    async with app.run_test(size=(80, 23)) as pilot:
        await listed(pilot, 2)
        await pilot.press("x")
        await until(pilot, lambda: f'Stop run "{run.name}"?' in app.text())
        await pilot.press("s")
        await until(pilot, lambda: asked == [(run, Request.STOP)])
    lock.release()
