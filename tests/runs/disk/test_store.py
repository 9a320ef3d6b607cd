"""The checkpoints folder: runs are created in it and found by name."""

import os

import pytest

from cifar_tui.engine.config.schema import TrainConfig, build_config, read_config_file
from cifar_tui.engine.errors import ConfigError, RunFailedError
from cifar_tui.runs.disk.store import check_checkpoints, create_run_folder, find_run


def test_two_runs_of_one_second_get_two_folders(tmp_path):
    first = create_run_folder(tmp_path, TrainConfig())
    second = create_run_folder(tmp_path, TrainConfig())
    assert first != second
    assert sorted([second, first]) == [first, second]


def test_a_run_keeps_its_configuration(tmp_path):
    folder = create_run_folder(tmp_path, TrainConfig(epochs=7))
    assert build_config(read_config_file(folder / "config.toml")).epochs == 7


@pytest.fixture
def runs(tmp_path):
    for name in ("20260101-100000", "20260102-100000", "20260102-110000", "not-a-run"):
        (tmp_path / name).mkdir()
        if name != "not-a-run":
            (tmp_path / name / "config.toml").write_text("")
    (tmp_path / "README.md").write_text("")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("latest", "20260102-110000"),
        ("20260101-100000", "20260101-100000"),
        ("20260101", "20260101-100000"),
        ("20260102-11", "20260102-110000"),
    ],
)
def test_a_run_is_found_by_id_prefix_or_latest(runs, name, found):
    assert find_run(runs, name) == runs / found


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("20260102", r"'20260102' is ambiguous \(2 runs match\); use a longer prefix"),
        ("1999", "no run '1999' in .*; the latest is 20260102-110000"),
        ("not", "no run 'not' in"),
    ],
)
def test_a_name_that_fits_no_single_run_is_one_sentence(runs, name, says):
    with pytest.raises(ConfigError, match=says):
        find_run(runs, name)


def test_an_empty_place_has_no_runs(tmp_path):
    with pytest.raises(ConfigError, match=r"no runs in .*none"):
        find_run(tmp_path / "none", "latest")


def test_a_checkpoints_folder_that_cannot_be_read_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"cannot read the checkpoints folder .*file.*choose another"):
        find_run(tmp_path / "file", "latest")


def test_the_checkpoints_folder_is_made(tmp_path):
    check_checkpoints(tmp_path / "a" / "b")
    assert os.listdir(tmp_path / "a" / "b") == []


def test_a_checkpoints_folder_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"cannot write to the checkpoints folder .*file.*choose another"):
        check_checkpoints(tmp_path / "file")
    with pytest.raises(RunFailedError, match="cannot create the run's folder"):
        create_run_folder(tmp_path / "file", TrainConfig())
