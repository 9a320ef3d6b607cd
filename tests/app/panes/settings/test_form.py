"""The form as plain data: which rows there are, what differs from the preset, and what is wrong."""

import pytest

from cifar_tui.app.panes.settings.form import Form
from cifar_tui.engine.config.fields import Group
from cifar_tui.engine.config.schema import SETTINGS, TrainConfig, preset_config
from cifar_tui.engine.errors import ConfigError

ESSENTIALS = ["preset", "data", "model", "epochs", "batch_size", "learning_rate", "device", "seed"]


@pytest.fixture
def form() -> Form:
    return Form(TrainConfig(data="synthetic"))


def settings_of(form: Form, height: int = 1000) -> list[str]:
    return [row.setting for row in form.rows(height) if row.setting is not None]


def test_a_low_form_has_the_essentials_and_the_headings_of_the_other_groups(form: Form) -> None:
    rows = form.rows(0)
    assert [row.key for row in rows] == ["Essentials", *ESSENTIALS, *list(Group)[1:]]
    assert [row.is_open for row in rows if row.setting is None] == [True] + [False] * (len(Group) - 1)


def open_groups(form: Form, height: int) -> list[Group]:
    return [row.group for row in form.rows(height) if row.setting is None and row.is_open]


def test_groups_are_open_from_the_first_to_the_last_that_fits(form: Form) -> None:
    every = len(form.rows(1000))
    for height in range(len(ESSENTIALS) + len(Group), every):
        assert len(form.rows(height)) <= height
        opened = open_groups(form, height)
        assert opened == list(Group)[: len(opened)]
    assert len(form.rows(every)) == every
    assert open_groups(form, every - 1) == list(Group)[:-1]


def test_other_values_fold_and_unfold_nothing(form: Form) -> None:
    height = len(form.rows(1000)) - 5
    before = open_groups(form, height)
    form.write("preset", "quick")
    form.write("weight_averaging", "ema")
    assert open_groups(form, height) == before


def test_a_group_stays_as_the_user_folded_it(form: Form) -> None:
    form.fold(Group.MACHINE, folded=False)
    form.fold(Group.ESSENTIALS, folded=True)
    assert "backend" in settings_of(form, 0)
    assert "epochs" not in settings_of(form, 1000)
    form.reveal("epochs")
    assert "epochs" in settings_of(form, 0)


@pytest.mark.parametrize(
    ("setting", "needs", "value"),
    [
        ("ema_decay", "weight_averaging", "ema"),
        ("warmup_start_factor", "warmup_fraction", "0.1"),
        ("final_lr_factor", "lr_schedule", "cosine"),
        ("pretrained", "model", "torchvision:resnet18"),
        ("freeze_epochs", "freeze", "backbone"),
    ],
)
def test_a_setting_without_effect_is_hidden_unless_it_is_wrong(
    form: Form, setting: str, needs: str, value: str
) -> None:
    before = form.text(needs)
    assert setting not in settings_of(form)
    form.write(needs, value)
    assert setting in settings_of(form)
    form.write(setting, "wrong")
    form.check(setting)
    form.write(needs, before)
    assert setting in settings_of(form), "its error must be seen"


def test_every_other_setting_is_shown(form: Form) -> None:
    hidden = {"ema_decay", "warmup_start_factor", "final_lr_factor", "pretrained", "freeze_epochs"}
    hidden |= {"optimizer_options"}
    assert settings_of(form) == [name for name in SETTINGS if name not in hidden]


def test_a_preset_sets_its_recipe_and_no_more(form: Form) -> None:
    form.write("seed", "7")
    form.write("learning_rate", "wrong")
    form.check("learning_rate")
    form.write("preset", "speedrun")
    assert form.read() == preset_config("speedrun").replace(data="synthetic", seed=7)
    form.write("preset", "tutorial")
    assert form.read() == TrainConfig(data="synthetic", seed=7)


def test_changed_values_come_back_with_their_preset(form: Form) -> None:
    form.load(TrainConfig(data="synthetic", learning_rate=0.5, translate=3))
    form.write("epochs", "never")
    form.check("epochs")
    form.write("preset", "quick")
    assert form.notice == "quick: replaced 2 changed values · going back to tutorial undoes it"
    form.write("momentum", "0.7")
    assert form.notice == ""
    form.write("preset", "speedrun")
    assert form.changed == 0
    form.write("preset", "quick")
    assert form.notice == "quick: brought back 1 changed value"
    assert form.read() == preset_config("quick").replace(data="synthetic", momentum=0.7)
    form.write("preset", "tutorial")
    assert form.read() == TrainConfig(data="synthetic", learning_rate=0.5, translate=3)
    form.load(preset_config("quick"))
    form.write("preset", "tutorial")
    assert (form.changed, form.notice) == (0, ""), "another run's values have nothing to do with these"


def test_a_wrong_value_does_not_count_as_changed_in_whatever_group(form: Form) -> None:
    for name in ("batch_size", "device"):
        form.write(name, "wrong")
        form.check(name)
    assert (form.changed, list(form.errors)) == (0, ["batch_size", "device"])


def test_what_differs_from_the_preset_is_marked_and_can_be_reset(form: Form) -> None:
    form.write("seed", "7")
    assert form.changed == 0, "a preset has no seed"
    form.write("momentum", "0.5")
    form.write("preset", "quick")
    assert form.changed == 0
    form.write("momentum", "0.5")
    assert (form.is_changed("momentum"), form.changed, form.changed_in(Group.OPTIMIZER)) == (True, 1, True)
    assert not form.changed_in(Group.SCHEDULE)
    form.write("momentum", form.initial("momentum"))
    assert (form.text("momentum"), form.changed) == ("0.6", 0)
    assert form.initial("seed") == "0"


def test_values_that_mean_something_else_are_words(form: Form) -> None:
    words = {"bias_lr": "same as learning_rate", "chart_every": "auto", "val_size": "none", "eval_every": "1"}
    assert {name: form.text(name) for name in words} == words
    form.write("eval_every", "at the end")
    form.write("bias_lr", "")
    assert (form.read().eval_every, form.read().bias_lr) == (0, None)


def test_a_folded_group_says_what_is_in_it(form: Form) -> None:
    assert form.summary(Group.OPTIMIZER) == "sgd"
    form.load(preset_config("quick"))
    assert form.summary(Group.AUGMENTATION) == "flip alternating · translate 2 · low_res_fraction 0.67"


def test_a_wrong_value_is_said_at_its_row_in_whatever_group(form: Form) -> None:
    form.write("batch_size", "0")
    form.write("warmup_fraction", "half")
    with pytest.raises(ConfigError):
        form.read()
    assert form.errors["batch_size"].startswith("'0' must be a whole number from 1")
    assert "must be a number or 'none'" in form.errors["warmup_fraction"]
    assert "warmup_fraction" in settings_of(form, 0)
    form.write("batch_size", "8")
    assert form.check("batch_size")
    assert "batch_size" not in form.errors


def test_two_values_that_contradict_each_other_are_said_at_one_of_them(form: Form) -> None:
    form.write("optimizer", "nesterov")
    form.write("momentum", "0")
    with pytest.raises(ConfigError):
        form.read()
    assert "must be above 0 with optimizer nesterov" in form.errors["momentum"]


@pytest.mark.parametrize(
    ("data", "wrong"),
    [
        ("auto", False),
        (".", False),
        ("~", False),
        ("no/such/folder", True),
        ("~nobody/x", True),
        ("a\0b", True),
    ],
)
def test_a_folder_that_does_not_exist_is_refused(form: Form, data: str, wrong: bool) -> None:
    form.write("data", data)
    assert form.check("data") is not wrong
    if wrong:
        with pytest.raises(ConfigError) as caught:
            form.read()
        assert caught.value.field == "data"
        assert form.errors["data"] == f"'{data}' is not a folder or a file"
    else:
        assert form.read().data == data


def test_choices_end_at_the_first_and_the_last(form: Form) -> None:
    assert form.next_choice("optimizer", -1) == "sgd"
    assert form.next_choice("optimizer", 1) == "nesterov"
    form.write("optimizer", "muon")
    assert form.next_choice("optimizer", 1) == "muon"
