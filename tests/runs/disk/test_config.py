"""The settings of a run mean the same from any working directory, and are read from a file of its own."""

import os
from pathlib import Path

import pytest

from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.errors import ConfigError
from cifar_tui.runs.disk.config import read_run_config, with_absolute_folders
from cifar_tui.runs.disk.store import write_config

pytestmark = pytest.mark.timeout(20)


@pytest.mark.parametrize("data", ["pets", "./pets", "a/../pets", "../{name}/pets", "pets/", "~/pets"])
def test_folders_are_those_of_where_the_run_was_started(tmp_path, monkeypatch, data):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    config = with_absolute_folders(TrainConfig(data=data.format(name=tmp_path.name), data_dir="down"))
    assert Path(config.data).is_absolute()
    assert Path(config.data).resolve() == tmp_path / "pets"
    assert Path(config.data_dir) == tmp_path / "down"
    assert with_absolute_folders(config) == config


def test_a_tilde_is_the_home_folder_in_both(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    config = with_absolute_folders(TrainConfig(data="~/pets", data_dir="~/down"))
    assert (config.data, config.data_dir) == (str(tmp_path / "pets"), str(tmp_path / "down"))


@pytest.mark.parametrize("data", ["auto", "cifar10", "synthetic", "torchvision:MNIST", "torchvision:mnist"])
def test_a_named_dataset_keeps_its_name(data):
    assert with_absolute_folders(TrainConfig(data=data)).data == data


def test_a_config_that_is_no_file_of_the_run_is_one_sentence(tmp_path):
    path, theirs = tmp_path / "config.toml", tmp_path / "theirs.toml"
    write_config(tmp_path, TrainConfig(epochs=7))
    assert read_run_config(tmp_path).epochs == 7
    path.rename(theirs)
    path.symlink_to(theirs)
    with pytest.raises(ConfigError, match="it is a symbolic link"):
        read_run_config(tmp_path)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(ConfigError, match="it is not a regular file"):
        read_run_config(tmp_path)
    path.unlink()
    with path.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(ConfigError, match="more than"):
        read_run_config(tmp_path)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('batch_size = "four"', "batch_size 'four' must be a whole number"),
        ("batch_size = -4", "batch_size -4 must be a whole number from 1 to 65536"),
        ("learning_rate = nan", "learning_rate nan must be above 0 and at most 100"),
        ("batch = 4", "unknown setting 'batch'; did you mean 'batch_size'?"),
        ('preset = "slow"', "preset 'slow' must be one of tutorial, quick, speedrun, resnet18, max"),
    ],
)
def test_a_wrong_setting_is_named_with_the_file_it_is_in(tmp_path, line, says):
    (tmp_path / "config.toml").write_text(f"{line}\n")
    with pytest.raises(ConfigError) as refused:
        read_run_config(tmp_path)
    assert str(refused.value) == f"'{tmp_path}/config.toml': {says}"
