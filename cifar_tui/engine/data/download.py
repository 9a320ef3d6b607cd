"""Download one file over HTTP, resuming where an earlier attempt stopped."""

import http
import http.client
import os
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from pathlib import Path
from typing import BinaryIO, TypeVar

from cifar_tui.engine.data.registry import Progress

RETRY_PAUSES = (1.0, 2.0, 4.0, 8.0)
"""Seconds to wait before each retry; the list starts over whenever a retry has received new data."""

_TIMEOUT_SECONDS = 20.0
_POLL_SECONDS = 0.1
_BLOCK_BYTES = 1 << 16
_TEMPORARY_STATUS = {408, 425, 429, 500, 502, 503, 504}

_Result = TypeVar("_Result")


class DownloadFailedError(Exception):
    """The download failed for good; the message is the reason, without a full stop."""


class _ConnectionFailedError(Exception):
    """The connection failed and may be tried again; the message is the reason."""


def download(
    url: str, part: Path, *, progress: Progress, retry_pauses: Sequence[float] = RETRY_PAUSES
) -> None:
    """Download `url` into `part`, after the bytes that `part` already holds.

    A connection that breaks after receiving data is resumed. If no data arrives at all, as without a network,
    the download fails at once. What arrived stays in `part` in any case. The caller checks the content.

    Args:
        url: what to download; the proxies of the environment are used.
        part: the file to append to; created if missing.
        progress: counts the bytes of the whole file.
        retry_pauses: seconds before each retry.

    Raises:
        DownloadFailedError: the network or the server failed.
        OSError: `part` cannot be written.
        CancelledError: the user requested a stop.
    """
    headers = {"User-Agent": "cifar-tui", "Accept-Encoding": "identity"}
    with part.open("ab") as file:
        start = longest = file.tell()
        pauses = list(retry_pauses)
        while True:
            try:
                _receive(url, file, headers, progress)
                break
            except _ConnectionFailedError as error:
                if file.tell() > longest:
                    longest, pauses = file.tell(), list(retry_pauses)
                if longest == start or not pauses:
                    raise DownloadFailedError(str(error)) from None
            _pause(pauses.pop(0), progress)
        file.flush()
        os.fsync(file.fileno())


def _receive(url: str, file: BinaryIO, headers: dict[str, str], progress: Progress) -> None:
    """Append the missing bytes to `file`; `headers` keeps the ETag for the next attempt."""
    offset = file.tell()
    if offset:
        headers["Range"] = f"bytes={offset}-"
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - the URL is a constant
    try:
        response = _wait_for(lambda: urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS), progress)  # noqa: S310 - as above
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and offset:
            return  # nothing follows the bytes of `file`
        reason = f"the server answered {error.code} {error.reason}"
        if error.code in _TEMPORARY_STATUS:
            raise _ConnectionFailedError(reason) from None
        raise DownloadFailedError(reason) from None
    if response.status != http.HTTPStatus.PARTIAL_CONTENT:
        if offset:  # the whole file is sent: the server knows no ranges, or the file has changed
            file.truncate(0)
            file.seek(0)
    elif not response.headers.get("Content-Range", "").startswith(f"bytes {offset}-"):
        raise _ConnectionFailedError("the server sent a different part of the file than requested")
    headers.pop("Range", None)
    headers.pop("If-Range", None)
    etag = response.headers.get("ETag", "")
    if etag and not etag.startswith("W/"):  # If-Range takes strong validators only
        headers["If-Range"] = etag
    progress.total = None if response.length is None else file.tell() + response.length
    progress.update(file.tell())
    while block := _wait_for(lambda: response.read1(_BLOCK_BYTES), progress):
        file.write(block)
        progress.update(file.tell())
    response.close()
    if progress.total is not None and file.tell() < progress.total:
        raise _ConnectionFailedError("the connection was closed early")


def _wait_for(call: Callable[[], _Result], progress: Progress) -> _Result:
    """Return the result of a blocking network call; a stop need not wait for a silent server.

    The call runs in a daemon thread, which after a stop ends by the timeout of the socket.
    """
    future: Future[_Result] = Future()

    def run() -> None:
        try:
            future.set_result(call())
        except Exception as error:  # noqa: BLE001 - raised again below
            future.set_exception(error)

    threading.Thread(target=run, name="download", daemon=True).start()
    while not future.done():
        wait([future], timeout=_POLL_SECONDS)
        progress.check()
    try:
        return future.result()
    except urllib.error.HTTPError:
        raise
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise _ConnectionFailedError(_reason(error)) from None


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
