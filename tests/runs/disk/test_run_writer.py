"""`RunWriter`: owns a run and keeps its event log and its summary."""

import errno
import os
import shutil
import threading

import pytest

from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.disk.run_folder import RunFolder
from cifar_tui.engine.errors import ConfigError, RunFailedError
from cifar_tui.engine.events import Message, Phase, PhaseChanged, RunEnded
from cifar_tui.engine.layout import LOCK_FILE, SUMMARY_FILE
from cifar_tui.runs.control.client import send_request
from cifar_tui.runs.control.protocol import Request
from cifar_tui.runs.disk import run_writer as run_writer_module
from cifar_tui.runs.disk.event_log import read_events
from cifar_tui.runs.disk.run_lock import owner_of
from cifar_tui.runs.disk.store import write_config
from cifar_tui.runs.disk.summary import read_summary
from tests.foreign import put_dangling_link, put_fifo, put_file, put_folder, put_link
from tests.runs.control.helpers import wait_until
from tests.runs.made_events import STARTED, at, epoch_finished, evaluated, finished, point, saved
from tests.runs.writing import Writing, look_often, make_writer


@pytest.fixture
def writing(tmp_path):
    writing = Writing(tmp_path)
    yield writing
    writing.writer.close()


def test_it_owns_the_run_until_it_is_closed(writing, tmp_path):
    assert owner_of(tmp_path).live
    with pytest.raises(ConfigError, match="already running"):
        make_writer(tmp_path)
    writing.writer.close()
    assert not owner_of(tmp_path).live


def test_events_are_logged(writing, tmp_path):
    events = [at(1, STARTED), at(2, PhaseChanged(phase=Phase.TRAINING))]
    writing.emit(*events)
    assert list(read_events(tmp_path)) == events


def test_the_summary_follows_the_points_every_few_seconds(writing, tmp_path, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(run_writer_module.time, "monotonic", lambda: clock[0])
    writing.emit(STARTED, PhaseChanged(phase=Phase.TRAINING), point(50), Message(text="a"), epoch_finished(1))
    assert read_summary(tmp_path).step == 0
    clock[0] += 5
    writing.emit(point(100))
    assert read_summary(tmp_path).step == 100


@pytest.mark.parametrize(
    "event",
    [PhaseChanged(phase=Phase.PAUSED), evaluated(50, 60), saved(50), finished(), RunEnded(exit_code=0)],
    ids=lambda event: type(event).__name__,
)
def test_what_changes_the_table_of_runs_is_in_the_summary_at_once(writing, tmp_path, event):
    writing.emit(at(1000, STARTED), at(1000, PhaseChanged(phase=Phase.TRAINING)), at(2000, event))
    assert read_summary(tmp_path).updated == 2000


def test_a_full_disk_leaves_the_old_summary_and_the_next_event_tries_again(writing, tmp_path, monkeypatch):
    writing.emit(PhaseChanged(phase=Phase.LOADING))

    def refuse(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", refuse)
        with pytest.raises(OSError, match="No space"):
            writing.emit(PhaseChanged(phase=Phase.TRAINING))
    assert writing.writer.behind
    assert read_summary(tmp_path).phase is Phase.LOADING
    assert list(tmp_path.glob(".*")) == []
    writing.emit(PhaseChanged(phase=Phase.PAUSED))
    assert not writing.writer.behind
    assert read_summary(tmp_path).phase is Phase.PAUSED


def test_temporary_files_of_a_killed_owner_are_removed(tmp_path):
    (tmp_path / f".{SUMMARY_FILE}.abc.tmp").touch()
    (tmp_path / ".last.pt.abc.tmp").touch()
    make_writer(tmp_path).close()
    assert list(tmp_path.glob(".*")) == []


def test_a_folder_that_cannot_be_written_is_one_sentence_and_owned_by_nobody(tmp_path):
    (tmp_path / "events.jsonl").mkdir()
    with pytest.raises(RunFailedError, match=r"the event log .*: it is a folder; remove '.*/events.jsonl'"):
        make_writer(tmp_path)
    assert (tmp_path / LOCK_FILE).read_bytes() == b""


# The folder


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run in a folder of its own, which looks at it unless `run.looking` is held."""
    looking = look_often(monkeypatch)
    folder = tmp_path / "runs" / "run"
    folder.mkdir(parents=True)
    write_config(folder, TrainConfig())
    writing = Writing(folder)
    writing.looking = looking
    writing.emit(at(1, STARTED), at(2, PhaseChanged(phase=Phase.TRAINING)))
    yield writing
    writing.writer.close()


def texts_told(writing):
    return [event.text for event in writing.told]


def is_whole(folder, writing):
    """The run in `folder` is owned, logged, summarized and steered."""
    writing.emit(at(3, PhaseChanged(phase=Phase.PAUSED)))
    assert owner_of(folder).live
    assert [event.time for event in read_events(folder)] == [1, 2, 3]
    assert read_summary(folder).phase is Phase.PAUSED
    send_request(folder, Request.SAVE)


def test_a_folder_that_is_renamed_stays_the_folder_of_the_run(run, tmp_path):
    moved = (tmp_path / "runs" / "run").rename(tmp_path / "runs" / "mine")
    is_whole(moved, run)
    wait_until(lambda: run.told)
    assert texts_told(run) == [f"the run's folder was moved; the run is saved in '{moved}' now"]
    assert run.moved == [moved]
    run.writer.close()
    assert not (moved / "control.sock").exists()
    assert (moved / LOCK_FILE).read_bytes() == b""


def test_a_folder_that_is_removed_is_made_again_with_all_that_was_logged(run, tmp_path):
    folder = tmp_path / "runs" / "run"
    with run.looking:
        shutil.rmtree(folder)
    wait_until(lambda: run.told)
    assert run.refilled[0] == folder
    is_whole(folder, run)
    assert len(run.told) == 1
    assert "somebody removed its folder" in run.told[0].text
    assert run.moved == [folder]


@pytest.mark.parametrize("names", [["lock"], ["events.jsonl"], ["lock", "events.jsonl", "control.sock"]])
def test_files_that_are_removed_are_written_again(run, tmp_path, names):
    folder = tmp_path / "runs" / "run"
    with run.looking:
        for name in names:
            (folder / name).unlink()
    wait_until(lambda: run.told)
    assert run.refilled == [folder]
    is_whole(folder, run)
    assert "somebody removed files in its folder" in run.told[0].text


def test_a_folder_that_cannot_be_made_again_is_said_once_and_tried_again(run, tmp_path, monkeypatch):
    tries, remake = [], RunFolder.remake
    monkeypatch.setattr(RunFolder, "remake", lambda folder: tries.append(folder) or remake(folder))
    above = tmp_path / "runs"
    with run.looking:
        shutil.rmtree(above)
        above.write_text("in the way")
    wait_until(lambda: any("cannot be made again" in text for text in texts_told(run)))
    before = len(tries)
    wait_until(lambda: len(tries) > before + 1)
    run.emit(at(2.5, Message(text="training goes on")))
    above.unlink()
    wait_until(lambda: "made again as" in texts_told(run)[-1])
    assert sum("cannot be made again" in text for text in texts_told(run)) == 1
    assert [event.time for event in read_events(above / "run")] == [1, 2, 2.5]


@pytest.mark.timeout(30)
@pytest.mark.parametrize("put", [put_file, put_link, put_folder, put_fifo, put_dangling_link])
def test_a_run_without_a_control_socket_goes_on_and_says_so_once(tmp_path, put):
    theirs = tmp_path / "theirs"
    theirs.write_text("precious")
    folder = tmp_path / "run"
    folder.mkdir()
    put(folder / "control.sock", theirs)
    writing = Writing(folder)
    writing.emit(at(1, STARTED))
    writing.writer.close()
    assert len(writing.told) == 1
    assert "cannot listen on the control socket" in writing.told[0].text
    assert "The run continues" in writing.told[0].text
    assert theirs.read_text() == "precious"
    assert list(read_events(folder)) == [at(1, STARTED)]


def test_a_file_system_without_sockets_is_no_end(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr("socketserver.UnixStreamServer.server_bind", refuse)
    writing = Writing(tmp_path)
    writing.writer.close()
    assert "Operation not permitted. The run continues" in writing.told[0].text


def test_the_heart_beats_on_when_a_beat_fails(tmp_path, monkeypatch):
    monkeypatch.setattr(run_writer_module, "_WATCH_SECONDS", 0.01)
    monkeypatch.setattr(run_writer_module, "BEAT_SECONDS", 0.01)
    beats = []

    def beat(_lock):
        beats.append(1)
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(run_writer_module.RunLock, "beat", beat)
    writing = Writing(tmp_path)
    wait_until(lambda: len(beats) >= 3)
    writing.writer.close()


def test_an_end_does_not_wait_for_a_disk_that_hangs(tmp_path, monkeypatch):
    monkeypatch.setattr(run_writer_module, "_WATCH_SECONDS", 0.01)
    monkeypatch.setattr(run_writer_module, "BEAT_SECONDS", 0.01)
    monkeypatch.setattr(run_writer_module, "_CLOSE_SECONDS", 0.2)
    hanging, responds = threading.Event(), threading.Event()

    def beat(_lock):
        hanging.set()
        responds.wait(60)

    monkeypatch.setattr(run_writer_module.RunLock, "beat", beat)
    writing = Writing(tmp_path)
    assert hanging.wait(10)
    writing.writer.close()
    responds.set()
    assert not (tmp_path / "control.sock").exists()
    assert not owner_of(tmp_path).live
