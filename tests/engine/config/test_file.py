"""Settings survive a TOML file, and a bad file is one sentence."""

import pytest

from cifar_tui.engine.config.file import config_to_toml, read_config_file
from cifar_tui.engine.config.schema import TrainConfig, build_config
from cifar_tui.engine.errors import ConfigError


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


@pytest.mark.parametrize("name", ["bias_lr", "head_lr"])
def test_an_empty_learning_rate_of_biases_or_head_is_none_in_a_file(tmp_path, name):
    path = tmp_path / "config.toml"
    path.write_text(config_to_toml(TrainConfig()))
    values = read_config_file(path)
    assert values[name] == ""
    assert getattr(build_config(values), name) is None
    path.write_text(f"{name} = 2")
    assert getattr(build_config(read_config_file(path)), name) == 2.0
    assert getattr(build_config({"preset": "speedrun", name: ""}), name) is None, "also over a preset's value"
