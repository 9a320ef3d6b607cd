"""The checkpoints folder: runs are created in it and found by name."""

import os
from pathlib import Path

import pytest

from cifar_tui.engine.config.file import read_config_file
from cifar_tui.engine.config.schema import TrainConfig, build_config
from cifar_tui.engine.errors import ConfigError, RunFailedError
from cifar_tui.runs.disk.store import (
    attach_hint,
    check_checkpoints,
    create_run_folder,
    find_run,
    label_of,
    read_name,
    write_name,
)


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


@pytest.fixture
def named(runs):
    write_name(runs / "20260101-100000", "lr-sweep-3")
    write_name(runs / "20260102-100000", "lr-sweep-12")
    write_name(runs / "20260102-110000", "lr-sweep-1")
    return runs


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("lr-sweep-3", "20260101-100000"),
        ("lr-sweep-1", "20260102-110000"),  # also the start of another name
        ("lr-sweep-12", "20260102-100000"),
        ("20260101", "20260101-100000"),
        ("latest", "20260102-110000"),
    ],
)
def test_a_run_is_found_by_its_name(named, name, found):
    assert find_run(named, name) == named / found


def test_a_prefix_of_several_names_is_ambiguous_and_a_near_one_is_suggested(named):
    with pytest.raises(ConfigError, match="'lr' is ambiguous"):
        find_run(named, "lr")
    with pytest.raises(ConfigError, match=r"no run 'lr-swep-3' in .*; did you mean 'lr-sweep-3'"):
        find_run(named, "lr-swep-3")


def test_a_run_has_its_name_from_the_start_and_can_lose_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("checkpoints").mkdir()
    folder = create_run_folder(Path("checkpoints"), TrainConfig(), name="müsli run")
    assert read_name(folder) == label_of(folder) == "müsli run"
    assert attach_hint(folder).endswith("Reattach with: cifar-tui attach 'müsli run'")
    monkeypatch.chdir(Path("checkpoints"))
    elsewhere = f" --checkpoints {tmp_path / 'checkpoints'}"
    assert attach_hint(tmp_path / folder).endswith(f"cifar-tui attach 'müsli run'{elsewhere}")
    folder = tmp_path / folder
    write_name(folder, "")
    assert read_name(folder) == ""
    assert label_of(folder) == folder.name


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("latest", "means the latest run"),
        ("a/b", "without '/'"),
        ("a\x1b[2J", "must be printable"),
        (" a", "without spaces at either end"),
        ("-a", "must not start with '-'"),
        ("a" * 65, "must have 1 to 64 characters"),
        ("lr-sweep-3", "belongs to run 20260101-100000; choose another name"),
        ("20260101-100000", "belongs to run 20260101-100000"),
    ],
)
def test_a_name_that_could_be_mistaken_is_refused(named, name, says):
    with pytest.raises(ConfigError, match=says):
        write_name(named / "20260102-110000", name)
    assert read_name(named / "20260102-110000") == "lr-sweep-1"
    before = os.listdir(named)
    with pytest.raises(ConfigError, match=says):
        create_run_folder(named, TrainConfig(), name=name)
    assert os.listdir(named) == before


def test_a_run_may_be_given_its_own_name_again(named):
    write_name(named / "20260101-100000", "lr-sweep-3")
    assert read_name(named / "20260101-100000") == "lr-sweep-3"


def test_whatever_is_in_the_file_of_a_name_is_safe_to_show(runs):
    (runs / "20260101-100000" / "name").write_bytes(b"\xff\x1b[2J" + 10_000 * b"a")
    assert read_name(runs / "20260101-100000").isprintable()
    assert len(read_name(runs / "20260101-100000")) <= 64
