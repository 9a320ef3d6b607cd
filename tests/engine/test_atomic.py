"""`write_atomically`: the old content or the new one, never a part."""

import errno
import os
import signal
import stat
import subprocess
import sys

import pytest

from cifar_tui.engine.atomic import (
    disk_errors_explained,
    link_atomically,
    remove_leftovers,
    write_atomically,
    write_text_atomically,
)
from cifar_tui.engine.errors import RunFailedError


def test_the_new_content_replaces_the_old(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    write_text_atomically(path, "new")
    assert path.read_text() == "new"
    assert os.listdir(tmp_path) == ["file"]


def test_a_link_replaces_the_old_content_and_leaves_nothing_else(tmp_path):
    (tmp_path / "source").write_text("new")
    path = tmp_path / "file"
    path.write_text("old")
    for _ in range(2):
        link_atomically(tmp_path / "source", path)
        assert path.samefile(tmp_path / "source")
        assert sorted(os.listdir(tmp_path)) == ["file", "source"]


def test_a_failed_write_leaves_the_old_content_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_text("old")

    def fail(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, b"new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]


def test_the_file_has_the_permissions_of_an_ordinary_one(tmp_path):
    ordinary = tmp_path / "ordinary"
    ordinary.touch()
    write_text_atomically(tmp_path / "file", "text")
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == stat.S_IMODE(ordinary.stat().st_mode)


def test_a_file_system_that_cannot_sync_a_folder_is_no_failure(tmp_path, monkeypatch):
    fsync = os.fsync

    def refuse_folders(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", refuse_folders)
    write_atomically(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"new"


@pytest.mark.parametrize(
    ("place", "says"),
    [
        ("taken/last.pt", "Is a directory; remove the folder in its place"),
        ("gone/last.pt", "No such file or directory; the folder was removed or renamed"),
        ("file/last.pt", "Not a directory; the folder was removed or renamed"),
    ],
)
def test_a_file_that_cannot_be_written_is_explained_by_what_is_in_its_place(tmp_path, place, says):
    (tmp_path / "taken" / "last.pt").mkdir(parents=True)
    (tmp_path / "file").touch()
    with pytest.raises(RunFailedError) as failed, disk_errors_explained("save it"):
        write_atomically(tmp_path / place, b"new")
    assert str(failed.value) == f"cannot save it: {says}"
    assert os.listdir(tmp_path / "taken") == ["last.pt"]


STEPS = ("open", "open", "write", "fsync", "close", "replace", "fsync", "close")
"""The system calls of a save, in their order: those after the rename make it durable."""

KILLED_AT = """
import os, signal, sys
from pathlib import Path
from cifar_tui.engine.atomic import write_atomically

path, stop_at = Path(sys.argv[1]), int(sys.argv[2])
names = []

def counted(owner, name):
    original = getattr(owner, name)
    def call(*arguments, **options):
        number = len(names)
        names.append(name)
        if number == stop_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*arguments, **options)
    setattr(owner, name, call)

for name in ("write", "fsync", "close", "replace", "open"):
    counted(os, name)
write_atomically(path, b"new" * 100_000)
print(*names)
"""


def killed_before(path, step):
    command = [sys.executable, "-c", KILLED_AT, str(path), str(step)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_steps_of_a_save_are_those_at_which_it_is_killed_below(tmp_path):
    result = killed_before(tmp_path / "file", len(STEPS))
    assert tuple(result.stdout.split()) == STEPS, result.stderr


@pytest.mark.parametrize("step", range(len(STEPS)))
def test_a_process_killed_before_any_step_leaves_the_old_content_or_the_new(tmp_path, step):
    path = tmp_path / "file"
    path.write_bytes(b"old" * 100_000)
    assert killed_before(path, step).returncode == -signal.SIGKILL
    new = step > STEPS.index("replace")
    assert path.read_bytes() == (b"new" if new else b"old") * 100_000
    remove_leftovers(tmp_path)
    assert os.listdir(tmp_path) == ["file"]
