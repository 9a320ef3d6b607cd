"""Brings the official files into the data folder: lock, download, check, unpack."""

import errno
import fcntl
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from cifar_tui.engine.data.archive import OTHER_WAYS, Archive, md5_of_file, unpack
from cifar_tui.engine.data.download import RETRY_PAUSES, DownloadFailedError, download
from cifar_tui.engine.data.progress import Progress
from cifar_tui.engine.errors import DataUnavailableError
from cifar_tui.engine.events import LoadingProgress

_LOCK_POLL = 0.1  # seconds


def fetch(
    archive: Archive,
    data_dir: Path,
    *,
    report: Callable[[LoadingProgress], None],
    cancelled: Callable[[], bool],
    retry_pauses: Sequence[float] = RETRY_PAUSES,
) -> Path:
    """Have the folder of `archive` in `data_dir`, and return it.

    An archive that is there already is used if its MD5 is right; otherwise it is downloaded to a temporary
    name, on top of what an earlier download left there. The archive is kept: a folder that was damaged comes
    back from it without a network, and torchvision finds it there too.

    Raises:
        DataUnavailableError: no network, a wrong archive, a full disk, a folder that cannot be written.
        CancelledError: the user asked to stop; the part that was downloaded stays for the next time.
    """
    target = data_dir / archive.folder_name
    path = data_dir / archive.file_name
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        with _locked(data_dir / f".{archive.file_name}.lock", archive, report, cancelled):
            if target.exists():  # another process made it while this one waited for the lock
                return target
            if path.exists():
                _check_archive(path, archive, report, cancelled)
            else:
                _download_archive(path, archive, report, cancelled, retry_pauses)
            return unpack(path, archive, report=report, cancelled=cancelled)
    except OSError as error:
        raise DataUnavailableError(_storage_sentence(data_dir, error)) from None


def _check_archive(
    path: Path, archive: Archive, report: Callable[[LoadingProgress], None], cancelled: Callable[[], bool]
) -> None:
    progress = Progress(f"checking {path.name}", "bytes", report=report, cancelled=cancelled)
    found = md5_of_file(path, progress)
    if found != archive.md5:
        raise DataUnavailableError(
            f"{path} is not the official archive (its MD5 is {found}, not {archive.md5}): remove it to "
            f"download it again, or {OTHER_WAYS}"
        )


def _download_archive(
    path: Path,
    archive: Archive,
    report: Callable[[LoadingProgress], None],
    cancelled: Callable[[], bool],
    retry_pauses: Sequence[float],
) -> None:
    """Download to a temporary name and give it the real one once its MD5 is right."""
    part = path.with_name(f"{path.name}.part")
    stale = part.exists() and part.stat().st_size > 0
    while True:
        progress = Progress(f"downloading {path.name}", "bytes", report=report, cancelled=cancelled)
        try:
            download(archive.url, part, progress=progress, retry_pauses=retry_pauses)
        except DownloadFailedError as error:
            if part.stat().st_size == 0:
                part.unlink()
            raise DataUnavailableError(
                f"cannot download {archive.url} to {path.parent}: {error}; try again, or {OTHER_WAYS}"
            ) from None
        checking = Progress(f"checking {path.name}", "bytes", report=report, cancelled=cancelled)
        found = md5_of_file(part, checking)
        if found == archive.md5:
            part.replace(path)
            return
        part.unlink()
        if not stale:
            raise DataUnavailableError(
                f"{archive.url} did not give the official archive (its MD5 is {found}, not {archive.md5}) "
                f"and was removed: try again, or {OTHER_WAYS}"
            )
        # It began with the bytes of an earlier download, maybe of another file: once more from the start.
        stale = False


@contextmanager
def _locked(
    path: Path, archive: Archive, report: Callable[[LoadingProgress], None], cancelled: Callable[[], bool]
) -> Iterator[None]:
    """Hold the lock file `path`; wait while another process does. It is kept: removing it would race."""
    waiting = Progress(
        f"waiting for another process that downloads {archive.file_name}",
        "bytes",
        report=report,
        cancelled=cancelled,
    )
    part = path.with_name(f"{archive.file_name}.part")
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        while not _try_lock(descriptor):
            try:
                size = part.stat().st_size
            except FileNotFoundError:
                size = 0
            waiting.update(size)
            time.sleep(_LOCK_POLL)
        yield
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        # Some network file systems have no locks; one process alone is the usual case and needs none.
        return error.errno in {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP}
    return True


def _storage_sentence(data_dir: Path, error: OSError) -> str:
    place = error.filename or data_dir
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return f"the disk of {data_dir} is full: free 360 MB for CIFAR-10, or choose another --data-dir"
    return f"cannot use {place} ({error.strerror or error}): choose another --data-dir, or {OTHER_WAYS}"
