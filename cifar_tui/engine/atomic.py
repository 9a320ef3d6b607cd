"""Atomic file writes: a reader sees the old content or the new one, never a part of it."""

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cifar_tui.engine.errors import RunFailedError

_NO_FOLDER_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EBADF}
"""Errors of network file systems that cannot fsync a folder."""

_UMASK = os.umask(0o077)
os.umask(_UMASK)


def write_atomically(path: Path, content: bytes, *, durable: bool = True) -> None:
    """Replace `path` with `content` through a temporary file in the same folder.

    On any failure `path` is unchanged and the temporary file removed. A process killed in between may leave
    the temporary file behind; see `remove_leftovers`.

    Args:
        path: the file to replace.
        content: its new content.
        durable: fsync the file and its folder, so that the content survives a power failure.

    Raises:
        OSError: the folder is not writable or the disk is full.
    """
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        try:
            rest = memoryview(content)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
            os.fchmod(descriptor, 0o666 & ~_UMASK)
            if durable:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    if not durable:
        return
    try:
        sync_to_disk(path.parent)  # makes the rename itself durable
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:
            raise


def link_atomically(source: Path, path: Path) -> None:
    """Replace `path` with a hard link to `source`, through a temporary link in the same folder.

    Raises:
        OSError: the file system has no hard links, or the folder is not writable; `path` is unchanged.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.unlink(missing_ok=True)
    temporary.hardlink_to(source)
    try:
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)  # a rename between two links to one file does nothing


def write_text_atomically(path: Path, text: str) -> None:
    """Replace `path` with `text` in UTF-8; see `write_atomically`."""
    write_atomically(path, text.encode())


@contextmanager
def disk_errors_explained(action: str) -> Iterator[None]:
    """Turn an OSError of a block that cannot `action` into the error of a run.

    Raises:
        RunFailedError: with the reason, and what to do.
    """
    try:
        yield
    except OSError as error:
        raise RunFailedError(
            f"cannot {action}: {error.strerror}; free disk space or make the folder writable"
        ) from error


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files of writers that were killed.

    Raises:
        OSError: a file cannot be removed.
    """
    for leftover in folder.glob(".*.tmp"):
        leftover.unlink(missing_ok=True)


def sync_to_disk(path: Path) -> None:
    """Fsync a file or a folder.

    Raises:
        OSError: it cannot be opened or written.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
