"""Bring the files of a dataset into the data folder: lock, download, check, unpack."""

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
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import IO

from cifar_tui.engine.atomic import sync_to_disk
from cifar_tui.engine.data.download import RETRY_PAUSES, DownloadFailedError, download
from cifar_tui.engine.data.registry import ALTERNATIVES, Progress
from cifar_tui.engine.errors import DataUnavailableError

_BLOCK_BYTES = 1 << 20
_LOCK_POLL_SECONDS = 0.1


@dataclass(frozen=True, kw_only=True, slots=True)
class RemoteFile:
    """A file to download.

    Attributes:
        urls: where it is downloaded from; the same bytes everywhere.
        file_name: its name in the data folder.
        md5: its MD5, in hexadecimal; "" if its SHA-256 is known.
        sha256: the beginning of its SHA-256, in hexadecimal.
        size: in bytes; None if unknown.
        title: the name of the dataset.
        room: what to free up on a full disk.
        alternatives: what else to do, for the end of an error message.
        elsewhere: how to have it in another folder.
    """

    urls: tuple[str, ...]
    file_name: str
    md5: str = ""
    sha256: str = ""
    size: int | None = None
    title: str = "CIFAR-10"
    room: str = "360 MB"
    alternatives: str = ALTERNATIVES
    elsewhere: str = "choose another data_dir"


@dataclass(frozen=True, kw_only=True, slots=True)
class Archive(RemoteFile):
    """An archive to download, with one folder of files in it.

    Attributes:
        folder_name: the folder in it.
        file_md5s: the files to unpack, by name, with the MD5 of each.
        pattern: of the names of more files to unpack; "" for none.
    """

    folder_name: str
    file_md5s: Mapping[str, str]
    pattern: str = ""


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
    with _prepared(archive, data_dir, progress):
        if target.exists():  # another process unpacked it while this one waited for the lock
            return
        if not path.exists():
            _download_file(archive, path, progress, retry_pauses)
        elif difference := _difference(archive, path, progress):
            raise DataUnavailableError(
                f"'{path}' is not the official archive ({difference}): remove it to download it again, "
                f"or {archive.alternatives}"
            )
        _unpack(archive, path, target, progress)


def fetch_file(
    file: RemoteFile, data_dir: Path, progress: Progress, *, retry_pauses: Sequence[float] = RETRY_PAUSES
) -> None:
    """Download `file` into `data_dir` if it is missing; `read_official` checks it.

    Raises:
        DataUnavailableError: no network, a wrong file, a full disk or an unwritable folder.
        CancelledError: the user requested a stop; the part downloaded so far is kept.
    """
    path = data_dir / file.file_name
    if exists(path):
        return
    with _prepared(file, data_dir, progress):
        if not path.exists():  # another process downloaded it while this one waited for the lock
            _download_file(file, path, progress, retry_pauses)


def check_file(file: RemoteFile, path: Path, progress: Progress) -> None:
    """Check that the file at `path` is `file`.

    Raises:
        DataUnavailableError: it cannot be read, or is another one.
        CancelledError: the user requested a stop.
    """
    try:
        difference = _difference(file, path, progress)
    except OSError as error:
        raise DataUnavailableError(f"cannot read '{path}' ({error.strerror}): {file.alternatives}") from None
    if difference:
        raise DataUnavailableError(
            f"'{path}' is not the published file ({difference}): remove it to download it again, or "
            f"{file.alternatives}"
        )


def exists(path: Path) -> bool:
    """Whether there is something at `path`; false if that cannot be told."""
    return os.path.exists(path)  # noqa: PTH110 - Path.exists raises if a parent folder cannot be searched


def read_official(path: Path, md5: str, advice: str) -> bytes:
    """Read a file whose MD5 is `md5`.

    Raises:
        DataUnavailableError: it cannot be read, or is another one; the message ends with `advice`.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataUnavailableError(f"cannot read '{path}' ({error.strerror}): {advice}") from None
    check_official(content, path, md5, advice)
    return content


def check_official(content: bytes, path: Path, md5: str, advice: str) -> None:
    """Check that the `content` of the file at `path` has the MD5 `md5`.

    Raises:
        DataUnavailableError: it has not; the message ends with `advice`.
    """
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if found != md5:
        raise DataUnavailableError(
            f"'{path}' is not the official file (MD5 {found}, expected {md5}): {advice}"
        )


@contextmanager
def _prepared(file: RemoteFile, data_dir: Path, progress: Progress) -> Iterator[None]:
    """Make `data_dir` and hold the lock of `file` in it; errors of the disk become one sentence."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        with _locked(data_dir / file.file_name, progress):
            yield
    except OSError as error:
        raise DataUnavailableError(_storage_sentence(file, data_dir, error)) from None


def _download_file(
    archive: RemoteFile, path: Path, progress: Progress, retry_pauses: Sequence[float]
) -> None:
    """Download to a temporary name, and rename the file once its MD5 is right.

    If it is wrong, the bytes of an earlier download or of one of the servers were: start over without them.
    """
    part = path.with_name(f"{path.name}.part")
    resumed = part.exists() and part.stat().st_size > 0
    attempts = [archive.urls] * (1 + resumed) + [(url,) for url in archive.urls if len(archive.urls) > 1]
    wrong: set[str] = set()
    difference = ""
    for urls in attempts:
        if wrong.issuperset(urls):
            continue
        progress.begin(f"downloading {path.name}", "bytes")
        begun = part.exists() and part.stat().st_size > 0
        try:
            used = download(
                urls,
                part,
                progress=progress,
                retry_pauses=retry_pauses,
                alternatives=archive.alternatives,
            )
        except DownloadFailedError as error:
            if part.stat().st_size == 0:
                part.unlink()
            raise DataUnavailableError(
                f"cannot download {path.name} to '{path.parent}': {error}; try again, or "
                f"{archive.alternatives}"
            ) from None
        if not (difference := _difference(archive, part, progress)):
            part.replace(path)
            return
        part.unlink()
        if not begun and len(used) == 1:
            wrong |= used
    raise DataUnavailableError(
        f"{' and '.join(archive.urls)} did not deliver the official archive ({difference}): try again, or "
        f"{archive.alternatives}"
    )


def _difference(archive: RemoteFile, path: Path, progress: Progress) -> str:
    """Say how the file at `path` differs from `archive`; "" if it does not.

    Raises:
        CancelledError: the user requested a stop.
    """
    size = path.stat().st_size
    if archive.size is not None and size != archive.size:
        return f"{size:,} bytes, expected {archive.size:,}"
    progress.begin(f"checking {path.name}", "bytes", total=size)
    name, expected = ("MD5", archive.md5) if archive.md5 else ("SHA-256", archive.sha256)
    digest, checked = hashlib.new(name.replace("-", ""), usedforsecurity=False), 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
            checked += len(block)
            progress.update(checked)
    found = digest.hexdigest()[: len(expected)]
    return "" if found == expected else f"{name} {found}, expected {expected}"


def read_archive(archive: Archive, path: Path, progress: Progress) -> dict[str, bytes]:
    """Read the files of `archive` from its copy at `path`, and leave nothing on the disk.

    Returns:
        The content of each file, by name.

    Raises:
        DataUnavailableError: `path` cannot be read or is not the archive.
        CancelledError: the user requested a stop.
    """
    try:
        if difference := _difference(archive, path, progress):
            raise DataUnavailableError(
                f"'{path}' is neither a folder nor the official {archive.file_name} ({difference}): "
                f"{ALTERNATIVES}"
            )
        progress.begin(f"unpacking {path.name}", "files", total=len(archive.file_md5s))
        contents: dict[str, bytes] = {}
        with tarfile.open(path, "r:gz") as tar:
            for name, content in _members(archive, tar):
                progress.update(len(contents))
                contents[name] = content.read()
    except OSError as error:
        raise DataUnavailableError(f"cannot read '{path}' ({error.strerror}): {ALTERNATIVES}") from None
    return contents


def _members(archive: Archive, tar: tarfile.TarFile) -> Iterator[tuple[str, IO[bytes]]]:
    """Yield the known files only, each under its own name: nothing can be written outside a folder."""
    for member in tar:
        name = PurePosixPath(member.name).name
        known = name in archive.file_md5s or fnmatch(name, archive.pattern)
        content = tar.extractfile(member) if member.isreg() and known else None
        if content is not None:
            with content:
                yield name, content


def _unpack(archive: Archive, path: Path, target: Path, progress: Progress) -> None:
    """Unpack the files of the archive at `path`, whose MD5 is right, as the folder `target`.

    They are written to a temporary folder, which is renamed once all of them are on disk.
    """
    temporary = target.with_name(f".{target.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)  # left by a process that died
    temporary.mkdir()
    total = None if archive.pattern else len(archive.file_md5s)
    progress.begin(f"unpacking {path.name}", "files", total=total)
    unpacked = 0
    try:
        with tarfile.open(path, "r:gz") as tar:
            for name, content in _members(archive, tar):
                progress.update(unpacked)
                with (temporary / name).open("wb") as file:
                    shutil.copyfileobj(content, file, _BLOCK_BYTES)
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


def _storage_sentence(file: RemoteFile, data_dir: Path, error: OSError) -> str:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return (
            f"the disk that holds '{data_dir}' is full: free up {file.room} for {file.title}, "
            f"or {file.elsewhere}"
        )
    place = error.filename or data_dir
    reason = error.strerror or error
    return f"cannot write to '{place}' ({reason}): {file.elsewhere}, or {file.alternatives}"
