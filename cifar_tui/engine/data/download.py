"""Download one file over HTTP from the faster of its servers, resuming where an earlier attempt stopped."""

import contextlib
import http
import http.client
import os
import queue
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from cifar_tui.engine.data.registry import ALTERNATIVES, Progress

RETRY_PAUSES = (1.0, 2.0, 4.0, 8.0)
"""Seconds to wait before each retry; the list starts over whenever a retry has received new data."""

LOOK_SECONDS = 3.0
"""How long to compare several servers."""

SLOW_BYTES_PER_SECOND = 200_000
SPEED_SECONDS = 5.0
"""The speed is the mean over this long."""

_TIMEOUT_SECONDS = 20.0
_POLL_SECONDS = 0.1
_LOOK_POLL_SECONDS = 0.01
_READ_AHEAD_BLOCKS = 64
_BLOCK_BYTES = 1 << 16
_TEMPORARY_STATUS = {408, 425, 429, 500, 502, 503, 504}


class DownloadFailedError(Exception):
    """The download failed for good; the message is the reason, without a full stop."""


class _ConnectionFailedError(Exception):
    """The connection failed and may be tried again; the message is the reason."""


def download(
    urls: Sequence[str],
    part: Path,
    *,
    progress: Progress,
    retry_pauses: Sequence[float] = RETRY_PAUSES,
    alternatives: str = ALTERNATIVES,
) -> set[str]:
    """Download a file into `part`, after the bytes that `part` already holds, from one of several `urls`.

    Each connection is made to all of them; after a short look, the one that is ahead is read on. A connection
    that breaks after receiving data is resumed. If no data arrives at all, as without a network, the download
    fails at once. What arrived stays in `part` in any case. The caller checks the content.

    Args:
        urls: where the same file is; the proxies of the environment are used.
        part: the file to append to; created if missing.
        progress: counts the bytes of the whole file; says how long a slow server will take.
        retry_pauses: seconds before each retry.
        alternatives: what else to do than to wait for a slow server.

    Returns:
        The URLs that were read.

    Raises:
        DownloadFailedError: the network or every server failed.
        OSError: `part` cannot be written.
        CancelledError: the user requested a stop.
    """
    sources = [_Source(url) for url in urls]
    used: set[str] = set()
    speed = _Speed(alternatives)
    with part.open("ab") as file:
        start = longest = file.tell()
        pauses = list(retry_pauses)
        while True:
            try:
                progress.update(file.tell())
                stream = _open_fastest(sources, file.tell(), progress)
                used.add(stream.source.url)
                try:
                    _receive(stream, file, progress, speed)
                finally:
                    stream.abandon()
                break
            except _ConnectionFailedError as error:
                if file.tell() > longest:
                    longest, pauses = file.tell(), list(retry_pauses)
                if longest == start or not pauses:
                    raise DownloadFailedError(str(error)) from None
            _pause(pauses.pop(0), progress)
        file.flush()
        os.fsync(file.fileno())
    return used


class _Source:
    """A URL, and the ETag of the file that was last read from there."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.etag = ""


class _Stream:
    """The file from `offset` on, read ahead in a daemon thread, which ends by the timeout of the socket.

    Attributes:
        partial: whether the server sends what follows `offset`, not the whole file; set with the first block.
        length: bytes that it announced; None if it did not.
        received: bytes that have arrived.
        settled: set once it needs no more looking at: it ended, failed, or is far ahead of its reader.
        error: why it failed; None if it did not.
    """

    def __init__(self, source: _Source, offset: int) -> None:
        self.source = source
        self.offset = offset
        self.partial = False
        self.length: int | None = None
        self.received = 0
        self.settled = threading.Event()
        self.error: Exception | None = None
        self._etag = ""
        self._abandoned = threading.Event()
        self._blocks: queue.Queue[bytes] = queue.Queue(maxsize=_READ_AHEAD_BLOCKS)  # b"": the end
        threading.Thread(target=self._read, name="download", daemon=True).start()

    @property
    def position(self) -> int:
        """How much of the file the reader has once it has taken what has arrived."""
        return self.received + (self.offset if self.partial else 0)

    def abandon(self) -> None:
        """Let the thread end."""
        self._abandoned.set()

    def next_block(self, progress: Progress) -> bytes:
        """Return the next bytes; b"" at the end. A stop need not wait for a silent server.

        Raises:
            DownloadFailedError: the server refused.
            _ConnectionFailedError: the connection broke.
            CancelledError: the user requested a stop.
        """
        while True:
            with contextlib.suppress(queue.Empty):
                block = self._blocks.get(timeout=_POLL_SECONDS)
                break
            progress.check()
        if not block and self.error is not None:
            raise self.error
        self.source.etag = self._etag
        return block

    def _read(self) -> None:
        try:
            self._receive_all()
        except (DownloadFailedError, _ConnectionFailedError) as error:
            self.error = error
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.error = _ConnectionFailedError(_reason(error))
        self.settled.set()
        self._put(b"")

    def _put(self, block: bytes) -> None:
        while not self._abandoned.is_set():
            with contextlib.suppress(queue.Full):
                self._blocks.put(block, timeout=_POLL_SECONDS)
                return
            self.settled.set()

    def _receive_all(self) -> None:
        headers = {"User-Agent": "cifar-tui", "Accept-Encoding": "identity"}
        if self.offset:
            headers["Range"] = f"bytes={self.offset}-"
            if self.source.etag:
                headers["If-Range"] = self.source.etag
        request = urllib.request.Request(self.source.url, headers=headers)  # noqa: S310 - the URL is a constant
        try:
            response = urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS)  # noqa: S310 - as above
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and self.offset:
                self.partial = True  # nothing follows the bytes of the file
                return
            reason = f"the server answered {error.code} {error.reason}"
            if error.code in _TEMPORARY_STATUS:
                raise _ConnectionFailedError(reason) from None
            raise DownloadFailedError(reason) from None
        with response:
            self.partial = response.status == http.HTTPStatus.PARTIAL_CONTENT
            sent = response.headers.get("Content-Range", "")
            if self.partial and not sent.startswith(f"bytes {self.offset}-"):
                raise _ConnectionFailedError("the server sent a different part of the file than requested")
            etag = response.headers.get("ETag", "")
            self._etag = "" if etag.startswith("W/") else etag  # If-Range takes strong validators only
            self.length = response.length
            while not self._abandoned.is_set() and (block := response.read1(_BLOCK_BYTES)):
                self.received += len(block)
                self._put(block)
        if self.length is not None and self.received < self.length:
            raise _ConnectionFailedError("the connection was closed early")


def _open_fastest(sources: Sequence[_Source], offset: int, progress: Progress) -> _Stream:
    """Open the file at every source, and return the stream that is ahead after a short look.

    Raises:
        DownloadFailedError: every server refused.
        _ConnectionFailedError: none could be read, and one may be tried again.
    """
    streams = [_Stream(source, offset) for source in sources]
    chosen: _Stream | None = None
    end = time.monotonic() + LOOK_SECONDS
    try:
        while True:
            alive = [stream for stream in streams if stream.error is None]
            candidates = alive or [stream for stream in streams if stream.received]
            if not candidates:
                raise _joined(streams)
            ahead = max(candidates, key=lambda stream: stream.position)
            settled = [stream for stream in alive if stream.settled.is_set() and stream.error is None]
            looked = len(alive) <= 1 or time.monotonic() > end
            if settled or (looked and ahead.received > 0):
                chosen = settled[0] if settled else ahead
                return chosen
            progress.check()
            time.sleep(_LOOK_POLL_SECONDS)
    finally:
        for stream in streams:
            if stream is not chosen:
                stream.abandon()


def _joined(failed: Sequence[_Stream]) -> Exception:
    """Return the error that stands for those of all streams."""
    reasons = {urllib.parse.urlsplit(stream.source.url).hostname: str(stream.error) for stream in failed}
    text = str(failed[0].error)
    if len(set(reasons.values())) > 1:
        text = "; ".join(f"{host}: {reason}" for host, reason in reasons.items())
    temporary = any(isinstance(stream.error, _ConnectionFailedError) for stream in failed)
    return _ConnectionFailedError(text) if temporary else DownloadFailedError(text)


def _receive(stream: _Stream, file: BinaryIO, progress: Progress, speed: "_Speed") -> None:
    """Append the bytes of `stream` to `file`, or replace its content if the whole file is sent."""
    block = stream.next_block(progress)
    if stream.offset and not stream.partial:  # the server knows no ranges, or the file has changed
        file.truncate(0)
        file.seek(0)
    progress.total = None if stream.length is None else file.tell() + stream.length
    progress.update(file.tell())
    speed.restart(file.tell())
    while block:
        file.write(block)
        progress.note = speed.note(file.tell(), progress.total)
        progress.update(file.tell())
        block = stream.next_block(progress)


class _Speed:
    """The speed of the last seconds; a note about a slow server ends with `alternatives`."""

    def __init__(self, alternatives: str) -> None:
        self._alternatives = alternatives
        self._points: deque[tuple[float, int]] = deque()

    def restart(self, done: int) -> None:
        """Measure from now on, `done` bytes into the file."""
        self._points = deque([(time.monotonic(), done)])

    def note(self, done: int, total: int | None) -> str:
        """Return what to tell the user when `done` of `total` bytes have arrived; "" unless it is slow."""
        now = time.monotonic()
        self._points.append((now, done))
        while now - self._points[1][0] > SPEED_SECONDS:
            self._points.popleft()
        since, before = self._points[0]
        if now - since < SPEED_SECONDS:
            return ""
        per_second = (done - before) / (now - since)
        if per_second >= SLOW_BYTES_PER_SECOND:
            return ""
        left = "" if total is None else f", about {max(1, round((total - done) / per_second / 60))} min left"
        return (
            f"the server is slow ({per_second / 1000:.0f} kB/s{left}): wait, or stop and {self._alternatives}"
        )


def _reason(error: Exception) -> str:
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(cause, TimeoutError):
        return "the server did not answer in time"
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    return str(cause) or type(cause).__name__


def _pause(seconds: float, progress: Progress) -> None:
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        progress.check()
        time.sleep(min(left, _POLL_SECONDS))
