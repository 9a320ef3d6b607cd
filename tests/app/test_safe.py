"""What others wrote is literal and harmless on every screen."""

import pytest
from rich.cells import cell_len
from textual.widgets import Static

from cifar_tui.app.app import CifarApp
from cifar_tui.app.dialogs.questions import DataDialog, QuitDialog, RecapDialog
from cifar_tui.app.dialogs.run_questions import (
    DeleteDialog,
    EpochsDialog,
    RenameDialog,
    ResumeDialog,
    StopDialog,
)
from cifar_tui.app.launch import Attach, Idle, Train
from cifar_tui.app.run import exit_message
from cifar_tui.app.safe import SafeApp
from cifar_tui.app.views.run_table import RunTable
from cifar_tui.app.views.runs import RunsScreen
from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.errors import ConfigError
from cifar_tui.engine.events import LoadingProgress, Phase
from cifar_tui.engine.text import cut, escaped
from cifar_tui.runs.resume_config import ResumePlan
from tests.app.panes.pane_app import until
from tests.hostile import TEXTS, hostile_run, write_hostile_runs

SMALL = [(80, 24), (60, 16)]


def screen_of(app):
    """The lines that go to the terminal, each of which must act on nothing and be as wide as the screen."""
    lines = app.screen._compositor.render_strips()
    for line in lines:
        assert line.text.isprintable(), repr(line.text)
        assert cell_len(line.text) == app.size.width, repr(line.text)
    return "\n".join(line.text for line in lines)


async def look_at_every_pane(app, pilot):
    for number in "12345":
        await pilot.press(number)
        await pilot.pause()
        screen_of(app)


@pytest.fixture(scope="module")
def hostile_runs(tmp_path_factory):
    """The checkpoints folder, with a run for each of `TEXTS`; every other one has a setting unknown here."""
    return write_hostile_runs(tmp_path_factory.mktemp("hostile"), unknown_every=2)


def has_unknown_setting(folder):
    return "[/red]" * 9 in (folder / "config.toml").read_text()


async def test_every_text_of_every_event_is_safe_where_all_panes_are_visible(started, tmp_path):
    app = CifarApp(Train(config=TrainConfig()), checkpoints=tmp_path)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await until(pilot, lambda: app.own_run)
        for text in TEXTS.values():
            for event in hostile_run(text):
                app.own_run._state.apply(event)
            app.presenter.show()
            await pilot.pause()
            screen_of(app)


@pytest.mark.parametrize("size", SMALL)
async def test_they_are_safe_where_one_pane_is_visible(started, tmp_path, size):
    app = CifarApp(Train(config=TrainConfig()), checkpoints=tmp_path)
    async with app.run_test(size=size, notifications=True) as pilot:
        await until(pilot, lambda: app.own_run)
        for text in (TEXTS["odd wide"], " ".join(text for text in TEXTS.values() if len(text) < 100)):
            for event in hostile_run(text):
                app.own_run._state.apply(event)
                if isinstance(event, LoadingProgress):
                    app.presenter.show()
                    await pilot.pause()
                    screen_of(app)
            app.presenter.show()
            await look_at_every_pane(app, pilot)


@pytest.mark.parametrize("size", SMALL)
async def test_every_name_is_safe_in_the_list_of_runs(hostile_runs, size):
    readable = min(folder for folder in hostile_runs.iterdir() if not has_unknown_setting(folder))
    app = CifarApp(Attach(folder=readable, config=TrainConfig()), checkpoints=hostile_runs)
    async with app.run_test(size=size, notifications=True) as pilot:
        await until(pilot, lambda: app.presenter.run and app.presenter.run.loaded)
        if app.presenter.run.recap:  # which the first to view the run sees
            await until(pilot, lambda: isinstance(app.screen, RecapDialog))
            screen_of(app)
            await pilot.press("escape")
            await until(pilot, lambda: app.screen is app.dashboard)
        screen_of(app)
        await pilot.press("r")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen))
        table = app.screen.query_one(RunTable)
        await until(pilot, lambda: table.row_count == len(TEXTS))
        for key in (
            "a",
            "s",
            "S",
            "v",
            "escape",
            "n",
            "enter",
            "escape",
            "x",
            "escape",
            "u",
            "slash",
            *"red]",
        ):
            await pilot.press(key)
            await pilot.pause()
            screen_of(app)
        await pilot.press("escape", "escape", "a")
        for row in range(len(TEXTS)):
            table.move_cursor(row=row)
            await pilot.pause()
            screen_of(app)


async def test_runs_of_others_are_safe_when_they_are_opened(hostile_runs):
    app = CifarApp(Idle(config=TrainConfig()), checkpoints=hostile_runs)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await pilot.pause()
        for folder in sorted(hostile_runs.iterdir())[::3]:
            if has_unknown_setting(folder):
                continue
            app.start(Attach(folder=folder, config=TrainConfig()))
            await until(pilot, lambda: app.presenter.run.loaded)
            app.presenter.show()
            await pilot.pause()
            screen_of(app)
            assert exit_message(app).replace("\n", "").isprintable()


def refuse(name):
    raise ConfigError(f"the run name '{name}' is taken")


@pytest.mark.parametrize("name", ["closing tag", "title", "wide"])
async def test_every_dialog_and_notice_shows_names_and_errors_literally(app, name):
    text = TEXTS[name]
    label, begin = cut(text, 28), escaped(text)[:5]
    changes = {"changed": {"data_dir": (text, "b")}, "kept": {"data": (text, f"{text}1")}}
    dialogs = [
        QuitDialog(Phase.TRAINING, can_detach=True, name=text),
        RecapDialog([f"! {text}", f"Status: failed ({text})"]),
        DataDialog(f"no such folder: '{text}'", text, attempt=2),
        DeleteDialog([label]),
        DeleteDialog([label, label], [label]),
        StopDialog([label]),
        StopDialog([label, label]),
        EpochsDialog(text, own=2, form=4, finished=False),
        ResumeDialog(text, ResumePlan(config=TrainConfig(), **changes)),
        RenameDialog(text, text, refuse),
    ]
    async with app.run_test(size=SMALL[1], notifications=True) as pilot:
        await pilot.pause()
        for dialog in dialogs:
            app.push_screen(dialog)
            await pilot.pause()
            assert begin in screen_of(app), dialog
            if isinstance(dialog, RenameDialog):
                await pilot.press("enter")
                await until(pilot, lambda: "✗ the run name" in screen_of(app))
            app.pop_screen()
        app.screen.notify(text, title=text)
        await until(pilot, lambda: begin in screen_of(app))


async def test_what_a_widget_shows_as_it_came_is_escaped_where_it_is_drawn():
    class Careless(SafeApp):
        def compose(self):
            yield Static(markup=False)

    app = Careless()
    async with app.run_test(size=SMALL[0]) as pilot:
        for text in TEXTS.values():
            app.query_one(Static).update(text)
            await pilot.pause()
            screen_of(app)


async def test_what_is_copied_reaches_the_terminal_as_base64_only(app, monkeypatch):
    written = []
    async with app.run_test():
        monkeypatch.setattr(app._driver, "write", written.append)
        for text in TEXTS.values():
            app.copy_to_clipboard(text)
        monkeypatch.undo()
    copies = [data for data in written if data.startswith("\x1b]52;c;")]
    assert len(copies) == len(TEXTS)
    assert all(data[1:-1].isprintable() for data in copies)
