"""The Runs view: what its keys do to runs: resume, compare, delete, stop and name."""

import pytest

from cifar_tui.app.dialogs.run_questions import DeleteDialog, EpochsDialog, RenameDialog, StopDialog
from cifar_tui.app.panes.compared_settings import ComparisonTable
from cifar_tui.app.views import run_list
from cifar_tui.app.views import runs as runs_screen
from cifar_tui.app.views.compare import CompareScreen
from cifar_tui.app.views.run_table import MARK
from cifar_tui.app.views.runs import RunChoice
from cifar_tui.runs.control.protocol import Request
from cifar_tui.runs.disk.store import read_name, write_name
from cifar_tui.runs.listing import list_runs
from tests.app.panes.pane_app import until
from tests.app.views.runs_app import NEW, OLD, STOPPED, listed


def compared(app):
    """The headings and the rows of the comparison."""
    table = app.screen.query_one(ComparisonTable)
    rows = [table.get_row_at(row) for row in range(table.row_count)]
    headings = [column.label for column in table.ordered_columns]
    return [[str(cell).strip() for cell in cells] for cells in (headings, *rows)]


async def test_u_resumes_a_run_that_was_stopped(app, tmp_path):
    async with app.run_test(size=(80, 24)) as pilot:
        await listed(pilot)
        await pilot.press("down", "u")
        await until(pilot, lambda: app.choices)
        assert app.choices == [RunChoice(action="resume", folder=tmp_path / STOPPED)]


async def test_a_run_without_epochs_in_its_settings_is_resumed_without_a_question_about_them(app, tmp_path):
    (tmp_path / STOPPED / "config.toml").write_text("data = 'synthetic'\n")
    async with app.run_test(size=(80, 24)) as pilot:
        await listed(pilot)
        await pilot.press("down", "u")
        await until(pilot, lambda: app.choices)
        assert app.choices == [RunChoice(action="resume", folder=tmp_path / STOPPED)]


async def test_a_run_that_is_active_finished_or_broken_is_not_resumed_but_explained(app, live, tmp_path):
    live.add(NEW)
    (tmp_path / STOPPED / "config.toml").write_text("broken")
    async with app.run_test(size=(80, 24)) as pilot:
        await listed(pilot)
        await pilot.press("u", "j", "u", "j", "u")
        await until(pilot, lambda: len(app.notes) == 3)
        assert app.notes == [
            f"Run {NEW} is already running. Press enter to open it.",
            f"Run {STOPPED} cannot be resumed: its config.toml is unreadable.",
            f"Run {OLD} is already finished. To train longer, set more epochs in Settings first.",
        ]
        assert app.choices == []


async def test_runs_are_listed_no_more_while_a_comparison_covers_them(app, monkeypatch):
    listings = []

    def counted(checkpoints):
        listings.append(checkpoints)
        return list_runs(checkpoints)

    monkeypatch.setattr(runs_screen, "REFRESH_SECONDS", 0.02)
    monkeypatch.setattr(run_list, "list_runs", counted)
    async with app.run_test(size=(80, 24)) as pilot:
        await listed(pilot)
        await until(pilot, lambda: len(listings) > 3)
        await pilot.press("a", "v")
        await until(pilot, lambda: isinstance(app.screen, CompareScreen) and not app.runs._listing)
        count, polls = len(listings), app.screen._polls
        await until(pilot, lambda: app.screen._polls > polls + 1)
        assert len(listings) == count
        await pilot.press("escape")
        await until(pilot, lambda: len(listings) > count + 1)


async def test_runs_that_are_marked_are_compared(app):
    async with app.run_test(size=(80, 24)) as pilot:
        await listed(pilot)
        await pilot.press("space", "j", "space", "j", "space", "space")
        assert [row[0] for row in app.rows()] == [MARK, MARK, ""]
        assert "2 marked" in app.text()
        await pilot.press("v")
        await until(pilot, lambda: isinstance(app.screen, CompareScreen))
        await pilot.press("2")
        await until(pilot, lambda: app.screen.query_one(ComparisonTable).row_count)
        assert compared(app) == [
            ["run", "epochs", "lr", "epoch", "time", "state"],
            [NEW, "2", "0.5", "2/2", "1 m 15 s", "✓ done"],
            [STOPPED, "5", "0.001", "2/5", "1 m 15 s", "■ stopped"],
        ]
        await pilot.resize_terminal(60, 24)
        await until(pilot, lambda: compared(app)[0] == ["run", "epochs", "lr", "epoch", "time"])
        await pilot.press("l")
        assert compared(app)[0] == ["run", "lr", "epoch", "time", "state"]
        await until(pilot, lambda: "columns 2–5 of 5" in app.text())
        await pilot.press("end", "right")
        assert compared(app)[0] == ["run", "lr", "epoch", "time", "state"]
        await pilot.press("home")
        assert compared(app)[0] == ["run", "epochs", "lr", "epoch", "time"]
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.runs)


async def test_runs_with_the_same_settings_are_said_to_have_them(app, make_run):
    make_run("20260104-100000", learning_rate=0.5)
    async with app.run_test(size=(80, 24)) as pilot:
        await listed(pilot, 4)
        await pilot.press("space", "j", "space", "v", "2")
        await until(pilot, lambda: "identical" in app.text())


@pytest.mark.parametrize("keys", [["v"], ["space", "v"]], ids=["none", "one"])
async def test_fewer_than_two_runs_are_not_compared(app, keys):
    async with app.run_test(size=(80, 24)) as pilot:
        await listed(pilot)
        await pilot.press(*keys)
        await until(pilot, lambda: app.notes)
        assert "at least two" in app.notes[0]
        assert app.screen is app.runs


async def test_a_run_is_deleted_after_a_yes(app, tmp_path):
    async with app.run_test(size=(80, 24)) as pilot:
        await listed(pilot)
        await pilot.press("j", "x")
        await until(pilot, lambda: isinstance(app.screen, DeleteDialog) and app.focused)
        await pilot.press("y")
        await listed(pilot, 2)
        assert app.names() == [NEW, OLD]
        assert app.current() == OLD
        assert not (tmp_path / STOPPED).exists()


@pytest.mark.parametrize("key", ["enter", "escape", "n", "q"])
async def test_every_other_answer_keeps_the_run(app, tmp_path, key):
    async with app.run_test(size=(80, 24)) as pilot:
        await listed(pilot)
        await pilot.press("x")
        await until(pilot, lambda: isinstance(app.screen, DeleteDialog) and app.focused)
        assert app.focused.id == "keep"
        await pilot.press(key)
        await until(pilot, lambda: app.screen is app.runs)
        await pilot.app.workers.wait_for_complete()
        assert (tmp_path / NEW).exists()
        assert app.choices == []


async def test_a_live_run_is_stopped_instead_of_deleted_and_asked_for_first(app, live, monkeypatch):
    live.add(NEW)
    requests = []
    monkeypatch.setattr(runs_screen, "send_request", lambda *request: requests.append(request))
    async with app.run_test(size=(80, 24)) as pilot:
        await listed(pilot)
        await until(pilot, lambda: "x Stop" in app.text())
        for key in ("escape", "s"):
            await pilot.press("x")
            await until(pilot, lambda: isinstance(app.screen, StopDialog) and app.focused)
            await pilot.press(key)
            await until(pilot, lambda: app.screen is app.runs)
        await until(pilot, lambda: requests)
        assert requests == [(app.checkpoints / NEW, Request.STOP)]
        await pilot.press("j")
        await until(pilot, lambda: "x Delete" in app.text())


async def test_all_marked_runs_are_deleted_after_one_question_but_not_a_live_one(app, live, tmp_path):
    live.add(OLD)
    async with app.run_test(size=(80, 24)) as pilot:
        await listed(pilot)
        await pilot.press("a", "x")
        await until(pilot, lambda: "Delete these 2 runs?" in app.text())
        assert f"Still running, so kept: {OLD}" in app.text()
        await pilot.press("y")
        await listed(pilot, 1)
        assert [folder.name for folder in tmp_path.iterdir()] == [OLD]


async def test_x_leaves_the_marked_runs_alone_unless_the_cursor_is_on_one_of_them(app, live):
    live.add(NEW)
    async with app.run_test(size=(80, 24)) as pilot:
        await listed(pilot)
        await pilot.press("j", "space", "j", "space", "k", "k")
        await until(pilot, lambda: "● 2 marked · space unmarks · a marks all or none · " in app.text())
        await until(pilot, lambda: "x Stop" in app.text())
        await pilot.press("x")
        await until(pilot, lambda: f'Stop run "{NEW}"?' in app.text())
        await pilot.press("escape", "j")
        await until(pilot, lambda: "x Delete" in app.text())
        await pilot.press("x")
        await until(pilot, lambda: "Delete these 2 runs?" in app.text())


async def test_a_run_is_named_and_found_by_its_name(app, tmp_path):
    write_name(tmp_path / OLD, "first")
    async with app.run_test(size=(80, 24)) as pilot:
        await listed(pilot)
        await pilot.press("n")
        await until(pilot, lambda: isinstance(app.screen, RenameDialog) and app.focused)
        await pilot.press(*"first", "enter")
        await until(pilot, lambda: f"belongs to run {OLD}" in app.text())
        await pilot.press("space", *"quick", "enter")
        await until(pilot, lambda: "first quick" in [row[2] for row in app.rows()])
        assert read_name(tmp_path / NEW) == "first quick"
        assert app.current() == NEW


async def test_the_epochs_of_the_form_resume_a_finished_run_and_are_offered_for_a_stopped_one(app, tmp_path):
    app.form_epochs = 7
    async with app.run_test(size=(80, 24)) as pilot:
        await listed(pilot)
        await until(pilot, lambda: "u Resume" in app.text())
        await pilot.press("u")
        await until(pilot, lambda: isinstance(app.screen, EpochsDialog) and app.focused)
        assert "It has trained all its 2 epochs." in app.text()
        await pilot.press("escape", "j", "u")
        await until(pilot, lambda: "o 5 epochs, as it was started" in app.text())
        await pilot.press("f")
        await until(pilot, lambda: app.choices)
        assert app.choices == [RunChoice(action="resume", folder=tmp_path / STOPPED, epochs=7)]


async def test_a_run_that_became_live_while_the_user_was_asked_is_not_deleted(app, live, tmp_path):
    async with app.run_test(size=(80, 24)) as pilot:
        await listed(pilot)
        await pilot.press("x")
        await until(pilot, lambda: isinstance(app.screen, DeleteDialog) and app.focused)
        live.add(NEW)
        await pilot.press("y")
        await until(pilot, lambda: app.notes)
        assert NEW in app.notes[0]
        assert (tmp_path / NEW).exists()
