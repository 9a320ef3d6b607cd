"""The Runs view: what it shows, and what its keys do."""

import dataclasses
import threading
from pathlib import Path

import pytest
from textual.events import Key

from cifar_tui.app.dialogs.comparison import ComparisonScreen, ComparisonTable
from cifar_tui.app.dialogs.run_questions import DeleteDialog, EpochsDialog, RenameDialog, StopDialog
from cifar_tui.app.views import runs as runs_screen
from cifar_tui.app.views.run_table import MARK, FilterInput
from cifar_tui.app.views.runs import RunChoice
from cifar_tui.engine.config.file import config_to_toml
from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.events import Phase, PhaseChanged, RunEnded, TrainingFinished
from cifar_tui.runs import listing
from cifar_tui.runs.control.protocol import Request
from cifar_tui.runs.disk.run_lock import Owner
from cifar_tui.runs.disk.store import read_name, write_name
from tests.app.views.runs_app import NEW, OLD, STOPPED, RunsApp, listed, until
from tests.runs.made_events import record


@pytest.fixture
def make_run(tmp_path):
    def make(name, *, completed=True, **settings):
        folder = tmp_path / name
        folder.mkdir()
        config = TrainConfig(**{"data": "synthetic", **settings})
        finished = TrainingFinished(
            completed=completed, epoch=2, step=20, train_seconds=75.0, images=80, final_loss=1.0
        )
        record(folder, finished, PhaseChanged(phase=Phase.DONE), RunEnded(exit_code=0))
        (folder / "config.toml").write_text(config_to_toml(config))  # last: now it is a run
        return folder

    return make


@pytest.fixture
def app(make_run, tmp_path):
    make_run(OLD)
    make_run(STOPPED, completed=False, epochs=5)
    make_run(NEW, learning_rate=0.5)
    return RunsApp(tmp_path)


@pytest.fixture
def live(monkeypatch):
    """The names of the runs that a process owns."""
    names: set[str] = set()
    monkeypatch.setattr(listing, "owner_of", lambda folder: Owner(live=folder.name in names, crashed=False))
    return names


def compared(app):
    """The headings and the rows of the comparison."""
    table = app.screen.query_one(ComparisonTable)
    rows = [table.get_row_at(row) for row in range(table.row_count)]
    headings = [column.label for column in table.ordered_columns]
    return [[str(cell).strip() for cell in cells] for cells in (headings, *rows)]


async def test_the_newest_run_stands_first(app):
    async with app.run_test(size=(120, 40)) as pilot:
        await listed(pilot)
        assert app.names() == [NEW, STOPPED, OLD]
        assert app.rows()[1][:7] == ["", STOPPED, "■ stopped", "tutorial", "synthetic", "0.001", "2/5"]


@pytest.mark.parametrize(("size", "columns"), [((80, 24), 8), ((120, 40), 12), ((40, 12), 3)])
async def test_the_columns_that_fit_are_shown_whole(app, size, columns):
    async with app.run_test(size=size) as pilot:
        await listed(pilot)
        await pilot.pause()
        assert len(app.table.columns) == columns
        assert app.table.max_scroll_x == 0
        assert f" {NEW} " in app.text()


async def test_the_rows_are_never_wider_than_the_screen(app):
    async with app.run_test(size=(120, 24)) as pilot:
        await listed(pilot)
        for width in range(110, 50, -2):
            await pilot.resize_terminal(width, 24)
            await until(pilot, lambda width=width: app.table.size.width == width)
            await until(pilot, lambda: app.table.virtual_size.width <= app.table.size.width)


async def test_a_terminal_that_grows_shows_more(app):
    async with app.run_test(size=(80, 24)) as pilot:
        await listed(pilot)
        await pilot.press("j")
        await pilot.resize_terminal(120, 40)
        await until(pilot, lambda: len(app.table.columns) == 12)
        assert app.current() == STOPPED


async def test_j_k_home_and_end_move_and_enter_opens(app, tmp_path):
    async with app.run_test(size=(80, 24)) as pilot:
        await listed(pilot)
        await pilot.press("end")
        assert app.current() == OLD
        await pilot.press("home")
        assert app.current() == NEW
        await pilot.press("j", "j", "k", "enter")
        await until(pilot, lambda: app.choices)
        assert app.choices == [RunChoice(action="open", folder=tmp_path / STOPPED)]


async def test_u_resumes_a_run_that_was_stopped(app, tmp_path):
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


@pytest.mark.parametrize("key", ["escape", "q", "h"])
async def test_the_screen_is_left_without_a_choice(app, key):
    async with app.run_test(size=(80, 24)) as pilot:
        await listed(pilot)
        await pilot.press(key)
        await until(pilot, lambda: app.choices)
        assert app.choices == [None]


async def test_the_list_is_refreshed_and_the_cursor_stays_on_its_run(app, make_run, monkeypatch):
    monkeypatch.setattr(runs_screen, "REFRESH_SECONDS", 0.05)
    async with app.run_test(size=(80, 24)) as pilot:
        await listed(pilot)
        await pilot.press("j")
        newer = make_run("20260104-100000")
        await listed(pilot, 4)
        assert app.current() == STOPPED
        record(newer, PhaseChanged(phase=Phase.FAILED))
        await until(pilot, lambda: app.rows()[0][2] == "✗ failed")
        assert app.current() == STOPPED


async def test_a_list_that_is_scrolled_stays_where_it_is(app, make_run, monkeypatch):
    for number in range(60):
        make_run(f"20250101-{number:06d}")
    monkeypatch.setattr(runs_screen, "REFRESH_SECONDS", 0.05)
    async with app.run_test(size=(80, 24)) as pilot:
        await listed(pilot, 63)
        await pilot.press("pagedown", "pagedown", "j")
        current = app.current()
        await until(pilot, lambda: app.table.scroll_y > 0)
        make_run("20260104-100000")
        await listed(pilot, 64)
        await pilot.pause()
        assert app.current() == current
        row = app.table.cursor_row - round(app.table.scroll_y)
        assert 0 <= row < app.table.size.height


async def test_a_slow_disk_does_not_hold_the_screen_up_and_is_asked_once_at_a_time(app, monkeypatch):
    asked, answer = [], threading.Event()

    def slow(checkpoints):
        asked.append(checkpoints)
        assert answer.wait(60)
        return []

    monkeypatch.setattr(runs_screen, "list_runs", slow)
    monkeypatch.setattr(runs_screen, "REFRESH_SECONDS", 0.01)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: asked)
        for _ in range(10):
            await pilot.pause(0.02)
        assert "Listing runs…" in app.text()
        assert len(asked) == 1
        answer.set()
        await until(pilot, lambda: len(asked) > 1)


async def test_runs_that_are_marked_are_compared(app):
    async with app.run_test(size=(80, 24)) as pilot:
        await listed(pilot)
        await pilot.press("space", "j", "space", "j", "space", "space")
        assert [row[0] for row in app.rows()] == [MARK, MARK, ""]
        assert "2 marked" in app.text()
        await pilot.press("v")
        await until(pilot, lambda: isinstance(app.screen, ComparisonScreen))
        await until(pilot, lambda: app.screen.query_one(ComparisonTable).row_count)
        assert compared(app) == [
            ["run", "epochs", "lr", "epoch", "time", "state"],
            [NEW, "2", "0.5", "2/2", "1 m 15 s", "✓ done"],
            [STOPPED, "5", "0.001", "2/5", "1 m 15 s", "■ stopped"],
        ]
        await pilot.resize_terminal(40, 24)
        await until(pilot, lambda: compared(app)[0] == ["run", "epochs", "lr"])
        await pilot.press("l")
        assert compared(app) == [["run", "lr", "epoch"], [NEW, "0.5", "2/2"], [STOPPED, "0.001", "2/5"]]
        await until(pilot, lambda: "columns 2–3 of 5" in app.text())
        await pilot.press("end", "right")
        assert compared(app)[0] == ["run", "state"]
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.runs)


async def test_runs_with_the_same_settings_are_said_to_have_them(app, make_run):
    make_run("20260104-100000", learning_rate=0.5)
    async with app.run_test(size=(80, 24)) as pilot:
        await listed(pilot, 4)
        await pilot.press("space", "j", "space", "v")
        await until(pilot, lambda: "identical" in app.text())


@pytest.mark.parametrize("keys", [["v"], ["space", "v"]], ids=["none", "one"])
async def test_fewer_than_two_runs_are_not_compared(app, keys):
    async with app.run_test(size=(80, 24)) as pilot:
        await listed(pilot)
        await pilot.press(*keys)
        await until(pilot, lambda: app.notes)
        assert "at least two" in app.notes[0]
        assert app.screen is app.runs


async def test_the_filter_takes_every_key_and_escape_shows_all_again(app):
    async with app.run_test(size=(80, 24)) as pilot:
        await listed(pilot)
        await pilot.press("j", "slash", *"stop", "space", *"qxuvh/", "backspace", *["backspace"] * 6)
        await listed(pilot, 1)
        assert app.runs.query_one(FilterInput).value == "stop"
        assert app.current() == STOPPED
        assert "1 of 3" in app.text()
        await pilot.press("escape")
        await listed(pilot)
        assert not app.runs.query_one("#runs-filter").display
        assert app.focused is app.table
        assert app.current() == STOPPED


async def test_what_is_typed_ahead_of_the_filter_reaches_it(app):
    async with app.run_test(size=(80, 24)) as pilot:
        await listed(pilot)
        for key, character in (("slash", "/"), ("d", "d"), ("o", "o"), ("x", "x")):
            app.post_message(Key(key, character))
        await until(pilot, lambda: app.runs.query_one(FilterInput).value == "dox")


async def test_the_filter_can_be_kept_and_escape_lifts_it_before_it_leaves(app):
    async with app.run_test(size=(80, 24)) as pilot:
        await listed(pilot)
        await pilot.press("slash", *"DONE", "enter", "j")
        await listed(pilot, 2)
        assert app.current() == OLD
        await pilot.press("escape")
        await listed(pilot)
        assert app.choices == []
        await pilot.press("escape")
        await until(pilot, lambda: app.choices)


async def test_a_filter_that_nothing_passes_says_so(app):
    async with app.run_test(size=(80, 24)) as pilot:
        await listed(pilot)
        await pilot.press("slash", *"xyz")
        await until(pilot, lambda: 'No runs match "xyz"' in app.text())
        await pilot.press("escape", "j")
        await listed(pilot)
        assert app.current() == STOPPED


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


async def test_s_and_a_click_on_a_heading_sort(app):
    async with app.run_test(size=(120, 40)) as pilot:
        await listed(pilot)
        assert "run ▼" in app.text()
        await pilot.press("S")
        assert app.names() == [OLD, STOPPED, NEW]
        assert "by run ▲" in app.text()
        await pilot.press("s", "s", "s", "s")
        await until(pilot, lambda: "by lr ▲" in app.text())
        assert app.names() == [STOPPED, OLD, NEW]
        assert app.current() == NEW, "the cursor stays on its run"
        heading = app.text().splitlines()[1].index("lr ▲")
        await pilot.click(app.table, offset=(heading, 0))
        await until(pilot, lambda: "by lr ▼" in app.text())
        assert app.names() == [NEW, STOPPED, OLD]


async def test_the_epochs_of_the_form_resume_a_finished_run_and_are_offered_for_a_stopped_one(app, tmp_path):
    app.form_epochs = 7
    async with app.run_test(size=(80, 24)) as pilot:
        await listed(pilot)
        await until(pilot, lambda: "u Resume" in app.text())
        await pilot.press("u")
        await until(pilot, lambda: isinstance(app.screen, EpochsDialog) and app.focused)
        assert "It has trained all its 2 epochs." in app.text()
        await pilot.press("escape", "j", "u")
        await until(pilot, lambda: "o to its own 5 epochs" in app.text())
        await pilot.press("f")
        await until(pilot, lambda: app.choices)
        assert app.choices == [RunChoice(action="resume", folder=tmp_path / STOPPED, epochs=7)]


async def test_question_mark_shows_the_keys_of_this_screen(app):
    async with app.run_test(size=(80, 24)) as pilot:
        await listed(pilot)
        await pilot.press("question_mark")
        await until(pilot, lambda: "Sort by the next column" in app.text())
        for words in ("Name the run", "Stop a run that is active", "lr=0.01"):
            assert words in app.text()
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.runs)


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


async def test_without_runs_the_screen_says_how_to_get_one(tmp_path):
    app = RunsApp(tmp_path / "none")
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "No runs in" in app.text())
        assert "Press esc to go back, then t to train" in app.text()
        await pilot.press("enter", "u", "x", "v", "space", "j")
        assert app.choices == []
        await pilot.press("q")
        await until(pilot, lambda: app.choices)


async def test_a_place_that_cannot_be_read_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    app = RunsApp(tmp_path / "file")
    async with app.run_test(size=(120, 24)) as pilot:
        await until(pilot, lambda: "cannot read the checkpoints folder" in app.text())


async def test_the_footer_names_the_keys(app):
    async with app.run_test(size=(80, 24)) as pilot:
        await listed(pilot)
        await until(
            pilot,
            lambda: "enter Open space Mark / Filter x Delete ? Help esc Back s Sort n Name" in app.text(),
        )
        await pilot.press("j")
        await until(pilot, lambda: "enter Open u Resume space Mark / Filter" in app.text())
        assert "? Help esc Back s Sort n Name" in app.text()
        await pilot.press("space")
        await until(pilot, lambda: "enter Open space Mark v Compare / Filter" in app.text())
        assert "? Help esc Back" in app.text()


async def test_names_that_look_like_markup_are_shown_as_they_are(make_run, tmp_path):
    make_run("[b]run", data="[red]")
    app = RunsApp(tmp_path)
    async with app.run_test(size=(120, 24)) as pilot:
        await listed(pilot, 1)
        await until(pilot, lambda: "[b]run " in app.text() and "[red]" in app.text())
        await pilot.press("x")
        await until(pilot, lambda: "Delete run [b]run? This cannot be undone." in app.text())


def test_a_choice_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        RunChoice(action="open", folder=Path()).folder = Path("other")
