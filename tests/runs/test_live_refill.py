"""The folder of a live run: what is written where it was removed and made again, and a disk that is full."""

import errno
import shutil

import pytest

from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.events import Message
from cifar_tui.runs.disk.store import create_run_folder, read_name, write_name
from cifar_tui.runs.live import LiveRun
from tests.runs.control.helpers import texts, wait_until
from tests.runs.writing import look_often


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run called `mine` that owns its folder, and looks at it unless `run.looking` is held."""
    looking = look_often(monkeypatch)
    run = LiveRun(TrainConfig(), checkpoints=tmp_path)
    run.looking = looking
    run._acquire(create_run_folder(tmp_path, TrainConfig(), name="mine"))
    yield run
    run._release()


def give_it_another_name(folder):
    write_name(folder, "theirs")
    (folder / "lock").unlink()
    return "theirs"


def remove_it(folder):
    shutil.rmtree(folder)
    return "mine"


def leave_a_copy(folder):
    shutil.copytree(folder, folder.with_name("copy"), ignore=lambda *_: ["lock", "control.sock"])
    remove_it(folder)
    return ""


@pytest.mark.parametrize("change", [give_it_another_name, remove_it, leave_a_copy])
def test_it_has_its_name_unless_it_has_another_one_or_a_copy_has_it(run, change):
    folder = run.folder
    with run.looking:
        name = change(folder)
    wait_until(lambda: texts(run, "alert"), seconds=20)
    assert "made again as" in texts(run, "alert")[0]
    assert read_name(run.folder) == name


def test_an_event_log_on_a_full_disk_is_said_once_until_it_was_written_again(run, monkeypatch):
    def refuse(_event):
        raise OSError(errno.ENOSPC, "No space left on device")

    for _ in range(2):
        with monkeypatch.context() as patch:
            patch.setattr(run._writer._event_log, "append", refuse)
            for text in "abc":
                run._emit(Message(text=text))
        run._emit(Message(text="d"))
    full = "cannot write the event log: No space left on device. The run continues; retrying"
    assert texts(run) == ["a", full, "b", "c", "d", "a", full, "b", "c", "d"]
