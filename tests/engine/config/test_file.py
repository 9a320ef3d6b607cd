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
    "content",
    [
        "\ufeffepochs = 3\nseed = 7\n".encode(),
        b"epochs = 3\r\nseed = 7\r\n",
        "\ufeffepochs = 3\r\nseed = 7\r\n".encode(),
        b"epochs = 3\rseed = 7",
        "epochs = 3\r\nseed = 7\r\n".encode("utf-16"),
        "\ufeffepochs = 3\nseed = 7\n".encode("utf-16-be"),
    ],
)
def test_a_file_may_come_from_another_system(tmp_path, content):
    path = tmp_path / "config.toml"
    path.write_bytes(content)
    assert read_config_file(path) == {"epochs": 3, "seed": 7}


def test_text_of_any_script_survives_a_byte_order_mark(tmp_path):
    path = tmp_path / "config.toml"
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        path.write_bytes("data = 'bildér/고양이'".encode(encoding))
        assert read_config_file(path) == {"data": "bildér/고양이"}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"epochs = ", "not a TOML file"),
        (b"epoch = 3", "did you mean 'epochs'"),
        (b"epochs = " + b"9" * 5000, "number of more than 64 bits"),
        (b"epochs = 0x" + b"f" * 9000, "epochs in .* must be a number of up to 64 bits"),
        (b"learning_rate = 1" + b"0" * 400, "learning_rate in .* must be a number of up to 64 bits"),
        (b"epochs = [0x" + b"f" * 9000 + b"]", "must be a number"),
        (b"epochs = 2020-01-01", "must be a number"),
        (b"[model]\nname = 1", "must be a number"),
        (b"model = '" + b"x" * 100_000 + b"'", "up to 4096 characters"),
        (b"x" * 100_000 + b" = 1", "unknown setting 'x{120}…'"),
        (b"a = " + b"[" * 5000 + b"]" * 5000, "nested"),
        (b"epochs = " + b"{a = " * 3000 + b"1" + b"}" * 3000, "nested"),
        (b"epochs = 3\0", "not a TOML file"),
        (bytes(range(256)), "not a TOML file"),
        (b"\xff\xfeepochs = 3", "not a TOML file"),
        (b"#" * (1 << 21), "larger than 1 MiB"),
        (b'data = "\\ud800"', "not a TOML file"),
    ],
)
def test_a_bad_file_is_one_sentence(tmp_path, content, says):
    path = tmp_path / "config.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=says) as caught:
        read_config_file(path)
    assert len(str(caught.value)) < 800 + len(str(path))


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e999", "-0.0"])
def test_a_number_that_is_none_is_one_sentence(tmp_path, value):
    path = tmp_path / "config.toml"
    path.write_text(f"learning_rate = {value}")
    with pytest.raises(ConfigError, match="must be above 0"):
        build_config(read_config_file(path))


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
