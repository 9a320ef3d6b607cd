"""The dashboard as a whole: form, commands and dialogs, without a terminal."""

from functools import partial
from pathlib import Path

import pytest
from rich.console import Console
from textual.events import DescendantBlur
from textual.widgets import Button, Input, Static

from cifar_tui.app.app import CifarApp
from cifar_tui.app.commands import COMMANDS, palette_commands
from cifar_tui.app.dialogs.dialogs import AwayDialog, DataDialog, DeleteDialog, QuitDialog
from cifar_tui.app.dialogs.help import HelpScreen
from cifar_tui.app.panes.settings.pane import SettingRow, SettingsPane
from cifar_tui.app.widgets.footer import Footer
from cifar_tui.app.widgets.line import Line
from cifar_tui.engine.config.presets import PRESETS
from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.events import Phase, PhaseChanged, TrainingFinished, TrainingStarted
from cifar_tui.runs.control.protocol import Request
from cifar_tui.runs.live import LiveRun
from cifar_tui.runs.state import Curves
from tests.app.panes.pane_app import until


@pytest.fixture
def app(tmp_path):
    return CifarApp(TrainConfig(epochs=7, data="synthetic"), checkpoints=tmp_path / "checkpoints")


def field(app, name):
    return app.dashboard.query_one(f"#setting-{name}", SettingRow).field


async def test_the_form_starts_with_the_settings_of_the_command_line(app):
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        assert app.dashboard.settings.read() == TrainConfig(epochs=7, data="synthetic")


async def test_settings_whose_rows_are_not_made_yet_are_those_that_were_given(tmp_path, monkeypatch):
    async def make_none(_):
        pass

    monkeypatch.setattr(SettingsPane, "_mount_other_rows", make_none)
    config = TrainConfig(epochs=7, data="synthetic", backend="eager", eval_every=0)
    app = CifarApp(config, checkpoints=tmp_path)
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        assert app.dashboard.settings.read() == config
        other = config.replace(backend="auto", val_size=5)
        app.dashboard.settings.show(other)
        assert app.dashboard.settings.read() == other


async def test_the_field_with_the_cursor_is_described_whichever_of_two_tells_first_of_a_move(app):
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        left, entered = field(app, "batch_size"), field(app, "optimizer")
        hint = app.dashboard.query_one("#settings-hint", Static)
        entered.focus()
        await until(pilot, lambda: "also after Nesterov" in str(hint.render()))
        app.dashboard.settings.on_descendant_blur(DescendantBlur(left))
        assert "also after Nesterov" in str(hint.render())


async def test_a_row_that_is_being_mounted_is_written_to_read_and_locked(tmp_path, monkeypatch):
    """A run that is opened at the start locks the form, and a preset fills it in, as soon as there is one."""
    expected = TrainConfig(data="synthetic").replace(**{**PRESETS["quick"], "preset": "quick"})
    read, mount_all = [], SettingsPane.mount_all

    def mount_and_write(pane, rows, **where):
        mounted = mount_all(pane, rows, **where)
        pane.show(expected)
        pane.locked = True
        read.append(pane.read())
        return mounted

    monkeypatch.setattr(SettingsPane, "mount_all", mount_and_write)
    app = CifarApp(TrainConfig(data="synthetic"), checkpoints=tmp_path)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: read)
        assert read == [expected]
        form = app.dashboard.settings
        await until(pilot, lambda: all(row.field.is_mounted for row in form.query(SettingRow)))
        assert form.read() == expected
        assert all(row.field.disabled for row in form.query(SettingRow))


async def test_what_is_typed_into_the_form_is_what_is_trained(app):
    async with app.run_test(size=(120, 40)) as pilot:
        field(app, "learning_rate").value = "0.25"
        await pilot.pause()
        assert app.dashboard.settings.read().learning_rate == 0.25


async def test_a_preset_fills_in_all_that_its_recipe_is_made_of_and_the_tutorials_takes_it_back(app):
    async with app.run_test(size=(120, 40)) as pilot:
        form = app.dashboard.settings
        before = form.read()
        for name in ("speedrun", "quick", "tutorial"):
            form.set("preset", name)
            expected = before.replace(**{**PRESETS[name], "preset": name})
            await until(pilot, lambda expected=expected: form.read() == expected)


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


async def test_settings_that_do_not_go_together_are_marked_and_nothing_is_started(app):
    async with app.run_test(size=(120, 40)) as pilot:
        field(app, "optimizer").value = "nesterov"
        field(app, "momentum").value = "0"
        await pilot.pause()
        assert app.dashboard.settings.read() is None
        await pilot.pause()
        row = app.dashboard.query_one("#setting-momentum", SettingRow)
        assert row.has_class("-wrong")
        assert app.focused is row.field


async def test_the_form_is_locked_while_a_run_is_live(app):
    async with app.run_test(size=(120, 40)) as pilot:
        app.dashboard.settings.locked = True
        await pilot.pause()
        assert all(widget.disabled for widget in app.dashboard.settings.query(Input))
        app.dashboard.settings.locked = False
        await pilot.pause()
        assert not any(widget.disabled for widget in app.dashboard.settings.query(Input))


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
        await pilot.pause()
        console = Console(width=100)
        with console.capture() as captured:
            for part in app.screen.query(Static):
                console.print(part.content)
        for description in (
            *(command.description for command in COMMANDS),
            "Delete the run, after a question",
        ):
            assert description in captured.get()
        await pilot.press("escape")
        assert not isinstance(app.screen, HelpScreen)


async def test_help_is_opened_once_at_a_time_and_again_after_it_was_closed(app):
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("question_mark")
        app.action_help()  # as from the palette
        assert len(app.screen_stack) == 2
        await pilot.press("escape", "question_mark")
        assert len(app.screen_stack) == 2
        assert isinstance(app.screen, HelpScreen)
        assert app.screen.query(Static)


async def test_the_line_of_keys_is_made_anew_only_where_other_keys_work(app):
    async with app.run_test(size=(120, 40)) as pilot:
        keys = app.dashboard.query_one(Footer)

        def shown():
            return [(key.description, key.disabled) for key in keys.query("FooterKey")]

        await until(pilot, lambda: bool(shown()))
        made = list(keys.query("FooterKey"))
        await pilot.press("question_mark", "escape", "2", "1")
        await pilot.pause()
        assert list(keys.query("FooterKey")) == made
        before = shown()
        app.dashboard.query_one("#setting-epochs", SettingRow).field.focus()
        await until(pilot, lambda: shown() != before)
        await pilot.press("escape")
        await until(pilot, lambda: shown() == before)


class Started:
    """What was asked of runs that are not really started."""

    def __init__(self, monkeypatch):
        self.trained, self.evaluated = [], []
        monkeypatch.setattr(LiveRun, "start_training", lambda run: self.trained.append(run.config))
        monkeypatch.setattr(
            LiveRun, "start_evaluation", lambda run, weights: self.evaluated.append((run.config, weights))
        )


async def test_after_an_evaluation_without_images_other_images_are_evaluated(tmp_path, monkeypatch):
    started = Started(monkeypatch)
    weights = tmp_path / "net.pth"
    app = CifarApp(TrainConfig(epochs=7), checkpoints=tmp_path, weights=weights)
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        app.push_screen(DataDialog("none", "auto"), app._on_data_answer)
        await pilot.pause()
        await pilot.click("#synthetic")
        await pilot.pause()
    assert started.trained == []
    assert started.evaluated[1:] == [(TrainConfig(epochs=7, data="synthetic"), weights)]


@pytest.mark.parametrize(
    ("screen", "answer"),
    [
        (QuitDialog(may_detach=True), ["stop"]),
        (DataDialog("none", "auto"), [None]),
        (DeleteDialog("20260101-000000"), [None]),
        (AwayDialog(["a line"]), [None]),
        (HelpScreen(), [None]),
    ],
)
async def test_ctrl_c_in_a_dialog_is_a_key_of_that_dialog(app, screen, answer):
    answers = []
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        app.push_screen(screen, answers.append)
        await pilot.pause()
        await pilot.press("ctrl+c")
        await pilot.pause()
        assert answers == answer
        assert app.screen is app.dashboard
        assert app.is_running


@pytest.mark.parametrize("in_front", [True, False])
@pytest.mark.parametrize(
    ("dialog", "harmless"),
    [
        (lambda: QuitDialog(may_detach=True), "stay"),
        (lambda: DeleteDialog("20260101-000000"), "keep"),
        (lambda: AwayDialog(["a line"]), "on"),
        (lambda: DataDialog("none", "auto"), "again"),
    ],
)
async def test_no_answer_of_a_box_but_the_harmless_one_has_the_focus_before_a_key(
    app, monkeypatch, dialog, harmless, in_front
):
    focused = []
    monkeypatch.setattr(Button, "watch_has_focus", lambda button, has: focused.append((button.id, has)))
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        app.app_focus = in_front
        app.push_screen(dialog())
        await pilot.pause()
        assert focused == [(harmless, True)]


@pytest.mark.parametrize(
    ("may_detach", "offered", "answers"),
    [(True, ["stop", "detach", "stay"], ["detach"]), (False, ["stop", "stay"], [])],
)
async def test_to_leave_a_run_to_itself_is_offered_where_it_has_a_folder(app, may_detach, offered, answers):
    given = []
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        app.push_screen(QuitDialog(may_detach=may_detach), given.append)
        await pilot.pause()
        assert [button.id for button in app.screen.query(Button)] == offered
        await pilot.press("d")
        await pilot.pause()
        assert given == answers


async def test_the_curves_of_another_run_are_gone_when_a_new_one_is_followed(app):
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        app.dashboard.training.show_curves(Curves(loss=[(1, 2.0), (2, 1.0)]))
        app._view.follow(LiveRun(TrainConfig(), checkpoints=Path()))
        assert app.dashboard.training._curves == Curves()


async def test_a_key_looks_closely_from_before_its_request_until_the_effect_is_seen(app, monkeypatch):
    run = LiveRun(TrainConfig(), checkpoints=Path())
    run._emit(PhaseChanged(phase=Phase.PAUSED))
    shown = []
    async with app.run_test(size=(120, 40)) as pilot:
        app._view.follow(run)
        monkeypatch.setattr(app.dashboard, "show_run", lambda run: shown.append(run.snapshot().phase))
        # the run is quicker than whoever looks
        app._view.show_effect_of(lambda: run._emit(PhaseChanged(phase=Phase.TRAINING)))
        await until(pilot, lambda: shown == [Phase.TRAINING])
        app._view.show_effect_of(lambda: run._emit(PhaseChanged(phase=Phase.SAVING)))
        await until(pilot, lambda: shown == [Phase.TRAINING, Phase.SAVING])
        run._emit(PhaseChanged(phase=Phase.PAUSED))
        await until(pilot, lambda: shown == [Phase.TRAINING, Phase.SAVING, Phase.PAUSED])


async def test_a_key_that_has_to_wait_for_a_step_is_answered_meanwhile(app):
    run = LiveRun(TrainConfig(), checkpoints=Path())
    run._emit(PhaseChanged(phase=Phase.TRAINING))
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        app._view.follow(run)
        app.dashboard.show_run(run)
        line = app.dashboard.query_one("#state", Line)
        for request, said in ((Request.PAUSE, "‖ pausing · ▶ training"), (Request.RESUME, "▶ training")):
            app._view.show_effect_of(partial(run.request, request))
            await until(pilot, lambda said=said: line.plain == said)


async def test_a_training_is_steered_only_while_it_trains(app, monkeypatch):
    started = TrainingStarted(
        run="r", config={}, device="cpu", parameters=1, steps_per_epoch=1, total_steps=1, torch_version=""
    )
    finished = TrainingFinished(completed=True, epoch=1, step=1, train_seconds=1.0, images=1, final_loss=1.0)
    run = LiveRun(TrainConfig(), checkpoints=Path())
    monkeypatch.setattr(LiveRun, "live", True)
    async with app.run_test(size=(120, 40)):
        app._run = run
        steering = ("pause_or_resume", "save", "evaluate")
        assert not any(app.check_action(action, ()) for action in steering), "it loads"
        run._emit(started)
        assert all(app.check_action(action, ()) for action in steering)
        run._emit(finished)
        assert not any(app.check_action(action, ()) for action in steering), "the last evaluation runs"
        assert app.check_action("stop", ())
        app._run = None


async def test_the_footer_is_made_anew_only_when_other_commands_can_be_used(app, monkeypatch):
    updates = []
    async with app.run_test(size=(120, 40)) as pilot:
        app.dashboard.bindings_updated_signal.subscribe(app.dashboard, updates.append)
        app._run = LiveRun(TrainConfig(), checkpoints=Path())
        app._poll()
        app._poll()
        await pilot.pause()
        before = len(updates)
        for step in range(3):
            app._run._emit(PhaseChanged(phase=Phase.LOADING, message=str(step)))
            app._poll()
        await pilot.pause()
        assert len(updates) == before
        monkeypatch.setattr(LiveRun, "live", True)
        app._poll()
        await pilot.pause()
        assert len(updates) == before + 1
        app._run = None


async def test_the_palette_offers_what_can_be_done_now(app):
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        names = [command.title for command in app.get_system_commands(app.screen)]
        assert "Train (t)" in names
        assert "Stop (s)" not in names, "no run is live"
        assert len(palette_commands()) == len({command.action for command in COMMANDS})


@pytest.mark.parametrize(
    ("key", "pane"), list(enumerate(["settings", "training", "samples", "summary", "log"], 1))
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
