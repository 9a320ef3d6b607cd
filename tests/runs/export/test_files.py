"""Exported files: whole or not at all, and never over a file of somebody else."""

import resource
from pathlib import Path

import pytest

from cifar_tui.engine.errors import ConfigError, RunFailedError
from cifar_tui.runs.export.files import MARK, ExportFile, write_files

OURS = MARK.encode()


def export(path, content=b"new", mark=OURS):
    return ExportFile(path=path, content=mark + content, mark=mark)


def test_missing_folders_are_created(tmp_path):
    write_files([export(tmp_path / "a" / "b" / "c.svg")])
    assert (tmp_path / "a" / "b" / "c.svg").read_bytes() == OURS + b"new"


def test_a_file_of_an_earlier_export_is_replaced(tmp_path):
    write_files([export(tmp_path / "a", b"old")])
    write_files([export(tmp_path / "a")])
    assert (tmp_path / "a").read_bytes().endswith(b"new")


def test_an_empty_file_is_replaced(tmp_path):
    (tmp_path / "a").touch()
    write_files([export(tmp_path / "a")])
    assert (tmp_path / "a").read_bytes().endswith(b"new")


def test_a_file_of_somebody_else_is_kept_and_nothing_is_written(tmp_path):
    (tmp_path / "b").write_text("my thesis")
    with pytest.raises(ConfigError, match=r"b' exists and was not exported by cifar-tui: remove it or"):
        write_files([export(tmp_path / "a"), export(tmp_path / "b")])
    assert (tmp_path / "b").read_text() == "my thesis"
    assert not (tmp_path / "a").exists()


def test_an_export_of_another_kind_is_kept(tmp_path):
    write_files([export(tmp_path / "a", mark=b"run,step,loss")])
    with pytest.raises(ConfigError, match="was not exported"):
        write_files([export(tmp_path / "a", mark=b"run,epoch")])


def test_a_folder_in_the_place_of_a_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"' is a folder; name a file"):
        write_files([export(tmp_path)])


def test_a_file_in_the_place_of_a_folder_is_named(tmp_path):
    (tmp_path / "a").write_text("x")
    with pytest.raises(ConfigError, match=r"a file is in the place of a folder"):
        write_files([export(tmp_path / "a" / "b")])


def test_a_device_is_not_replaced():
    with pytest.raises(ConfigError, match="'/dev/null' exists and was not exported"):
        write_files([export(Path("/dev/null"))])


def test_a_file_that_cannot_be_written_whole_leaves_the_old_one(tmp_path):
    write_files([export(tmp_path / "a", b"old")])
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(RunFailedError, match=r"cannot write '.*a': File too large; free disk space or"):
            write_files([export(tmp_path / "a", bytes(2000))])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (tmp_path / "a").read_bytes().endswith(b"old")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
