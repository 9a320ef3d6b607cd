"""Atomic file writes: a reader sees the old content or the new one, never a part of it."""

import contextlib
import errno
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from cifar_tui.engine.disk.regular import ForeignFileError
from cifar_tui.engine.errors import RunFailedError

_NO_FOLDER_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EBADF}
"""Errors of network file systems that cannot fsync a folder."""

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def write_atomically(path: Path, content: bytes | Iterable[bytes], *, durable: bool = True) -> None:
    """Replace `path` with `content` through a temporary file in the same folder, even while it is renamed.

    On any failure `path` is unchanged and the temporary file removed. A process killed in between may leave
    the temporary file behind; see `remove_leftovers`. A link there is replaced, not followed.

    Args:
        path: the file to replace.
        content: its new content, or its parts one after the other.
        durable: fsync the file and its folder, so that the content survives a power failure.

    Raises:
        OSError: the folder is not writable or the disk is full.
    """
    temporary = f".{path.name}.{os.urandom(8).hex()}.tmp"
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        descriptor = os.open(temporary, _NEW_FILE, 0o666, dir_fd=folder)
        try:
            try:
                for part in [content] if isinstance(content, bytes) else content:
                    rest = memoryview(part)
                    while rest:
                        rest = rest[os.write(descriptor, rest) :]
                if durable:
                    os.fsync(descriptor)
            finally:
                os.close(descriptor)
            os.replace(temporary, path.name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary, dir_fd=folder)
            raise
        if durable:
            _sync_folder(folder)  # makes the rename itself durable
    finally:
        os.close(folder)


def link_atomically(source: Path, path: Path) -> None:
    """Replace `path` with a hard link to `source`, through a temporary link in the same folder.

    Raises:
        OSError: the file system has no hard links, or the folder is not writable; `path` is unchanged.
    """
    temporary = path.with_name(f".{path.name}.{os.urandom(8).hex()}.tmp")
    os.link(source, temporary, follow_symlinks=False)
    try:
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)  # a rename between two links to one file does nothing


def write_text_atomically(path: Path, text: str) -> None:
    """Replace `path` with `text` in UTF-8; see `write_atomically`."""
    write_atomically(path, text.encode())


@contextlib.contextmanager
def disk_errors_explained(action: str) -> Iterator[None]:
    """Turn an OSError of a block that cannot `action` into the error of a run.

    Raises:
        RunFailedError: with the reason, and what to do.
    """
    try:
        yield
    except OSError as error:
        advice = "free disk space or make the folder writable"
        if isinstance(error, ForeignFileError):
            advice = f"remove '{error.filename}'"
        elif isinstance(error, IsADirectoryError):  # a file cannot replace it
            advice = "remove the folder in its place"
        elif isinstance(error, FileNotFoundError | NotADirectoryError):
            advice = "the folder was removed or renamed"
        raise RunFailedError(f"cannot {action}: {error.strerror}; {advice}") from error


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files of writers that were killed; what cannot be removed stays."""
    for leftover in folder.glob(".*.tmp"):
        with contextlib.suppress(OSError):
            leftover.unlink()


def _sync_folder(descriptor: int) -> None:
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:
            raise


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
