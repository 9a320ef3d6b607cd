"""The event log of a run: append-only JSON lines, from which every screen can be rebuilt."""

import errno
import json
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from cifar_tui.engine.disk.regular import ForeignFileError, is_removed, open_regular
from cifar_tui.engine.events import CheckpointSaved, Event, LossPoint, event_from_dict, event_to_dict
from cifar_tui.engine.layout import EVENTS_FILE
from cifar_tui.runs.disk.downsample import Downsampler
from cifar_tui.runs.plausible import is_plausible

SCHEMA_VERSION = 1

_BLOCK_BYTES = 1 << 20
_FLUSH_SECONDS = 1.0
_MAX_PENDING_LINES = 50_000
_MOST_BYTES = 1 << 36
_HEAD_BYTES = 1 << 16
_LONGEST_LINE = 16 << 20
"""Longer lines are none of ours: an evaluation of 10,000 classes has 1 MB."""


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
        self._descriptor = _open_log(folder, os.O_RDWR | os.O_CREAT)
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

    @property
    def removed(self) -> bool:
        """Whether somebody has removed the file."""
        with self._lock:
            return self._descriptor >= 0 and is_removed(self._descriptor)

    def move_to(self, folder: Path) -> None:
        """Continue in another `folder`, with all that was logged so far; the old file may be deleted already.

        Raises:
            OSError: the file cannot be written there; the log continues in the old one.
        """
        with self._lock:
            descriptor = _open_log(folder, os.O_RDWR | os.O_CREAT)
            try:
                if os.path.samestat(os.fstat(descriptor), os.fstat(self._descriptor)):
                    os.close(descriptor)
                    return
                os.ftruncate(descriptor, 0)
                for start in range(0, self._end, _BLOCK_BYTES):
                    block = os.pread(self._descriptor, min(_BLOCK_BYTES, self._end - start), start)
                    _write_at(descriptor, block, start)
            except OSError:
                os.close(descriptor)
                raise
            os.close(self._descriptor)
            self._descriptor = descriptor

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
        self.behind = True
        try:
            _write_at(self._descriptor, data, self._end)
        except OSError:
            os.ftruncate(self._descriptor, self._end)
            raise
        self._end += len(data)
        self._pending.clear()
        self.behind = False


class EventReader:
    """Read the event log of `folder` and follow it as it grows.

    A torn last line is end-of-file; lines that no run has written and unknown events are skipped.

    Attributes:
        folder: the folder of the run; may be set to where it was moved.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._offset = 0
        self._in_long_line = False

    def read(self, *, end: int = _MOST_BYTES) -> Iterator[Event]:
        """Yield the events appended since the last call, oldest first; none beyond byte `end` of the log.

        Raises:
            OSError: the log cannot be read, or is not a regular file.
        """
        with os.fdopen(_open_log(self.folder, os.O_RDONLY), "rb") as file:
            file.seek(self._offset)
            while line := file.readline(min(_LONGEST_LINE, end - self._offset)):
                whole = line.endswith(b"\n")
                if not whole and len(line) < _LONGEST_LINE and not self._in_long_line:
                    return  # torn, or still being written
                self._offset += len(line)
                event = _parse(line) if whole and not self._in_long_line else None
                self._in_long_line = not whole
                if event is not None:
                    yield event


def read_events(folder: Path) -> Iterator[Event]:
    """Yield all events in the log of `folder`; see `EventReader`."""
    return EventReader(folder).read()


def first_event(folder: Path) -> Event | None:
    """Return the first event in the log of `folder`; None if its first 64 KiB have none.

    Raises:
        OSError: see `EventReader.read`.
    """
    return next(EventReader(folder).read(end=_HEAD_BYTES), None)


def _line(values: dict[str, object]) -> bytes:
    return json.dumps(values, separators=(",", ":"), allow_nan=False).encode() + b"\n"


def _event_line(event: Event) -> bytes:
    return _line(event_to_dict(event))


def _open_log(folder: Path, flags: int) -> int:
    descriptor = open_regular(folder / EVENTS_FILE, flags)
    if os.fstat(descriptor).st_size > _MOST_BYTES:
        os.close(descriptor)
        reason = f"it has more than {_MOST_BYTES:,} bytes"
        raise ForeignFileError(errno.EFBIG, reason, str(folder / EVENTS_FILE))
    return descriptor


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


def _write_at(descriptor: int, data: bytes, offset: int) -> None:
    written = 0
    while written < len(data):
        written += os.pwrite(descriptor, data[written:], offset + written)


def _parse(line: bytes) -> Event | None:
    try:
        values = json.loads(line.decode())  # given bytes, it would detect the encoding first
        event = event_from_dict(values) if "event" in values else None
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        return None
    return event if event is not None and is_plausible(event) else None
