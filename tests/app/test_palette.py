"""The palette offers what works in the view that it is opened over, and saves pictures of any screen."""

import re
import time
import xml.etree.ElementTree as ET

import pytest
from textual.command import CommandList, CommandPalette

from cifar_tui.app.dialogs.keys import KeysScreen
from cifar_tui.app.dialogs.picture import PictureScreen
from cifar_tui.app.dialogs.questions import QuitDialog
from cifar_tui.app.screenshot import write_screenshot
from cifar_tui.app.views.compare import CompareScreen
from cifar_tui.app.views.results import ResultsScreen
from cifar_tui.app.views.runs import RunsScreen
from cifar_tui.engine.config.file import config_to_toml
from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.events import Phase
from cifar_tui.runs.listing import list_runs
from tests.app.panes.pane_app import settled, until
from tests.app.views.results_app import MadeRun, three_classes
from tests.hostile import TEXTS
from tests.runs.made_events import STARTED, at, evaluated, point, record

SIZE = (120, 40)
TITLES = ("Confusion", "Runs", "Compare", "Image", "running")
"""A word of each of `screens`."""

IN_EVERY_VIEW = {"Screenshot", "Theme"}


def offered(app):
    """The commands by name, without their keys."""
    return {
        re.sub(r" \([^ ]+( [^ ]+)?\)$", "", command.title): command
        for command in app.get_system_commands(app.screen)
    }


@pytest.fixture
def checkpoints(tmp_path):
    for number in (1, 2):
        folder = tmp_path / "checkpoints" / f"run-{number}"
        folder.mkdir(parents=True)
        (folder / "config.toml").write_text(config_to_toml(TrainConfig(data="synthetic")))
        record(folder, at(number, STARTED), point(10, 2.0), evaluated(10, 60))
    return tmp_path / "checkpoints"


def text_of(svg):
    return "".join(ET.fromstring(svg).itertext()).replace("\xa0", " ")


async def opened(pilot, screen):
    pilot.app.push_screen(screen)
    await until(pilot, lambda: pilot.app.screen is screen)
    await settled(pilot)


async def chosen(pilot, text):
    """Choose a command as a user does."""
    await pilot.press("ctrl+p")
    await until(pilot, lambda: isinstance(pilot.app.screen, CommandPalette))
    await pilot.press(*text)
    listed = pilot.app.screen.query_one(CommandList)
    await until(pilot, lambda: listed.option_count and text in str(listed.get_option_at_index(0).prompt))
    await pilot.press("enter")
    await until(pilot, lambda: not isinstance(pilot.app.screen, CommandPalette))
    await settled(pilot)


def screens(app, checkpoints):
    """Every view and two dialogs, with some of what they do, and what only the dashboard does."""
    run = MadeRun(three_classes())
    runs = list_runs(checkpoints)
    return [
        (
            ResultsScreen(lambda: run, lambda shown: shown.name, app.size),
            {"Confusion", "Classes", "Gallery", "Next mistake", "Find file", "Copy", "Back", "Maximise"},
            {
                "Settings",
                "Train",
                "Log scale",
                "Smoothing",
                "Find setting",
                "Samples",
                "Cursor",
                "Checkpoint",
            },
        ),
        (
            RunsScreen(checkpoints),
            {"Filter", "Sort", "Mark", "Name", "Delete", "Copy path", "Open"},
            {"Settings", "Train", "Log scale", "Results", "Other chart", "Quit", "Compare"},
        ),
        (
            CompareScreen(runs, app.size),
            {"Curves", "Settings", "Images", "Baseline", "X axis", "Cursor", "Smoothing", "Copy"},
            {"Train", "Samples", "Results", "Find setting", "Quit"},
        ),
        (
            PictureScreen(three_classes(), [3, 4], 0, "all images"),
            {"Previous", "Next", "Copy", "Back"},
            {"Train", "Settings", "Quit", "Runs"},
        ),
        (QuitDialog(Phase.TRAINING, can_detach=True, name=""), set(), {"Train", "Settings", "Runs"}),
    ]


async def test_over_every_view_it_offers_what_works_there_and_nothing_else(app, checkpoints):
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        assert set(offered(app)) >= {"Settings", "Log scale", "Train", "Wrong only", "Copy", *IN_EVERY_VIEW}
        for (screen, works, fails), title in zip(screens(app, checkpoints), TITLES, strict=True):
            await opened(pilot, screen)
            if isinstance(screen, RunsScreen):
                await until(pilot, lambda: "Delete" in offered(app))
            names = set(offered(app))
            assert works | IN_EVERY_VIEW <= names, (screen, works - names)
            assert not fails & names, (screen, fails & names)
            assert "Up" not in names
            assert title in text_of(app.export_screenshot(simplify=True)), "as its screenshot shows it"
            app.pop_screen()
            await settled(pilot)


async def test_a_command_chosen_over_a_view_acts_on_it(app):
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        run = MadeRun(three_classes())
        view = ResultsScreen(lambda: run, lambda shown: shown.name, app.size)
        await opened(pilot, view)
        await chosen(pilot, "Gallery")
        assert app.screen is view
        assert view.focused_pane == "gallery"
        await chosen(pilot, "Wrong")
        assert view.gallery.filter.wrong_only
        await chosen(pilot, "Maxim")
        assert view.is_maximised


async def test_a_screenshot_is_an_svg_in_the_working_directory_without_the_palette(
    app, tmp_path, monkeypatch
):
    said = []
    monkeypatch.setattr(app, "notify", lambda text, **_: said.append(text))
    monkeypatch.chdir(tmp_path)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        await opened(pilot, KeysScreen("Keys", [], TEXTS["closing tags"] + TEXTS["title"] + "<&>"))
        await chosen(pilot, "Screenshot")
        await until(pilot, lambda: said)
        (path,) = tmp_path.glob("*.svg")
        assert said == [f"Saved the screenshot to '{path}'."]
        text = text_of(path.read_text())
        assert TEXTS["closing tags"] in text
        assert "<&>" in text
        assert "\x1b" not in text
        assert "Search for commands" not in text


def test_screenshots_of_one_second_are_files_of_their_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(time, "strftime", lambda _: "now")
    names = [write_screenshot(svg).name for svg in "abc"]
    assert names == ["cifar-tui-now.svg", "cifar-tui-now-2.svg", "cifar-tui-now-3.svg"]
    assert (tmp_path / names[1]).read_text() == "b"


async def test_a_screenshot_that_cannot_be_written_is_said_in_one_sentence(app, monkeypatch, tmp_path):
    said = []
    monkeypatch.setattr(app, "notify", lambda text, **_: said.append(text))
    monkeypatch.chdir("/proc/self")  # no file can be created there
    async with app.run_test(size=SIZE) as pilot:
        app.action_save_screenshot()
        await until(pilot, lambda: said)
        assert re.fullmatch(
            r"cannot save the screenshot 'cifar-tui-[\d-]+\.svg': .+; the folder was removed or renamed",
            said[0],
        )
        assert said.pop()
        gone = tmp_path / "gone"
        gone.mkdir()
        monkeypatch.chdir(gone)
        gone.rmdir()
        app.action_save_screenshot()
        await until(pilot, lambda: said)
        assert "the folder was removed" in said[0]
