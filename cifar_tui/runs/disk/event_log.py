"""The event log of a run: append-only JSON lines, from which every screen can be rebuilt."""

import json
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cifar_tui.engine.events import CheckpointSaved, Event, LossPoint, event_from_dict, event_to_dict
from cifar_tui.engine.layout import EVENTS_FILE
from cifar_tui.runs.disk.downsample import Downsampler

SCHEMA_VERSION = 1

_BLOCK_BYTES = 1 << 20
_FLUSH_SECONDS = 1.0
_MAX_PENDING_LINES = 50_000
_LARGEST = 1e300
"""Larger numbers overflow where a screen computes with them."""
_MOST_SECONDS = 1e11
"""Later than year 5000: no clock shows such a time."""


class EventLog:
    """Append events to `folder/events.jsonl`, whose first line is the schema version. Thread-safe.

    If the disk is full, lines stay in memory until the next write; no line is ever written in part.

    Attributes:
        behind: whether the last attempt to write failed.

    Raises:
        OSError: the file cannot be opened or written; also from `append` and `close`.
    """

    def __init__(self, folder: Path) -> None:
        self._lock = threading.Lock()
        self._pending: list[bytes] = []
        self._downsampler = Downsampler()
        self._descriptor = os.open(folder / EVENTS_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            self._end = _end_of_last_line(self._descriptor)
            os.ftruncate(self._descriptor, self._end)  # a crash may have torn the last line
            if self._end == 0:
                self._pending.append(_line({"schema": SCHEMA_VERSION}))
            self._flush()
        except OSError:
            os.close(self._descriptor)
            raise

    def append(self, event: Event) -> None:
        """Append `event` unless it is transient. Chart points may stay in memory for a second."""
        if event.transient:
            return
        with self._lock:
            if isinstance(event, LossPoint):
                if len(self._pending) < _MAX_PENDING_LINES:
                    self._pending += map(_event_line, self._downsampler.take(event))
                if time.monotonic() - self._flushed < _FLUSH_SECONDS:
                    return
            else:
                if isinstance(event, CheckpointSaved):
                    # a resume trains none of these steps again
                    self._pending += map(_event_line, self._downsampler.flush())
                self._pending.append(_event_line(event))
            self._flush()

    def sync(self) -> None:
        """Fsync the file without blocking `append`."""
        with self._lock:
            if self._descriptor < 0:
                return
            descriptor = os.dup(self._descriptor)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def close(self) -> None:
        """Write what is pending and close; idempotent."""
        with self._lock:
            if self._descriptor < 0:
                return
            self._pending += map(_event_line, self._downsampler.flush())
            try:
                self._flush()
            finally:
                os.close(self._descriptor)
                self._descriptor = -1

    def _flush(self) -> None:
        self._flushed = time.monotonic()
        data = b"".join(self._pending)
        written, self.behind = 0, True
        try:
            while written < len(data):
                written += os.pwrite(self._descriptor, data[written:], self._end + written)
        except OSError:
            os.ftruncate(self._descriptor, self._end)
            raise
        self._end += written
        self._pending.clear()
        self.behind = False


class EventReader:
    """Read the event log of `folder` and follow it as it grows.

    A torn last line is end-of-file; damaged lines and unknown events are skipped.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / EVENTS_FILE
        self._offset = 0

    def read(self) -> Iterator[Event]:
        """Yield the events appended since the last call, oldest first.

        Raises:
            OSError: the log cannot be read.
        """
        with self._path.open("rb") as file:
            file.seek(self._offset)
            for line in file:
                if not line.endswith(b"\n"):
                    return  # torn, or still being written
                self._offset += len(line)
                event = _parse(line)
                if event is not None:
                    yield event


def read_events(folder: Path) -> Iterator[Event]:
    """Yield all events in the log of `folder`; see `EventReader`."""
    return EventReader(folder).read()


def _line(values: dict[str, object]) -> bytes:
    return json.dumps(values, separators=(",", ":"), allow_nan=False).encode() + b"\n"


def _event_line(event: Event) -> bytes:
    return _line(event_to_dict(event))


def _end_of_last_line(descriptor: int) -> int:
    """Return where the last whole line of a file ends; reads backwards, and little of a long file."""
    end = os.fstat(descriptor).st_size
    while end > 0:
        start = max(0, end - _BLOCK_BYTES)
        newline = os.pread(descriptor, end - start, start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0


def _in_range(values: dict[str, Any]) -> bool:
    """Check that numbers are small enough to compute with, and times and durations are known.

    Raises:
        TypeError: a time is None or no number.
    """
    numbers = (value for value in values.values() if isinstance(value, int | float))
    seconds = (values[name] for name in ("time", "train_seconds") if name in values)
    return all(-_LARGEST <= number <= _LARGEST for number in numbers) and all(
        0 <= span <= _MOST_SECONDS for span in seconds
    )


def _parse(line: bytes) -> Event | None:
    try:
        values = json.loads(line.decode())  # given bytes, it would detect the encoding first
        if "event" not in values:
            return None
        event = event_from_dict(values)
        return event if _in_range(values) else None
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return None
