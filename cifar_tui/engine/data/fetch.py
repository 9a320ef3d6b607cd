"""Bring the archive of a dataset into the data folder: lock, download, check, unpack."""

import errno
import fcntl
import hashlib
import os
import shutil
import tarfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from cifar_tui.engine.atomic import sync_to_disk
from cifar_tui.engine.data.download import RETRY_PAUSES, DownloadFailedError, download
from cifar_tui.engine.data.registry import ALTERNATIVES, Progress
from cifar_tui.engine.errors import DataUnavailableError

_LOCK_POLL_SECONDS = 0.1


@dataclass(frozen=True, kw_only=True, slots=True)
class Archive:
    """An archive to download, with one folder of files in it.

    Attributes:
        url: where it is downloaded from.
        file_name: its name in the data folder.
        md5: its MD5, in hexadecimal.
        folder_name: the folder in it.
        file_md5s: the files to unpack, by name, with the MD5 of each.
    """

    url: str
    file_name: str
    md5: str
    folder_name: str
    file_md5s: Mapping[str, str]


def fetch(
    archive: Archive, data_dir: Path, progress: Progress, *, retry_pauses: Sequence[float] = RETRY_PAUSES
) -> None:
    """Download and unpack what is missing of the folder of `archive` in `data_dir`.

    An archive that is already in `data_dir` is used if its MD5 is right. It is kept after unpacking, so that
    a damaged folder can be restored without a network.

    Raises:
        DataUnavailableError: no network, a wrong archive, a full disk or an unwritable folder.
        CancelledError: the user requested a stop; the part downloaded so far is kept.
    """
    target = data_dir / archive.folder_name
    path = data_dir / archive.file_name
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        with _locked(path, progress):
            if target.exists():  # another process unpacked it while this one waited for the lock
                return
            if not path.exists():
                _download_archive(archive, path, progress, retry_pauses)
            elif (found := _md5(path)) != archive.md5:
                raise DataUnavailableError(
                    f"'{path}' is not the official archive (MD5 {found}, expected {archive.md5}): remove it "
                    f"to download it again, or {ALTERNATIVES}"
                )
            _unpack(archive, path, target, progress)
    except OSError as error:
        raise DataUnavailableError(_storage_sentence(data_dir, error)) from None


def _download_archive(
    archive: Archive, path: Path, progress: Progress, retry_pauses: Sequence[float]
) -> None:
    """Download to a temporary name, and rename the file once its MD5 is right."""
    part = path.with_name(f"{path.name}.part")
    resumed = part.exists() and part.stat().st_size > 0
    progress.begin(f"downloading {path.name}", "bytes")
    try:
        download(archive.url, part, progress=progress, retry_pauses=retry_pauses)
    except DownloadFailedError as error:
        if part.stat().st_size == 0:
            part.unlink()
        raise DataUnavailableError(
            f"cannot download {archive.url} to '{path.parent}': {error}; try again, or {ALTERNATIVES}"
        ) from None
    if (found := _md5(part)) == archive.md5:
        part.replace(path)
        return
    part.unlink()
    if not resumed:
        raise DataUnavailableError(
            f"{archive.url} did not deliver the official archive (MD5 {found}, expected {archive.md5}): "
            f"try again, or {ALTERNATIVES}"
        )
    # The bytes of the earlier download were wrong or of another file: start over without them.
    _download_archive(archive, path, progress, retry_pauses)


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _unpack(archive: Archive, path: Path, target: Path, progress: Progress) -> None:
    """Unpack the files of the archive at `path`, whose MD5 is right, as the folder `target`.

    They are written to a temporary folder, which is renamed once all of them are on disk.
    """
    temporary = target.with_name(f".{target.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)  # left by a process that died
    temporary.mkdir()
    progress.begin(f"unpacking {path.name}", "files", total=len(archive.file_md5s))
    unpacked = 0
    try:
        with tarfile.open(path, "r:gz") as tar:
            for member in tar:
                progress.update(unpacked)
                # Known files only, each under its own name: nothing can be written outside the folder.
                name = PurePosixPath(member.name).name
                content = tar.extractfile(member) if member.isreg() and name in archive.file_md5s else None
                if content is None:
                    continue
                with content, (temporary / name).open("wb") as file:
                    shutil.copyfileobj(content, file, 1 << 20)
                sync_to_disk(temporary / name)
                unpacked += 1
        temporary.rename(target)
        sync_to_disk(target.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def _locked(path: Path, progress: Progress) -> Iterator[None]:
    """Hold the lock of the archive at `path`, after waiting for another process that does."""
    progress.begin(f"waiting for another process to download {path.name}", "bytes")
    part = path.with_name(f"{path.name}.part")
    descriptor = os.open(path.with_name(f".{path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o666)
    try:
        while not _try_lock(descriptor):
            size = 0
            with suppress(FileNotFoundError):
                size = part.stat().st_size
            progress.update(size)
            time.sleep(_LOCK_POLL_SECONDS)
        yield
    finally:
        os.close(descriptor)  # the file stays: removing it would race with a process that waits for it


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        # Some network file systems have no locks; a single process needs none.
        return error.errno in {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP}
    return True


def _storage_sentence(data_dir: Path, error: OSError) -> str:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return (
            f"the disk that holds '{data_dir}' is full: free up 360 MB for CIFAR-10, "
            "or choose another data_dir"
        )
    place = error.filename or data_dir
    reason = error.strerror or error
    return f"cannot write to '{place}' ({reason}): choose another data_dir, or {ALTERNATIVES}"
