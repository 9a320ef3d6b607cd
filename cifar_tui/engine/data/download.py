"""Downloads one file over HTTP, going on where an earlier attempt stopped."""

import http.client
import os
import queue
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from cifar_tui.engine.data.progress import Progress

RETRY_PAUSES = (1.0, 2.0, 4.0, 8.0)
"""Seconds to wait before the first, second, … new attempt that follows one without any progress."""

_TIMEOUT = 20.0  # seconds without a byte after which a connection counts as broken
_BLOCK = 1 << 16
_POLL = 0.1  # seconds between two looks at whether the user asked to stop
_TEMPORARY_STATUS = {408, 425, 429, 500, 502, 503, 504}


@dataclass(frozen=True, kw_only=True, slots=True)
class _Answer:
    """The head of a response: where its bytes belong, how long the whole file is, and its validator."""

    offset: int
    total: int | None
    etag: str


@dataclass(frozen=True, kw_only=True, slots=True)
class _Failure:
    reason: str
    permanent: bool = False
    complete: bool = False  # the server has no bytes after those that are there


class DownloadFailedError(Exception):
    """The file could not be had; the message is the reason, to stand inside a sentence."""


def download(
    url: str, part: Path, *, progress: Progress, retry_pauses: Sequence[float] = RETRY_PAUSES
) -> None:
    """Download `url` into `part`, after the bytes that `part` already holds.

    A connection that breaks after it brought something is taken up again where it broke; one that never
    brought anything fails at once, so that a machine without a network hears so soon. What arrived stays in
    `part` whatever happens. Whether the bytes are the right ones is for the caller to check.

    Args:
        url: what to download; proxies named by the environment are used.
        part: the file to append to; made if it is not there.
        progress: counts the bytes of the whole file.
        retry_pauses: seconds before each of the attempts that may follow a failed one.

    Raises:
        DownloadFailedError: the network or the server did not deliver.
        OSError: `part` cannot be written.
        CancelledError: the user asked to stop; within a second, even if the server is silent.
    """
    with part.open("ab") as file:
        transfer = _Transfer(url, file, progress)
        longest = start = file.tell()
        pauses = list(retry_pauses)
        while failure := transfer.attempt():
            if file.tell() > longest:
                longest = file.tell()
                pauses = list(retry_pauses)
            if failure.permanent or longest == start or not pauses:
                raise DownloadFailedError(failure.reason)
            _pause(pauses.pop(0), progress)
        file.flush()
        os.fsync(file.fileno())


class _Transfer:
    """The attempts to fill one open file from one address."""

    def __init__(self, url: str, file: BinaryIO, progress: Progress) -> None:
        self._url = url
        self._file = file
        self._progress = progress
        self._etag = ""

    def attempt(self) -> _Failure | None:
        """Ask for the bytes that are missing; None once the server says that these were all."""
        stream = _Stream(self._url, self._file.tell(), self._etag)
        try:
            return self._receive(stream)
        finally:
            stream.abandon()
            self._file.flush()

    def _receive(self, stream: "_Stream") -> _Failure | None:
        while True:
            item = stream.next(self._progress.check)
            if isinstance(item, bytes):
                self._file.write(item)
                self._progress.update(self._file.tell())
            elif isinstance(item, _Answer):
                self._begin(item)
            elif item is None:
                missing = self._progress.total is not None and self._file.tell() < self._progress.total
                return _Failure(reason="the connection was closed early") if missing else None
            else:
                return None if item.complete else item

    def _begin(self, answer: _Answer) -> None:
        if answer.offset != self._file.tell():
            # The server sends the file from its start: it knows no ranges, or the file is another one now.
            self._file.truncate(0)
            self._file.seek(0)
        self._etag = answer.etag
        self._progress.total = answer.total
        self._progress.update(self._file.tell())


class _Stream:
    """One request, made in a thread of its own.

    A silent server, a slow name server and a handshake that hangs all block in calls that cannot be
    interrupted; here they block a thread that nobody waits for, and which ends by its timeout.
    """

    def __init__(self, url: str, offset: int, etag: str) -> None:
        self._items: queue.Queue[_Answer | _Failure | bytes | None] = queue.Queue(maxsize=64)
        self._abandoned = threading.Event()
        headers = {"User-Agent": "cifar-tui", "Accept-Encoding": "identity"}
        if offset:
            headers["Range"] = f"bytes={offset}-"
            if etag:
                headers["If-Range"] = etag
        request = urllib.request.Request(url, headers=headers)  # noqa: S310 - the address is torchvision's
        threading.Thread(target=self._run, args=(request, offset), name="download", daemon=True).start()

    def next(self, check: Callable[[], None]) -> _Answer | _Failure | bytes | None:
        """The next thing that arrived: the head, bytes, then None at the end; `check` is called meanwhile."""
        while True:
            check()
            try:
                return self._items.get(timeout=_POLL)
            except queue.Empty:
                continue

    def abandon(self) -> None:
        """Nobody takes what still arrives."""
        self._abandoned.set()

    def _put(self, item: _Answer | _Failure | bytes | None) -> None:
        while not self._abandoned.is_set():
            try:
                self._items.put(item, timeout=_POLL)
            except queue.Full:
                continue
            return

    def _run(self, request: urllib.request.Request, offset: int) -> None:
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT) as response:  # noqa: S310 - as above
                self._read(response, offset)
        except urllib.error.HTTPError as error:
            error.close()
            self._put(
                _Failure(
                    reason=f"the server answered {error.code} {error.reason}",
                    permanent=error.code not in _TEMPORARY_STATUS,
                    complete=error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and offset > 0,
                )
            )
        except (OSError, http.client.HTTPException, ValueError) as error:
            self._put(_Failure(reason=_reason(error)))

    def _read(self, response: http.client.HTTPResponse, offset: int) -> None:
        length = response.headers.get("Content-Length", "")
        remaining = int(length) if length.isdecimal() else None
        start = 0
        if response.status == http.HTTPStatus.PARTIAL_CONTENT:
            start = offset
            if not response.headers.get("Content-Range", "").startswith(f"bytes {offset}-"):
                raise http.client.HTTPException("the server sent another part of the file than asked for")
        etag = response.headers.get("ETag", "")
        self._put(
            _Answer(
                offset=start,
                total=None if remaining is None else start + remaining,
                etag="" if etag.startswith("W/") else etag,  # If-Range takes strong validators only
            )
        )
        # Counted here because a server may leave the connection open after the last byte.
        while remaining != 0 and not self._abandoned.is_set():
            block = response.read1(_BLOCK)
            if not block:
                break
            self._put(block)
            remaining = None if remaining is None else remaining - len(block)
        self._put(None)


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
        time.sleep(min(left, _POLL))
