"""The log pane shows every line with its time, follows the end, and stays where the reader put it."""

import time

import pytest
from textual.pilot import Pilot

from cifar_tui.app.panes.log import SIGNS, LogPane, LogView, wrapped
from cifar_tui.runs.log_line import LogLine
from tests.app.panes.pane_app import PaneApp, count_layouts, resized, settled


def lines(*texts: str, kind: str = "message") -> list[LogLine]:
    return [LogLine(time=1_700_000_000.0, text=text, kind=kind) for text in texts]


def numbered(count: int, start: int = 0) -> list[LogLine]:
    return lines(*(f"line {n}." for n in range(start, start + count)))


async def screen(pilot: Pilot[None]) -> str:
    await settled(pilot)
    assert isinstance(pilot.app, PaneApp)
    return pilot.app.text()


async def press(pilot: Pilot[None], *keys: str) -> None:
    pilot.app.query_one(LogPane).focus()
    await pilot.press(*keys)
    await settled(pilot)


async def test_an_empty_log_says_what_will_be_here() -> None:
    async with PaneApp(LogPane()).run_test(size=(40, 10)) as pilot:
        assert "Nothing logged yet" in await screen(pilot)


async def test_a_line_has_its_time_and_its_kind_a_sign() -> None:
    clock = time.strftime("%H:%M:%S", time.localtime(1_700_000_000))
    assert len(set(SIGNS.values())) == len(SIGNS)
    async with PaneApp(LogPane()).run_test(size=(80, 10)) as pilot:
        for kind in SIGNS:
            pilot.app.query_one(LogPane).add(lines(f"a {kind}", kind=kind))
        text = await screen(pilot)
        for kind, sign in SIGNS.items():
            assert f"{clock} {sign} a {kind}" in text


async def test_it_follows_the_end() -> None:
    async with PaneApp(LogPane()).run_test(size=(40, 10)) as pilot:
        for start in range(0, 100, 20):
            pilot.app.query_one(LogPane).add(numbered(20, start))
            text = await screen(pilot)
            assert f"line {start + 19}." in text
            assert "more below" not in text


async def test_another_line_does_not_lay_the_screen_out_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    async with PaneApp(LogPane()).run_test(size=(40, 10)) as pilot:
        pane = pilot.app.query_one(LogPane)
        pane.add(numbered(100))
        await settled(pilot)
        layouts = count_layouts(pilot.app, monkeypatch)
        pane.add(numbered(1, 100))
        assert "line 100." in await screen(pilot)
        assert layouts == []
        scrollbar = pane.query_one(LogView).vertical_scrollbar
        assert scrollbar.window_virtual_size == 101
        assert scrollbar.position == pane.query_one(LogView).max_scroll_y


async def test_it_stays_where_the_reader_put_it_and_says_that_there_is_more() -> None:
    async with PaneApp(LogPane()).run_test(size=(44, 10)) as pilot:
        pane = pilot.app.query_one(LogPane)
        pane.add(numbered(50))
        await screen(pilot)
        await press(pilot, "k", "k", "up")
        top = (await screen(pilot)).splitlines()[1]
        assert "line 39." in top
        pane.add(numbered(20, 50))
        text = await screen(pilot)
        assert text.splitlines()[1] == top
        assert "↓ 23 more below · press end to follow" in text


async def test_end_follows_again() -> None:
    async with PaneApp(LogPane()).run_test(size=(40, 10)) as pilot:
        pane = pilot.app.query_one(LogPane)
        pane.add(numbered(50))
        await screen(pilot)
        for key, count in (("end", 50), ("G", 55)):
            await press(pilot, "g")
            assert "line 0." in await screen(pilot)
            await press(pilot, key)
            pane.add(numbered(5, count))
            text = await screen(pilot)
            assert f"line {count + 4}." in text
            assert "more below" not in text


async def test_scrolling_down_to_the_end_follows_again() -> None:
    async with PaneApp(LogPane()).run_test(size=(40, 10)) as pilot:
        pane = pilot.app.query_one(LogPane)
        pane.add(numbered(20))
        await screen(pilot)
        await press(pilot, "k")
        await press(pilot, "j")
        pane.add(numbered(1, 20))
        assert "line 20." in await screen(pilot)


async def test_long_lines_wrap_and_wrap_again_when_the_width_changes() -> None:
    words = [f"word{n}" for n in range(20)]
    async with PaneApp(LogPane()).run_test(size=(40, 20)) as pilot:
        pilot.app.query_one(LogPane).add(lines(" ".join(words)))
        narrow = await screen(pilot)
        assert all(word in narrow for word in words)
        await resized(pilot, 100, 20)
        wide = await screen(pilot)
        assert all(word in wide for word in words)
        assert sum("word" in line for line in wide.splitlines()) < sum(
            "word" in line for line in narrow.splitlines()
        )


async def test_a_reader_keeps_the_line_at_the_top_when_the_width_changes() -> None:
    async with PaneApp(LogPane()).run_test(size=(40, 10)) as pilot:
        pilot.app.query_one(LogPane).add(lines(*(f"line {n}. " + "and so on " * 6 for n in range(50))))
        await screen(pilot)
        view = pilot.app.query_one(LogView)
        view.scroll_to(y=60, animate=False)
        top = (await screen(pilot)).splitlines()[1].split("and")[0].strip("│ ")
        assert "line 20." in top
        await resized(pilot, 90, 10)
        assert top in (await screen(pilot)).splitlines()[1]


async def test_it_is_bounded_and_the_text_does_not_move_under_the_reader() -> None:
    async with PaneApp(LogPane()).run_test(size=(40, 10)) as pilot:
        view = LogView(limit=100)
        await pilot.app.query_one(LogView).remove()
        await pilot.app.query_one(LogPane).mount(view)
        pane = pilot.app.query_one(LogPane)
        pane.add(numbered(100))
        await screen(pilot)
        view.scroll_to(y=50, animate=False)
        assert "line 50." in (await screen(pilot)).splitlines()[1]
        pane.add(numbered(30, 100))
        assert "line 50." in (await screen(pilot)).splitlines()[1]
        assert view.virtual_size.height == 100
        pane.add(numbered(200, 130))
        assert view.virtual_size.height == 100
        assert "line 230." in (await screen(pilot)).splitlines()[1]


async def test_a_new_run_starts_an_empty_log_that_follows() -> None:
    async with PaneApp(LogPane()).run_test(size=(40, 10)) as pilot:
        pane = pilot.app.query_one(LogPane)
        pane.add(numbered(50))
        await screen(pilot)
        await press(pilot, "g")
        pane.clear_lines()
        text = await screen(pilot)
        assert "line" not in text
        assert "more below" not in text
        pane.add(numbered(30))
        assert "line 29." in await screen(pilot)


async def test_a_line_is_one_line_whatever_is_in_it() -> None:
    async with PaneApp(LogPane()).run_test(size=(60, 10)) as pilot:
        pilot.app.query_one(LogPane).add(lines("a\x1b[31mb\tc\r\nd", ""))
        assert r"a\x1b[31mb\tc\r\nd " in await screen(pilot)


def test_words_longer_than_the_width_are_broken() -> None:
    assert wrapped("x" * 25, 10) == ["x" * 10, "x" * 10, "x" * 5]
    assert "".join(wrapped("漢字" * 10, 10)) == "漢字" * 10
