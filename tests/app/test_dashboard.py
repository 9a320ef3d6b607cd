"""The dashboard as a whole: form, commands and dialogs, without a terminal."""

import pytest
from textual.widgets import Input

from cifar_tui.app.app import CifarApp
from cifar_tui.app.commands import COMMANDS, palette_commands
from cifar_tui.app.screens.help import HelpScreen
from cifar_tui.app.widgets.configuration import SettingRow
from cifar_tui.engine.config import TrainConfig
from cifar_tui.runs.live import LiveRun


@pytest.fixture
def app(tmp_path):
    return CifarApp(TrainConfig(epochs=7, data="synthetic"), checkpoints=tmp_path / "checkpoints")


def field(app, name):
    return app.dashboard.query_one(f"#setting-{name}", SettingRow).field


async def test_the_form_starts_with_the_settings_of_the_command_line(app):
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        assert app.dashboard.configuration.read() == TrainConfig(epochs=7, data="synthetic")


async def test_what_is_typed_into_the_form_is_what_is_trained(app):
    async with app.run_test(size=(120, 40)) as pilot:
        field(app, "learning_rate").value = "0.25"
        await pilot.pause()
        assert app.dashboard.configuration.read().learning_rate == 0.25


async def test_a_wrong_field_is_marked_and_nothing_is_started(app, monkeypatch):
    started = []
    monkeypatch.setattr(LiveRun, "start_training", started.append)
    async with app.run_test(size=(120, 40)) as pilot:
        field(app, "batch_size").value = "many"
        await pilot.press("t")
        await pilot.pause()
        row = app.dashboard.query_one("#setting-batch_size", SettingRow)
        assert row.has_class("-wrong")
        assert app.focused is row.field
        assert started == []


async def test_the_form_is_locked_while_a_run_is_live(app):
    async with app.run_test(size=(120, 40)) as pilot:
        app.dashboard.configuration.locked = True
        await pilot.pause()
        assert all(widget.disabled for widget in app.dashboard.configuration.query(Input))
        app.dashboard.configuration.locked = False
        await pilot.pause()
        assert not any(widget.disabled for widget in app.dashboard.configuration.query(Input))


async def test_every_command_has_its_binding_its_action_and_its_line_of_help(app):
    async with app.run_test(size=(120, 40)) as pilot:
        bound = {
            binding.action for bindings in app._bindings.key_to_bindings.values() for binding in bindings
        }
        for command in COMMANDS:
            assert command.action in bound
            assert hasattr(app, f"action_{command.action.partition('(')[0]}")
        await pilot.press("question_mark")
        assert isinstance(app.screen, HelpScreen)
        await pilot.press("escape")
        assert not isinstance(app.screen, HelpScreen)


async def test_the_palette_offers_what_can_be_done_now(app):
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        names = [command.title for command in app.get_system_commands(app.screen)]
        assert "Train (t)" in names
        assert "Stop (s)" not in names, "no run is live"
        assert len(palette_commands()) == len({command.action for command in COMMANDS})


@pytest.mark.parametrize(
    ("key", "pane"), list(enumerate(["configuration", "training", "samples", "summary", "log"], 1))
)
async def test_a_number_brings_its_pane_to_the_front(app, key, pane):
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press(str(key))
        await pilot.pause()
        shown = [child.id for child in app.dashboard.query_one("#panes").children if child.display]
        assert shown == [pane]


async def test_keys_of_the_view_reach_the_charts(app):
    async with app.run_test(size=(120, 40)) as pilot:
        training = app.dashboard.training
        await pilot.press("l", "plus", "plus", "minus", "z", "a")
        assert training.log_scale
        assert training.zoom == 1
        assert training.smoothing_level != 2
        assert training.accuracy_first
