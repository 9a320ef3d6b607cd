"""The form under the fingers: what each key does on each kind of row, at two sizes."""

import pytest
from textual.command import CommandList
from textual.events import Key
from textual.widgets import Static

from cifar_tui.app.app import CifarApp
from cifar_tui.app.dialogs.choices import Choices
from cifar_tui.app.find_setting import relevance
from cifar_tui.app.launch import Idle
from cifar_tui.app.panes.settings.field import Field
from cifar_tui.app.panes.settings.view import FormView
from cifar_tui.engine.config.fields import Group
from cifar_tui.engine.config.schema import SETTINGS, TrainConfig
from tests.app.panes.pane_app import PaneApp, until


class Fingers:
    """The app, its form, and what is under the cursor."""

    def __init__(self, app: CifarApp, pilot) -> None:
        self.app, self.press, self.pilot = app, pilot.press, pilot
        self.form = app.dashboard.settings
        self.view, self.field = app.dashboard.query_one(FormView), app.dashboard.query_one(Field)

    @property
    def row(self) -> str:
        """The row that has the cursor."""
        return self.view.current.key

    @property
    def hint(self) -> str:
        return str(self.app.dashboard.query_one("#settings-hint", Static).render())

    def value(self, name: str) -> object:
        config = self.form.read()
        assert config is not None
        return getattr(config, name)

    async def go(self, name: str) -> None:
        self.app.dashboard.find_setting(name)
        await self.pilot.pause()

    async def write(self, text: str) -> None:
        await self.press("ctrl+u", *text)


@pytest.fixture
async def fingers(app: CifarApp):
    async with app.run_test(size=(80, 24)) as pilot:
        yield Fingers(app, pilot)


async def test_arrows_tab_and_enter_move_and_keep_what_is_typed(fingers):
    await fingers.press("1", "down", "down", "down")
    assert fingers.row == "epochs"
    await fingers.press("backspace", "9", "down")
    assert (fingers.row, fingers.value("epochs")) == ("batch_size", 9)
    await fingers.press("end", "0", "up", "1", "tab")
    assert (fingers.value("epochs"), fingers.value("batch_size")) == (91, 40)
    await fingers.press("8", "enter")
    assert (fingers.row, fingers.value("batch_size")) == ("learning_rate", 408)
    await fingers.press("shift+tab")
    assert fingers.row == "batch_size"


async def test_a_wrong_value_is_marked_when_it_is_left_and_enter_does_not_leave_it(fingers):
    await fingers.go("epochs")
    await fingers.write("many")
    assert "✗" not in fingers.hint, "it is still being typed"
    assert fingers.view.form.errors == {}
    await fingers.press("down")
    assert (fingers.row, list(fingers.view.form.errors)) == ("batch_size", ["epochs"])
    await fingers.press("up", "enter")
    assert fingers.row == "epochs"
    await until(fingers.pilot, lambda: "✗ 'many' must be a whole number" in fingers.hint)
    await fingers.press("down", "escape", "t")
    await until(fingers.pilot, lambda: fingers.row == "epochs")
    assert fingers.app.presenter.run is None, "nothing was started"
    await fingers.write("3")
    await fingers.press("enter")
    assert (fingers.row, fingers.value("epochs")) == ("batch_size", 3)


async def test_a_choice_changes_with_arrows_and_has_a_list_with_explanations(fingers):
    await fingers.press("1", "right")
    assert (fingers.row, fingers.value("preset")) == ("preset", "quick")
    assert (fingers.value("model"), fingers.value("epochs")) == ("airbench-tiny", 4)
    await fingers.press("left", "enter")
    await until(fingers.pilot, lambda: isinstance(fingers.app.screen, Choices))
    await fingers.press("j", "down", "k", "enter")
    await until(fingers.pilot, lambda: fingers.row == "data")
    assert fingers.value("preset") == "quick"
    await fingers.go("preset")
    await fingers.press("enter", "down", "escape")
    assert fingers.value("preset") == "quick"


async def test_another_preset_says_that_it_replaced_values_until_the_cursor_moves(fingers):
    await fingers.press("1", "right")
    await until(fingers.pilot, lambda: "quick: replaced 1 changed value · going back to" in fingers.hint)
    await fingers.press("left")
    await until(fingers.pilot, lambda: "tutorial: brought back 1 changed value" in fingers.hint)
    assert fingers.value("epochs") == 7
    await fingers.press("enter")
    await until(fingers.pilot, lambda: isinstance(fingers.app.screen, Choices))
    await fingers.press("down", "enter")
    await until(fingers.pilot, lambda: fingers.row == "data" and "quick: replaced 1" in fingers.hint)
    await fingers.press("up")
    await until(fingers.pilot, lambda: "recipe" in fingers.hint)


async def test_headings_fold_and_unfold_and_arrows_pass_them(fingers):
    for group in list(Group)[1:]:
        fingers.view.form.fold(group, folded=True)
    await fingers.go("seed")
    await fingers.press("down")
    assert fingers.row == "Images"
    await fingers.press("down")
    assert fingers.row == "Weights"
    await fingers.press("down", "right", "down")
    assert fingers.row == "optimizer"
    await fingers.press("up", "enter", "down")
    assert fingers.row == "Schedule"
    await fingers.press("enter", "down")
    assert fingers.row == "lr_schedule"


async def test_the_cursor_is_always_on_the_screen(fingers):
    for group in ("Optimizer", "Schedule", "Machine"):
        fingers.view.form.fold(group, folded=False)
    await fingers.press("1", "up")
    rows = []
    while True:
        await fingers.pilot.pause()
        rows.append(fingers.row)
        assert fingers.view.region.contains_region(fingers.field.region), fingers.row
        if not fingers.form.move(1):
            break
    assert rows[-1] == "data_dir"
    fingers.view.scroll_home(animate=False)
    await until(fingers.pilot, lambda: fingers.view.region.contains_region(fingers.field.region))
    assert fingers.row != "data_dir", "the wheel takes the cursor along"


async def test_letters_are_text_in_a_text_and_commands_elsewhere(fingers, started):
    await fingers.go("data")
    await fingers.write("stq")
    assert fingers.field.value == "stq"
    await fingers.write("synthetic")
    await fingers.press("down", "t")
    await until(fingers.pilot, lambda: started.trained)
    assert started.trained[0].config.data == "synthetic"


@pytest.mark.parametrize("keys", [("ctrl+t",), ("alt+t",), ("escape", "t")])
async def test_training_starts_from_within_a_text_with_what_is_typed(fingers, started, keys):
    await fingers.go("learning_rate")
    await fingers.write("0.25")
    await fingers.press(*keys)
    await until(fingers.pilot, lambda: started.trained)
    assert started.trained[0].config == TrainConfig(epochs=7, data="synthetic", learning_rate=0.25)


@pytest.mark.parametrize("keys", [("ctrl+t",), ("escape", "t")])
async def test_a_folder_that_does_not_exist_is_refused_in_the_form(fingers, started, keys):
    await fingers.go("data")
    await fingers.write("no/such")
    await fingers.press(*keys)
    await until(fingers.pilot, lambda: "✗ 'no/such' is not a folder" in fingers.hint)
    assert (fingers.row, fingers.form.has_cursor, started.trained) == ("data", True, [])


async def test_a_setting_is_found_from_within_a_number_but_not_a_path(fingers):
    await fingers.go("data")
    await fingers.write("a/b")
    assert fingers.field.value == "a/b"
    await fingers.go("batch_size")
    await fingers.press("8", "slash")
    await until(fingers.pilot, lambda: fingers.app.screen is not fingers.app.dashboard)
    await fingers.press("escape")
    assert fingers.view.form.text("batch_size") == "48"


@pytest.mark.parametrize("size", [(60, 16), (80, 24), (120, 40)])
async def test_the_keys_of_every_row_are_visible(app, size):
    async with app.run_test(size=size) as pilot:
        fingers = Fingers(app, pilot)
        for name in SETTINGS:
            await fingers.go(name)
            assert fingers.hint.endswith("esc leave"), name
            assert PaneApp.text(app).count("esc leave") == 1, name
        await fingers.go("weight_decay")
        beside = app.dashboard.query_one("#settings-about").display
        assert ("…" in fingers.hint, "rescaled" in fingers.hint) == (not beside, not beside)


async def test_the_end_of_a_long_path_is_visible_beside_the_scrollbar(tmp_path):
    config = TrainConfig(data="/a/long/path" * 9 + "/the-end")
    app = CifarApp(Idle(config=config), checkpoints=tmp_path)
    async with app.run_test(size=(60, 16)) as pilot:
        view = app.dashboard.query_one(FormView)
        await until(pilot, lambda: view.show_vertical_scrollbar)
        row = app.screen._compositor.render_strips()[view.region.y + 2].text
        assert row[: view.scrollable_content_region.right].endswith("/the-end")


async def test_a_value_is_reset_to_that_of_the_preset(fingers):
    await fingers.go("epochs")
    assert "^r reset to 2" in fingers.hint
    await fingers.press("ctrl+r")
    assert fingers.value("epochs") == 2
    assert "^r" not in fingers.hint
    await fingers.press("3")
    assert fingers.value("epochs") == 23


async def test_what_is_typed_replaces_a_word_and_is_added_to_a_number(fingers):
    await fingers.go("bias_lr")
    assert fingers.field.value == "same as learning_rate"
    await fingers.press(*"0.5")
    assert fingers.value("bias_lr") == 0.5
    await fingers.press("down")
    assert (fingers.row, fingers.field.value) == ("head_lr", "same as learning_rate")
    await fingers.press("down", "up", "2", "down")
    assert fingers.value("head_lr") == 2
    await fingers.press("up", "5")
    assert fingers.value("head_lr") == 25, "a number continues"
    await fingers.press("ctrl+r", "end", "backspace")
    assert fingers.field.value == "same as learning_rat", "a word can be edited"


async def test_a_setting_is_found_by_a_part_of_its_name(fingers):
    await fingers.press("slash")
    await until(fingers.pilot, lambda: fingers.app.screen is not fingers.app.dashboard)
    await fingers.press(*"moment")
    await until(fingers.pilot, lambda: fingers.app.screen.query_one(CommandList).option_count == 1)
    await fingers.press("enter")
    await until(fingers.pilot, lambda: fingers.row == "momentum")
    assert fingers.field.value == "0.9"


async def test_a_locked_form_can_be_read_but_not_changed(fingers):
    before = fingers.form.read()
    fingers.form.locked = True
    await fingers.press("1", "right", "enter", "down", "down", "9", "ctrl+r")
    await fingers.pilot.pause()
    assert (fingers.form.read(), fingers.row) == (before, "epochs")
    assert "Settings cannot be changed while a run is active" in fingers.hint
    fingers.form.locked = False
    await fingers.press("9")
    assert fingers.form.read() == before, "a key pressed as a command must not become text"


async def test_rows_can_be_clicked(fingers):
    await fingers.pilot.click(FormView, offset=(3, 4))
    await until(fingers.pilot, lambda: fingers.row == "epochs")
    await fingers.pilot.click(FormView, offset=(30, 1))
    await until(fingers.pilot, lambda: isinstance(fingers.app.screen, Choices))
    await fingers.press("escape")
    await fingers.pilot.click(FormView, offset=(3, 0))
    await until(fingers.pilot, lambda: fingers.view.form.rows(99)[0].is_open is False)


async def test_the_form_takes_the_room_until_there_is_a_run(app, started):
    async with app.run_test(size=(120, 40)) as pilot:
        panes = app.dashboard.query_one("#panes").children
        await until(pilot, lambda: app.dashboard.query_one("#settings-about").display)
        assert [pane.id for pane in panes if pane.display] == ["settings"]
        assert "the PyTorch tutorial: a small net" in PaneApp.text(app)
        await pilot.press("t")
        await until(pilot, lambda: len([pane for pane in panes if pane.display]) == 5)


async def test_keys_in_one_burst_are_taken_in_order(fingers, started):
    """A slow link delivers them together."""
    await fingers.go("epochs")
    for key in ("9", "escape"):
        fingers.app.simulate_key(key) if len(key) > 1 else fingers.app.post_message(Key(key, key))
    await until(fingers.pilot, lambda: not fingers.form.has_cursor)
    assert fingers.value("epochs") == 79
    for _ in range(3):
        fingers.app.simulate_key("ctrl+t")
    await until(fingers.pilot, lambda: started.trained)
    await fingers.pilot.pause(0.2)
    assert len(started.trained) == 1


async def test_a_setting_that_has_no_effect_is_shown_when_it_is_looked_for(fingers):
    await fingers.go("epochs")
    await fingers.go("ema_decay")
    await fingers.press("5")
    assert (fingers.row, fingers.value("ema_decay"), fingers.value("epochs")) == ("ema_decay", 0.955, 7)


async def test_enter_goes_on_past_a_row_that_what_was_typed_hides(fingers):
    await fingers.go("warmup_fraction")
    await fingers.write("0.1")
    await fingers.press("enter")
    assert fingers.row == "warmup_start_factor"
    await fingers.press("up")
    await fingers.write("none")
    await fingers.press("enter")
    assert fingers.row == "Augmentation"


async def test_a_key_may_meet_a_resize(fingers):
    await fingers.go("data_dir")
    fingers.view._height = 99  # as before a resize that no message has told of yet
    fingers.view._fitting = fingers.view.form.rows(99)
    fingers.view._index = len(fingers.view._fitting) - 1
    for group in list(Group)[1:-1]:
        fingers.view.form.fold(group, folded=True)
    assert fingers.row == "data_dir"
    await fingers.press("up")
    assert fingers.row == "compile"


async def test_ctrl_t_does_nothing_over_a_dialog(fingers, started):
    await fingers.press("question_mark")
    await until(fingers.pilot, lambda: fingers.app.screen is not fingers.app.dashboard)
    await fingers.press("ctrl+t")
    await fingers.pilot.pause(0.1)
    assert started.trained == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("lr", ["learning_rate", "lr_schedule", "bias_lr", "head_lr", "final_lr_factor"]),
        ("learning rate", ["learning_rate"]),
        ("model", ["model"]),
        ("check", ["checkpoint_every_epochs", "checkpoint_every_minutes"]),
        ("shift", ["translate", "tta"]),
    ],
)
def test_settings_that_fit_best_are_found_first(text, found):
    text = text.replace(" ", "_")
    ordered = sorted(SETTINGS, key=lambda name: relevance(text, name), reverse=True)
    assert ordered[: len(found)] == found
