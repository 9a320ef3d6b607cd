"""The event log: what is in it, when it is written, and what damage to it does."""

import contextlib
import errno
import json
import math
import os
import threading

import pytest

from cifar_tui.engine.events import (
    Alert,
    EvaluationProgress,
    LoadingProgress,
    LossWindow,
    Message,
    Phase,
    PhaseChanged,
    SamplesPredicted,
)
from cifar_tui.runs.disk import downsample
from cifar_tui.runs.disk import event_log as event_log_module
from cifar_tui.runs.disk.event_log import SCHEMA_VERSION, EventLog, EventReader, read_events
from tests.runs.made_events import finished, saved, texts_of
from tests.runs.made_events import point as made_point


def point(number):
    return made_point(number, steps=1)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "events.jsonl"


@pytest.fixture
def clock(monkeypatch):
    """The time in seconds, as a list of one number that the test moves on."""
    clock = [100.0]
    monkeypatch.setattr(event_log_module.time, "monotonic", lambda: clock[0])
    return clock


class Disk:
    """A disk with `room` for so many more bytes."""

    def __init__(self, monkeypatch):
        self.room = math.inf
        self._pwrite = os.pwrite
        monkeypatch.setattr(event_log_module.os, "pwrite", self._write)

    def _write(self, descriptor, data, offset):
        if self.room <= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = self._pwrite(descriptor, data[: min(len(data), self.room)], offset)
        self.room -= written
        return written


@pytest.fixture
def disk(monkeypatch):
    return Disk(monkeypatch)


def assert_whole(path):
    """Every line of the log is JSON, and the last one has its end."""
    content = path.read_bytes()
    assert content.endswith(b"\n")
    for line in content.splitlines():
        json.loads(line)


# What is written, and when


def test_the_first_line_names_the_schema(open_log, path):
    open_log()
    assert json.loads(path.read_text()) == {"schema": SCHEMA_VERSION}


def test_events_come_back_equal_and_in_order(open_log, tmp_path, path):
    events = [
        PhaseChanged(phase=Phase.TRAINING, message="a"),
        point(1),
        SamplesPredicted(step=1, predicted=(1, 2), confidences=(0.5, 0.25)),
        Message(text="größer\nund zwei Zeilen", printed=True),
        saved(1),
        finished(),
    ]
    log = open_log()
    for event in events:
        log.append(event)
    assert list(read_events(tmp_path)) == events
    assert path.read_bytes().count(b"\n") == 1 + len(events)


def test_what_is_for_the_screen_alone_is_not_logged(open_log, path):
    log = open_log()
    log.append(LoadingProgress(stage="loading", done=1, total=2, unit="files"))
    log.append(EvaluationProgress(done=1, total=2, correct=1, batch=1, batches=2))
    log.close()
    assert path.read_bytes().count(b"\n") == 1


def test_points_wait_for_up_to_a_second_and_everything_else_is_written_at_once(open_log, tmp_path, clock):
    log = open_log()
    clock[0] += 0.5
    log.append(point(1))
    clock[0] += 0.4
    log.append(point(2))
    assert list(read_events(tmp_path)) == []
    log.append(Message(text="a"))
    assert texts_of(read_events(tmp_path)) == [1, 2, "a"]
    clock[0] += 0.9
    log.append(point(3))
    assert texts_of(read_events(tmp_path)) == [1, 2, "a"]
    clock[0] += 0.1
    log.append(point(4))
    assert texts_of(read_events(tmp_path)) == [1, 2, "a", 3, 4]


def test_the_end_writes_what_waits_and_may_come_twice(open_log, tmp_path, clock):
    log = open_log()
    log.append(point(1))
    log.close()
    log.close()
    assert texts_of(read_events(tmp_path)) == [1]


def test_points_that_wait_to_be_chosen_from_are_written_before_a_checkpoint_and_at_the_end(
    open_log, tmp_path, monkeypatch
):
    monkeypatch.setattr(downsample, "POINTS_PER_LEVEL", 1)
    log = open_log()
    for number in (100, 101, 102):
        log.append(point(number))
    assert texts_of(read_events(tmp_path)) == []
    log.append(saved(102))
    log.append(point(103))
    log.close()
    events = list(read_events(tmp_path))
    assert [type(event).__name__ for event in events] == ["LossPoint", "CheckpointSaved", "LossPoint"]
    assert events[0].step in {100, 101, 102}
    assert events[2].step == 103


def test_numbers_that_are_not_finite_are_null_in_the_file_and_nan_again_when_read(open_log, tmp_path, path):
    log = open_log()
    log.append(LossWindow(epoch=1, batch=1, step=1, loss=math.nan))
    log.append(LossWindow(epoch=1, batch=2, step=2, loss=math.inf))
    log.append(SamplesPredicted(step=2, predicted=(1,), confidences=(-math.inf,)))

    def refuse(constant):
        pytest.fail(f"{constant} is no JSON")

    for line in path.read_text().splitlines():
        json.loads(line, parse_constant=refuse)
    assert path.read_text().count("null") == 3
    first, second, samples = read_events(tmp_path)
    assert math.isnan(first.loss)
    assert math.isnan(second.loss)
    assert math.isnan(samples.confidences[0])


def test_several_threads_append_whole_lines_each_in_its_order(open_log, tmp_path, path):
    log = open_log()
    start = threading.Barrier(4)

    def append(name):
        start.wait()
        for number in range(150):
            log.append(Message(text=f"{name}{number}"))
            log.append(point(number + 1))

    threads = [threading.Thread(target=append, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.close()
    assert_whole(path)
    events = list(read_events(tmp_path))
    assert len(events) == 4 * 300
    messages = [event.text for event in events if isinstance(event, Message)]
    for name in "abcd":
        assert [text for text in messages if text[0] == name] == [f"{name}{k}" for k in range(150)]


# Opened again


def test_a_log_that_is_opened_again_goes_on(open_log, tmp_path, path):
    first = open_log()
    first.append(Message(text="a"))
    first.close()
    open_log().append(Message(text="b"))
    assert texts_of(read_events(tmp_path)) == ["a", "b"]
    assert path.read_text().count("schema") == 1


@pytest.mark.parametrize("torn", [b'{"event":"Mess', b"x", b"y" * 100])
def test_a_torn_last_line_is_never_read_and_cut_off_when_the_log_is_opened_again(
    open_log, tmp_path, path, torn
):
    log = open_log()
    log.append(Message(text="a"))
    log.close()
    whole = path.read_bytes()
    path.write_bytes(whole + torn)
    reader = EventReader(tmp_path)
    assert texts_of(reader.read()) == ["a"]
    log = open_log()
    assert path.read_bytes() == whole
    log.append(Message(text="b"))
    assert_whole(path)
    assert texts_of(reader.read()) == ["b"], "who reads on is not led astray by what was cut off"


@pytest.mark.parametrize("torn", [b"", b"x", b"y" * 100])
def test_a_log_longer_than_a_read_may_be_keeps_its_lines(open_log, path, monkeypatch, torn):
    log = open_log()
    for number in range(9):
        log.append(Message(text=f"message {number}"))
    log.close()
    whole = path.read_bytes()
    path.write_bytes(whole + torn)
    pread = os.pread
    monkeypatch.setattr(event_log_module, "_BLOCK_BYTES", 16, raising=False)
    monkeypatch.setattr(
        event_log_module.os, "pread", lambda file, size, offset: pread(file, min(size, 16), offset)
    )
    open_log()
    assert path.read_bytes() == whole


def test_a_log_that_was_torn_in_its_first_line_begins_anew(open_log, tmp_path, path):
    path.write_bytes(b'{"sch')
    open_log().append(Message(text="a"))
    assert json.loads(path.read_text().splitlines()[0]) == {"schema": SCHEMA_VERSION}
    assert texts_of(read_events(tmp_path)) == ["a"]


# A full disk


@pytest.mark.parametrize("room", [0, 1, 40, 75, 200])
def test_on_a_full_disk_nothing_is_torn_and_nothing_is_lost(open_log, tmp_path, path, disk, room):
    log = open_log()
    log.append(Message(text="before"))
    disk.room = room
    failures = 0
    for number in range(5):
        try:
            log.append(Message(text=f"message {number}"))
        except OSError:
            failures += 1
        assert_whole(path)
    assert failures >= 3
    disk.room = math.inf
    log.append(Alert(text="after"))
    assert texts_of(read_events(tmp_path)) == ["before", *(f"message {k}" for k in range(5)), "after"]
    assert_whole(path)


def test_who_follows_a_log_on_a_full_disk_reads_each_event_once(open_log, tmp_path, disk):
    log = open_log()
    reader = EventReader(tmp_path)
    read = texts_of(reader.read())
    for number in range(40):
        disk.room = 0 if number % 4 == 0 else 130 if number % 4 < 3 else math.inf
        with contextlib.suppress(OSError):
            log.append(Message(text=f"{number}"))
        read += texts_of(reader.read())
    assert read == [str(number) for number in range(40)]


def test_points_are_tried_again_and_the_end_writes_all_once_there_is_room(open_log, tmp_path, disk, clock):
    log = open_log()
    disk.room = 0
    for number in range(1, 4):
        clock[0] += 1
        with pytest.raises(OSError, match="No space left"):
            log.append(point(number))
    log.append(point(4))  # no second has passed since the last attempt
    disk.room = math.inf
    log.close()
    assert texts_of(read_events(tmp_path)) == [1, 2, 3, 4]


def test_an_end_on_a_full_disk_says_so_and_leaves_whole_lines(open_log, path, disk, clock):
    log = open_log()
    log.append(point(1))
    disk.room = 20
    with pytest.raises(OSError, match="No space left"):
        log.close()
    log.close()
    assert_whole(path)


def test_points_that_cannot_be_written_take_no_memory_without_end_and_events_are_kept(
    open_log, tmp_path, disk, clock, monkeypatch
):
    monkeypatch.setattr(event_log_module, "_MAX_PENDING_LINES", 10)
    log = open_log()
    disk.room = 0
    for number in range(1, 100):
        log.append(point(number))
    for number in range(20):
        with pytest.raises(OSError):
            log.append(Message(text=f"{number}"))
    disk.room = math.inf
    log.close()
    assert texts_of(read_events(tmp_path)) == [*range(1, 11), *(str(number) for number in range(20))]


def test_a_log_that_cannot_be_opened_is_the_callers(tmp_path):
    (tmp_path / "events.jsonl").mkdir()
    with pytest.raises(OSError, match="it is a folder"):
        EventLog(tmp_path)
