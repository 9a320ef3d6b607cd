"""Writes files so that a reader sees the old content or the new one, never a part."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO


def write_atomically(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Replace `path` by what `write` puts into the open binary file it is given.

    The content goes to a temporary file in the same folder, is flushed to the disk and then renamed over
    `path`; if anything fails, `path` is as it was and the temporary file is gone.

    Raises:
        OSError: the folder cannot be written or the disk is full.
    """
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_to_disk(path.parent)  # makes the rename itself durable


def write_text_atomically(path: Path, text: str) -> None:
    """Replace `path` by `text` in UTF-8, as `write_atomically` does."""
    write_atomically(path, lambda file: file.write(text.encode()))


def _umask() -> int:
    umask = os.umask(0o077)
    os.umask(umask)
    return umask


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
