"""The table of commands: bindings, help, palette, and what is enabled when."""

from pathlib import Path

from rich.console import Console
from textual.widgets import Static

from cifar_tui.app.commands import COMMAND_GROUPS, COMMANDS, is_enabled, palette_commands
from cifar_tui.app.dialogs.help import HelpScreen
from cifar_tui.app.widgets.footer import Footer
from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.events import CheckpointSaved, Phase, PhaseChanged, TrainingFinished
from cifar_tui.runs.control.protocol import Request
from cifar_tui.runs.live import LiveRun
from tests.app.panes.pane_app import trained, until
from tests.runs.made_events import evaluated

STARTED = trained(0)[-1]
FINISHED = TrainingFinished(completed=True, epoch=1, step=1, train_seconds=1.0, images=1, final_loss=1.0)


async def test_every_command_has_its_binding_its_action_and_its_line_of_help(app):
    async with app.run_test(size=(120, 40)) as pilot:
        bound = {
            binding.action for bindings in app._bindings.key_to_bindings.values() for binding in bindings
        }
        for command in COMMANDS:
            assert command.call in bound
            assert hasattr(app, f"action_{command.action}")
        await pilot.press("question_mark")
        assert isinstance(app.screen, HelpScreen)
        await pilot.pause()
        console = Console(width=100)
        with console.capture() as captured:
            for part in app.screen.query(Static):
                console.print(part.content)
        for description in (*(command.description for command in COMMANDS), "Delete the run (asks first)"):
            assert description in captured.get()
        await pilot.press("escape")
        assert not isinstance(app.screen, HelpScreen)


async def test_help_opens_once_at_a_time_and_again_after_it_was_closed(app):
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("question_mark")
        app.action_help()  # as from the palette
        assert len(app.screen_stack) == 2
        await pilot.press("escape", "question_mark")
        assert len(app.screen_stack) == 2
        assert isinstance(app.screen, HelpScreen)
        assert app.screen.query(Static)


async def test_the_palette_offers_what_is_enabled(app):
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        names = [command.title for command in app.get_system_commands(app.screen)]
        assert "Train (t)" in names
        assert "Stop (s)" not in names, "no run is active"
        offered = [command.call for command in palette_commands()]
        assert sorted([*offered, "command_palette()"]) == sorted({command.call for command in COMMANDS})


def enabled(run):
    return {
        command.request or " ".join((command.action, *map(str, command.arguments)))
        for command in COMMAND_GROUPS["Run"]
        if is_enabled(command.action, command.parameters, run)
    }


def test_what_is_enabled_follows_the_run(monkeypatch, tmp_path):
    run = LiveRun(TrainConfig(), checkpoints=Path())
    steering = {"toggle_pause pause", Request.SAVE, Request.EVALUATE}
    assert enabled(None) == enabled(run) == {"train", "range_test", "runs"}
    monkeypatch.setattr(LiveRun, "live", True)
    assert enabled(run) == {Request.STOP, "results", "runs"}, "it loads"
    run._emit(STARTED)
    monkeypatch.setattr(LiveRun, "folder", tmp_path)
    assert enabled(run) == {*steering, Request.STOP, "detach", "results", "runs"}
    run._emit(PhaseChanged(phase=Phase.PAUSED))
    assert enabled(run) - enabled(None) >= {"toggle_pause resume"}
    assert "toggle_pause pause" not in enabled(run)
    run._emit(PhaseChanged(phase=Phase.TRAINING))
    run._emit(FINISHED)
    assert enabled(run) == {Request.STOP, "detach", "results", "runs"}, "the last evaluation runs"
    monkeypatch.setattr(LiveRun, "live", False)
    assert enabled(run) == {"train", "range_test", "resume_run", "runs"}
    run._emit(CheckpointSaved(path="", step=1, reason="end"))
    assert enabled(run) == {"train", "range_test", "resume_run", "runs", Request.EVALUATE}
    run._state.apply(evaluated(1, 60, final=True))
    assert enabled(run) == {"train", "range_test", "results", "runs", Request.EVALUATE}, "all is done"


def test_a_run_shown_read_only_is_not_steered_and_a_finished_one_needs_more_epochs(monkeypatch, tmp_path):
    run = LiveRun(TrainConfig(epochs=2), checkpoints=Path())
    for event in (STARTED, FINISHED, evaluated(1, 60, final=True)):
        run._state.apply(event)
    monkeypatch.setattr(LiveRun, "folder", tmp_path)

    def resumable(epochs):
        return is_enabled("resume_run", (), run, form_epochs=lambda: epochs)

    assert not resumable(2)
    assert resumable(3)
    read_only = {
        command.request or command.action
        for command in COMMAND_GROUPS["Run"]
        if is_enabled(command.action, command.parameters, run, read_only=True, form_epochs=lambda: 3)
    }
    assert read_only == {"results", "runs", "back_to_own_run"}


async def test_the_footer_is_rebuilt_only_when_its_keys_change(app, monkeypatch):
    updates = []
    run = LiveRun(TrainConfig(), checkpoints=Path())
    async with app.run_test(size=(120, 40)) as pilot:
        keys = app.dashboard.query_one(Footer)

        def shown():
            return [(key.description, key.disabled) for key in keys.query("FooterKey")]

        await until(pilot, lambda: bool(shown()))
        built = list(keys.query("FooterKey"))
        await pilot.press("question_mark", "escape", "1", "escape")
        await pilot.pause()
        assert list(keys.query("FooterKey")) == built
        before = shown()
        app.dashboard.find_setting("epochs")
        displays = ["f3"]  # r is a letter now
        await until(pilot, lambda: [key.key_display for key in keys.query("FooterKey")] == displays)
        await pilot.press("escape")
        await until(pilot, lambda: shown() == before)

        app.dashboard.bindings_updated_signal.subscribe(app.dashboard, updates.append)
        app.presenter.run = run
        app._poll()
        await pilot.pause()
        count = len(updates)
        for step in range(3):
            run._emit(PhaseChanged(phase=Phase.LOADING, message=str(step)))
            app._poll()
        await pilot.pause()
        assert len(updates) == count
        monkeypatch.setattr(LiveRun, "live", True)
        app._poll()
        await pilot.pause()
        assert len(updates) == count + 1
        app.presenter.run = None
