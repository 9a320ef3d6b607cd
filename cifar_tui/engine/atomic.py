"""Writes files so that a reader sees the old content or the new one, never a part."""

import errno
import os
import tempfile
from pathlib import Path

_NO_FOLDER_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EBADF}
"""What some network file systems answer where a folder is to be synced."""

_UMASK = os.umask(0o077)
os.umask(_UMASK)


def write_atomically(path: Path, content: bytes) -> None:
    """Replace `path` by `content`.

    The content goes to a temporary file in the same folder, is flushed to the disk and then renamed over
    `path`; if anything fails, `path` is as it was and the temporary file is gone. A process that is killed
    on the way leaves `path` as it was or new, and perhaps the temporary file.

    Raises:
        OSError: the folder cannot be written or the disk is full.
    """
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        try:
            rest = memoryview(content)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
            os.fchmod(descriptor, 0o666 & ~_UMASK)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(temporary, path)  # noqa: PTH105 - the calls of the system, one by one
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    try:
        sync_to_disk(path.parent)  # makes the rename itself durable
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:
            raise


def write_text_atomically(path: Path, text: str) -> None:
    """Replace `path` by `text` in UTF-8, as `write_atomically` does."""
    write_atomically(path, text.encode())


def remove_leftovers(folder: Path, name: str) -> None:
    """Remove what writers of `folder / name` that were killed have left behind.

    Raises:
        OSError: a file cannot be removed.
    """
    for leftover in folder.glob(f".{name}.*.tmp"):
        leftover.unlink(missing_ok=True)


def sync_to_disk(path: Path) -> None:
    """Have the content of a file, or the names in a folder, on the disk.

    Raises:
        OSError: it cannot be opened or written.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
