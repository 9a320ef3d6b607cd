"""The dashboard as a whole: form, commands and dialogs, without a terminal."""

from textual.events import DescendantBlur
from textual.widgets import Input, Static

from cifar_tui.app.app import CifarApp
from cifar_tui.app.launch import Idle
from cifar_tui.app.panes.settings import SettingRow, SettingsPane
from cifar_tui.app.views.train import PANES
from cifar_tui.engine.config.schema import SETTINGS, TrainConfig, preset_values
from tests.app.views.runs_app import until


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
    app = CifarApp(Idle(config=config), checkpoints=tmp_path)
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
        description = SETTINGS["optimizer"].metadata["description"]
        entered.focus()
        await until(pilot, lambda: description in str(hint.render()))
        app.dashboard.settings.on_descendant_blur(DescendantBlur(left))
        assert description in str(hint.render())


async def test_a_row_that_is_being_mounted_is_written_to_read_and_locked(tmp_path, monkeypatch):
    """A run that is opened at the start locks the form, and a preset fills it in, as soon as there is one."""
    expected = TrainConfig(data="synthetic").replace(**{**preset_values("quick"), "preset": "quick"})
    read, mount_all = [], SettingsPane.mount_all

    def mount_and_write(pane, rows, **where):
        mounted = mount_all(pane, rows, **where)
        pane.show(expected)
        pane.locked = True
        read.append(pane.read())
        return mounted

    monkeypatch.setattr(SettingsPane, "mount_all", mount_and_write)
    app = CifarApp(Idle(config=TrainConfig(data="synthetic")), checkpoints=tmp_path)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: read)
        assert read == [expected]
        form = app.dashboard.settings
        await until(pilot, lambda: all(row.field.is_mounted for row in form.query(SettingRow)))
        assert form.read() == expected
        assert all(row.field.disabled for row in form.query(SettingRow))


async def test_a_preset_fills_in_all_that_its_recipe_is_made_of_and_the_tutorials_takes_it_back(app):
    async with app.run_test(size=(120, 40)) as pilot:
        form = app.dashboard.settings
        before = form.read()
        for name in ("speedrun", "quick", "tutorial"):
            form.set("preset", name)
            expected = before.replace(**{**preset_values(name), "preset": name})
            await until(pilot, lambda expected=expected: form.read() == expected)


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


async def test_a_number_brings_its_pane_to_the_front(app):
    async with app.run_test(size=(80, 24)) as pilot:
        panes = app.dashboard.query_one("#panes").children
        for key, pane in enumerate(PANES, start=1):
            await pilot.press(str(key))
            await until(pilot, lambda pane=pane: [child.id for child in panes if child.display] == [pane])


async def test_keys_of_the_view_reach_the_charts(app):
    async with app.run_test(size=(120, 40)) as pilot:
        training = app.dashboard.training
        await pilot.press("l", "plus", "plus", "minus", "z", "a")
        assert training.log_scale
        assert training.zoom == 1
        assert training.smoothing_level != 2
        assert training.accuracy_first
