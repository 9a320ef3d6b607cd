"""A run's folder is found again wherever it is moved, and made again where it was removed."""

import os
import shutil
import threading
from pathlib import Path

import pytest

from cifar_tui.engine.atomic import write_atomically
from cifar_tui.engine.disk import run_folder
from cifar_tui.engine.disk.run_folder import RunFolder


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "runs" / "run"
    path.mkdir(parents=True)
    return RunFolder(path)


def rename(path):
    return path.rename(path.with_name("mine"))


def move_to_another_folder(path):
    (path.parents[1] / "other").mkdir()
    return path.rename(path.parents[1] / "other" / "run")


def rename_the_folder_above(path):
    return path.parent.rename(path.parents[1] / "above") / path.name


def name_it_as_if_it_were_removed(path):
    return path.rename(path.with_name("run (deleted)"))


def put_another_in_its_place(path):
    moved = rename(path)
    path.mkdir()
    return moved


MOVES = [
    rename,
    move_to_another_folder,
    rename_the_folder_above,
    name_it_as_if_it_were_removed,
    put_another_in_its_place,
]


@pytest.mark.parametrize("move", MOVES)
def test_it_is_where_it_was_moved(folder, move):
    assert folder.path.name == "run"
    moved = move(folder.path)
    assert folder.path == moved
    assert not folder.removed
    write_atomically(folder.path / "file", b"")
    assert (moved / "file").exists()


def test_only_the_name_changes_of_a_folder_that_was_renamed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = Path("runs", "run")
    path.mkdir(parents=True)
    folder = RunFolder(path)
    rename(path)
    assert folder.path == Path("runs", "mine")


def test_a_folder_that_is_itself_a_link_is_found(tmp_path, folder):
    link = tmp_path / "link"
    link.symlink_to(folder.path)
    linked = RunFolder(link)
    assert linked.path == link
    moved = rename(folder.path)
    assert linked.path == moved


def test_a_removed_folder_is_made_again_where_it_was(folder):
    path = folder.path
    shutil.rmtree(path.parent)
    assert folder.removed
    assert folder.path == path
    folder.remake()
    assert folder.path == path
    assert not folder.removed
    assert path.is_dir()


def test_a_folder_that_came_into_its_place_is_left_alone(folder):
    path = folder.path
    path.rmdir()
    path.write_text("theirs")
    assert folder.removed
    folder.remake()
    assert folder.path == path.with_name("run-2")
    assert path.read_text() == "theirs"


def test_one_that_cannot_be_made_again_is_the_callers(folder):
    path = folder.path
    shutil.rmtree(path.parent)
    path.parent.write_text("")
    with pytest.raises(OSError, match=r"exists|directory"):
        folder.remake()
    assert folder.removed


def save(folder, content):
    with folder.saving() as path:
        write_atomically(path / "last.pt", content)


def test_results_are_in_a_folder_that_is_made_again_and_are_held_on(folder):
    save(folder, b"before anybody held it")
    folder.hold()
    (folder.path / "other").touch()
    for content in (None, b"of step 1", b"of step 2"):
        if content is not None:
            save(folder, content)
        for _ in range(2):
            shutil.rmtree(folder.path)
            folder.remake()
            assert os.listdir(folder.path) == ["last.pt"]
        assert (folder.path / "last.pt").read_bytes() == (content or b"before anybody held it")


def test_results_that_are_there_are_newer_than_those_held(folder):
    folder.hold()
    save(folder, b"old")
    (folder.path / "last.pt").unlink()
    folder.put_back()
    assert (folder.path / "last.pt").read_bytes() == b"old"
    write_atomically(folder.path / "last.pt", b"new")
    folder.put_back()
    assert (folder.path / "last.pt").read_bytes() == b"new"


def test_results_that_cannot_be_written_leave_no_second_folder(folder, monkeypatch):
    def refuse(*_):
        raise OSError(28, "No space left on device")

    folder.hold()
    save(folder, b"content")
    path = folder.path
    shutil.rmtree(path)
    with monkeypatch.context() as patch:
        patch.setattr(run_folder, "write_atomically", refuse)
        with pytest.raises(OSError, match="No space"):
            folder.remake()
    assert folder.removed
    assert os.listdir(path.parent) == []
    folder.remake()
    assert folder.path == path
    assert (path / "last.pt").read_bytes() == b"content"


def test_a_save_into_a_removed_folder_fails_and_loses_nothing(folder):
    folder.hold()
    save(folder, b"content")
    shutil.rmtree(folder.path)
    with pytest.raises(FileNotFoundError):
        save(folder, b"newer")
    folder.remake()
    assert (folder.path / "last.pt").read_bytes() == b"content"


def test_the_disk_space_of_what_is_replaced_or_let_go_is_free(folder, tmp_path):
    before = len(os.listdir("/dev/fd"))
    folder.hold()
    for step in range(3):
        save(folder, str(step).encode())
        assert len(os.listdir("/dev/fd")) == before + 1
    with folder.saving():
        assert len(os.listdir("/dev/fd")) == before
    folder.let_go()
    assert len(os.listdir("/dev/fd")) == before


@pytest.mark.timeout(60)
def test_whoever_needs_the_folder_waits_until_it_is_made_again(folder):
    folder.hold()
    save(folder, b"content")
    assert folder.when_made_again() == folder.path, "at once"
    shutil.rmtree(folder.path)
    making = threading.Timer(0.2, folder.remake)
    making.start()
    assert (folder.when_made_again() / "last.pt").read_bytes() == b"content"
    making.join()


def test_its_descriptor_is_closed_with_it(tmp_path):
    before = len(os.listdir("/dev/fd"))
    folder = RunFolder(tmp_path)
    assert len(os.listdir("/dev/fd")) == before + 1
    del folder
    assert len(os.listdir("/dev/fd")) == before


@pytest.mark.timeout(60)
def test_a_file_that_is_being_written_follows_the_folder(folder, monkeypatch):
    """The folder is renamed between the first byte and the end of a write."""
    started, renamed, write = threading.Event(), threading.Event(), os.write

    def slow_write(descriptor, content):
        started.set()
        renamed.wait(30)
        return write(descriptor, content)

    monkeypatch.setattr(os, "write", slow_write)
    writing = threading.Thread(target=write_atomically, args=(folder.path / "file", b"new"))
    writing.start()
    started.wait(30)
    moved = rename(folder.path)
    renamed.set()
    writing.join(30)
    assert (moved / "file").read_bytes() == b"new"
    assert os.listdir(moved) == ["file"]
