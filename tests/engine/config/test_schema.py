"""`TrainConfig`: presets, text to values, files, and a sentence for every wrong value."""

import dataclasses
import math
import subprocess
import sys

import pytest

from cifar_tui.engine.config import presets
from cifar_tui.engine.config.schema import (
    PRESETS,
    SETTINGS,
    TrainConfig,
    build_config,
    config_to_toml,
    parse_setting,
    preset_config,
    preset_values,
    read_config_file,
    setting_text,
)
from cifar_tui.engine.errors import ConfigError


def test_the_default_is_the_tutorial():
    config = build_config({})
    assert config == preset_config("tutorial") == TrainConfig()
    assert (config.model, config.epochs, config.batch_size) == ("net", 2, 4)
    assert (config.learning_rate, config.momentum, config.weight_decay) == (0.001, 0.9, 0.0)
    assert config.log_every == 2000


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("batch_size", "0", "from 1"),
        ("batch_size", "four", "must be a whole number"),
        ("batch_size", "4.5", "must be a whole number"),
        ("epochs", "-1", "from 1"),
        ("learning_rate", "-0.1", "above 0"),
        ("learning_rate", "0", "above 0"),
        ("learning_rate", "1e9", "above 0 and at most 100"),
        ("learning_rate", "nan", "above 0"),
        ("learning_rate", "fast", "must be a number"),
        ("learning_rate", "", "must be a number"),
        ("bias_lr", "0", "above 0"),
        ("head_lr", "same", "must be a number, or empty"),
        ("momentum", "1", "at least 0 and below 1"),
        ("weight_decay", "inf", "from 0 to 10"),
        ("device", "gpu", "must be auto, cpu, cuda, cuda:N or mps"),
        ("device", "cuda:x", "must be auto, cpu, cuda, cuda:N or mps"),
        ("model", "nett", "did you mean 'net'"),
        ("preset", "tutorials", "did you mean 'tutorial'"),
        ("data", "  ", "must not be empty"),
        ("optimizer", "adam", "did you mean 'adamw'"),
        ("warmup_fraction", "1", "below 1"),
        ("cutout", "33", "from 0 to 32"),
        ("channels_last", "maybe", "must be yes or no"),
        ("seed", "-1", "from 0"),
    ],
)
def test_a_wrong_value_is_one_sentence_that_names_it(name, text, says):
    with pytest.raises(ConfigError) as caught:
        parse_setting(name, text)
    assert caught.value.field == name
    assert name in str(caught.value)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "value"), [("yes", True), ("True", True), ("on", True), ("1", True), ("No", False), ("0", False)]
)
def test_a_switch_is_on_or_off_in_many_words(text, value):
    assert parse_setting("channels_last", text) is value


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"optimizer": "nesterov", "momentum": 0.0}, "momentum"),
        ({"low_res_fraction": 0.5}, "low_res_fraction"),
        ({"precision": "fp16", "model": "resnet18"}, "precision"),
    ],
)
def test_settings_that_do_not_go_together_are_refused_with_the_reason(values, field):
    with pytest.raises(ConfigError, match=f"^{field} ") as refused:
        build_config(values)
    assert refused.value.field == field


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_valid_and_sets_all_that_a_recipe_is_made_of(name):
    config = build_config({"preset": name})
    assert config.preset == name
    own = {"preset", "data", "data_dir", "device", "seed", "val_size"}
    own |= {"checkpoint_every_epochs", "checkpoint_every_minutes", "backend"}
    assert preset_values(name).keys() == SETTINGS.keys() - own
    assert all(getattr(config, key) == value for key, value in preset_values(name).items())
    assert f"\n{name}\n    " in presets.__doc__, "it is explained"


def test_speedrun_lets_nothing_come_between_its_steps_but_a_point_at_each_epoch():
    config = build_config({"preset": "speedrun"})
    assert config.eval_every == 0
    assert config.chart_every * config.batch_size == 50_000
    assert all(preset_values(name)["eval_every"] == 1 for name in PRESETS.keys() - {"speedrun"})


def test_an_unknown_setting_is_refused_with_the_nearest_one():
    with pytest.raises(ConfigError, match="did you mean 'batch_size'"):
        parse_setting("batchsize", "4")
    with pytest.raises(ConfigError, match="valid settings: preset, data"):
        build_config({"xyzzy": 1})


@pytest.mark.parametrize(
    "values",
    [
        {"epochs": "2"},
        {"epochs": True},
        {"data": 3},
        {"momentum": "0.9"},
        {"channels_last": 1},
        {"channels_last": "yes"},
    ],
)
def test_a_value_of_the_wrong_type_is_refused(values):
    with pytest.raises(ConfigError, match="must be"):
        build_config(values)


def test_a_whole_number_is_taken_where_a_float_is_wanted():
    value = build_config({"weight_decay": 1}).weight_decay
    assert isinstance(value, float)
    assert value == 1.0


def test_a_base_is_kept_but_for_the_values_given():
    base = build_config({"epochs": 7, "seed": 3})
    changed = build_config({"seed": 4}, base=base)
    assert (changed.epochs, changed.seed) == (7, 4)
    assert build_config({"preset": "tutorial"}, base=base).epochs == TrainConfig().epochs


def test_a_config_survives_its_file(tmp_path):
    config = build_config(
        {"learning_rate": 0.1 + 0.2, "data": 'a "quoted" \\ path\n', "seed": 2**62, "channels_last": True}
    )
    path = tmp_path / "config.toml"
    path.write_text(config_to_toml(config))
    assert build_config(read_config_file(path)) == config


@pytest.mark.parametrize(
    ("content", "says"), [("epochs = ", "not a TOML file"), ("epoch = 3", "did you mean 'epochs'")]
)
def test_a_bad_file_is_one_sentence(tmp_path, content, says):
    path = tmp_path / "config.toml"
    path.write_text(content)
    with pytest.raises(ConfigError, match=says):
        read_config_file(path)


def test_a_missing_file_is_one_sentence(tmp_path):
    with pytest.raises(ConfigError, match="cannot read the config file"):
        read_config_file(tmp_path / "none.toml")


@pytest.mark.parametrize("preset", PRESETS)
def test_every_setting_can_be_written_and_read_back_as_text(preset):
    config = preset_config(preset)
    for name in SETTINGS:
        value = getattr(config, name)
        assert parse_setting(name, setting_text(value)) == value


@pytest.mark.parametrize("name", ["bias_lr", "head_lr"])
def test_an_empty_learning_rate_of_biases_or_head_is_none_as_text_and_in_a_file(tmp_path, name):
    assert parse_setting(name, " ") is None
    assert setting_text(None) == ""
    path = tmp_path / "config.toml"
    path.write_text(config_to_toml(TrainConfig()))
    values = read_config_file(path)
    assert values[name] == ""
    assert getattr(build_config(values), name) is None
    path.write_text(f"{name} = 2")
    assert getattr(build_config(read_config_file(path)), name) == 2.0
    assert getattr(build_config({"preset": "speedrun", name: ""}), name) is None, "also over a preset's value"


@pytest.mark.parametrize("field", SETTINGS.values(), ids=SETTINGS)
def test_a_setting_describes_itself_and_accepts_its_default_and_its_choices(field):
    assert field.metadata["description"]
    assert field.metadata["check"](field.default) is None
    for choice in field.metadata["choices"]:
        assert setting_text(parse_setting(field.name, choice)) == choice


def test_a_config_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        TrainConfig().epochs = 3  # type: ignore[misc]


def test_replace_checks_again():
    with pytest.raises(ConfigError):
        TrainConfig().replace(momentum=math.inf)


def test_config_is_read_without_torch():
    code = "import sys, cifar_tui.engine.config.schema; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
