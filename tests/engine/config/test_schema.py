"""`TrainConfig`: presets, and a sentence for settings that do not go together."""

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
    preset_config,
    preset_values,
    setting_field,
)
from cifar_tui.engine.errors import ConfigError


def test_the_default_is_the_tutorial():
    config = build_config({})
    assert config == preset_config("tutorial") == TrainConfig()
    assert (config.model, config.epochs, config.batch_size) == ("net", 2, 4)
    assert (config.learning_rate, config.momentum, config.weight_decay) == (0.001, 0.9, 0.0)
    assert config.log_every == 2000


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
    own = {"preset", "image_size", "data", "data_dir", "device", "seed", "val_size"}
    own |= {"checkpoint_every_minutes", "backend", "class_weights", "sampler", "patience"}
    own |= {"accumulate", "sync_batchnorm", "rank_timeout"}
    assert preset_values(name).keys() == SETTINGS.keys() - own
    assert all(getattr(config, key) == value for key, value in preset_values(name).items())
    assert f"\n{name}\n    " in presets.__doc__, "it is explained"


def test_speedrun_lets_nothing_come_between_its_steps_but_a_point_at_each_epoch():
    config = build_config({"preset": "speedrun"})
    assert config.eval_every == 0
    assert config.chart_every * config.batch_size == 50_000
    assert config.checkpoint_every_epochs == 0
    for name in PRESETS.keys() - {"speedrun"}:
        assert (preset_values(name)["eval_every"], preset_values(name)["checkpoint_every_epochs"]) == (1, 1)


def test_an_unknown_setting_is_refused_with_the_nearest_one():
    with pytest.raises(ConfigError, match="did you mean 'batch_size'"):
        setting_field("batchsize")
    with pytest.raises(ConfigError, match="cifar-tui train --help lists them"):
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


def test_a_config_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        TrainConfig().epochs = 3  # type: ignore[misc]


def test_replace_checks_again():
    with pytest.raises(ConfigError):
        TrainConfig().replace(momentum=math.inf)


def test_config_is_read_without_torch():
    code = "import sys, cifar_tui.engine.config.schema; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
