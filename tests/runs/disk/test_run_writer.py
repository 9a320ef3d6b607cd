"""`RunWriter`: owns a run and keeps its event log and its summary."""

import errno
import os

import pytest

from cifar_tui.engine.errors import ConfigError, RunFailedError
from cifar_tui.engine.events import Message, Phase, PhaseChanged, RunEnded
from cifar_tui.engine.layout import LOCK_FILE, SUMMARY_FILE
from cifar_tui.runs.disk import run_writer as run_writer_module
from cifar_tui.runs.disk.event_log import read_events
from cifar_tui.runs.disk.run_lock import owner_of
from cifar_tui.runs.disk.run_writer import RunWriter
from cifar_tui.runs.disk.summary import read_summary
from cifar_tui.runs.state import RunState
from tests.runs.made_events import STARTED, at, epoch_finished, evaluated, finished, point, saved
from tests.runs.writing import Writing


@pytest.fixture
def writing(tmp_path):
    writing = Writing(tmp_path)
    yield writing
    writing.writer.close()


def test_it_owns_the_run_until_it_is_closed(writing, tmp_path):
    assert owner_of(tmp_path).live
    with pytest.raises(ConfigError, match="already running"):
        RunWriter(tmp_path, RunState(), lambda _: None)
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

    def refuse(*_):
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
    RunWriter(tmp_path, RunState(), lambda _: None).close()
    assert list(tmp_path.glob(".*")) == []


def test_a_folder_that_cannot_be_written_is_one_sentence_and_owned_by_nobody(tmp_path):
    (tmp_path / "events.jsonl").mkdir()
    with pytest.raises(RunFailedError, match=r"cannot write to .*: Is a directory"):
        RunWriter(tmp_path, RunState(), lambda _: None)
    assert (tmp_path / LOCK_FILE).read_bytes() == b""
