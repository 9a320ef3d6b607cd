"""The Runs view: what it shows, how it is moved through, and its filter and order."""

import dataclasses
import threading
from pathlib import Path

import pytest
from textual.events import Key

from cifar_tui.app.views import run_list
from cifar_tui.app.views import runs as runs_screen
from cifar_tui.app.views.run_table import FilterInput
from cifar_tui.app.views.runs import RunChoice
from cifar_tui.engine.events import Phase, PhaseChanged
from tests.app.panes.pane_app import until
from tests.app.views.runs_app import NEW, OLD, STOPPED, RunsApp, listed
from tests.runs.made_events import record


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


async def test_enter_opens_the_run_under_the_cursor_whatever_is_typed_next(app, tmp_path):
    async with app.run_test(size=(80, 24)) as pilot:
        await listed(pilot)
        for key in ("enter", "j"):
            app.post_message(Key(key, key))
        await until(pilot, lambda: app.choices)
        assert app.choices == [RunChoice(action="open", folder=tmp_path / NEW)]


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
    for number in range(25):
        make_run(f"20250101-{number:06d}")
    monkeypatch.setattr(runs_screen, "REFRESH_SECONDS", 0.5)
    async with app.run_test(size=(80, 24)) as pilot:
        await listed(pilot, 28)
        await pilot.press("pagedown", "pagedown", "j")
        current = app.current()
        await until(pilot, lambda: app.table.scroll_y > 0)
        make_run("20260104-100000")
        await listed(pilot, 29)
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

    monkeypatch.setattr(run_list, "list_runs", slow)
    monkeypatch.setattr(runs_screen, "REFRESH_SECONDS", 0.01)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: asked)
        for _ in range(10):
            await pilot.pause(0.02)
        assert "Listing runs…" in app.text()
        assert len(asked) == 1
        answer.set()
        await until(pilot, lambda: len(asked) > 1)


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


async def test_a_key_right_after_the_filter_is_for_a_run_that_matches_it(app):
    async with app.run_test(size=(80, 24)) as pilot:
        await listed(pilot)
        assert app.current() == NEW
        await pilot.press("slash")
        app.runs.query_one(FilterInput).value = STOPPED  # the screen has yet to hear of it
        app.runs.action_keep_filter()
        assert app.current() == STOPPED


async def test_the_filter_can_be_kept_and_escape_lifts_it_before_it_leaves(app):
    async with app.run_test(size=(80, 24)) as pilot:
        await listed(pilot)
        await pilot.press("slash", *"DONE", "enter", "j")
        await listed(pilot, 2)
        assert app.current() == OLD
        await until(pilot, lambda: "esc Show all" in app.text())
        await pilot.press("escape")
        await until(pilot, lambda: "esc Back" in app.text())
        await listed(pilot)
        assert app.choices == []
        await pilot.press("escape")
        await until(pilot, lambda: app.choices)


async def test_a_filter_that_nothing_passes_says_so(app):
    async with app.run_test(size=(80, 24)) as pilot:
        await listed(pilot)
        await pilot.press("slash", *"xyz")
        await until(pilot, lambda: 'No runs match "xyz"' in app.text())
        await pilot.press("enter")
        await until(pilot, lambda: "esc Show all" in app.text())
        await pilot.press("escape", "j")
        await listed(pilot)
        assert app.current() == STOPPED


async def test_s_and_a_click_on_a_heading_sort(app):
    async with app.run_test(size=(120, 40)) as pilot:
        await listed(pilot)
        assert "run ▼" in app.text()
        await pilot.press("S")
        assert app.names() == [OLD, STOPPED, NEW]
        assert "by run ▲" in app.text()
        await pilot.press("s")
        await until(pilot, lambda: "by best test ▼" in app.text())
        await pilot.press("s", "s", "s")
        await until(pilot, lambda: "by lr ▲" in app.text())
        assert app.names() == [STOPPED, OLD, NEW]
        assert app.current() == NEW, "the cursor stays on its run"
        heading = app.text().splitlines()[1].index("lr ▲")
        await pilot.click(app.table, offset=(heading, 0))
        await until(pilot, lambda: "by lr ▼" in app.text())
        assert app.names() == [NEW, STOPPED, OLD]


async def test_question_mark_shows_the_keys_of_this_screen(app):
    async with app.run_test(size=(80, 24)) as pilot:
        await listed(pilot)
        await pilot.press("question_mark")
        await until(pilot, lambda: "Sort by the next column, or reverse (S)" in app.text())
        for words in ("Name the run", "Stop a run that is active", "lr=0.01"):
            assert words in app.text()
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.runs)


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
            lambda: "enter Open space Mark / Filter x Delete ? Help esc Back s/S Sort n Name" in app.text(),
        )
        await pilot.press("j")
        await until(pilot, lambda: "enter Open u Resume space Mark / Filter" in app.text())
        assert "? Help esc Back s/S Sort n Name" in app.text()
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
        await until(pilot, lambda: 'Delete run "[b]run"? This cannot be undone.' in app.text())


def test_a_choice_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        RunChoice(action="open", folder=Path()).folder = Path("other")
