"""Open the files of a run's folder: regular files only, never through a link, without waiting."""

import errno
import os
import stat
from pathlib import Path

_NO_FILE = {
    errno.ELOOP: "it is a symbolic link",
    errno.EMLINK: "it is a symbolic link",  # FreeBSD
    errno.ENXIO: "it is not a regular file",  # a FIFO without a reader, a socket
    errno.EISDIR: "it is a folder",
}


class ForeignFileError(OSError):
    """What stands in the place of a run's file is a link, a folder, a FIFO or too large; `strerror` says."""


def open_regular(path: Path, flags: int = os.O_RDONLY, *, mode: int = 0o644, follow: bool = False) -> int:
    """Open the regular file `path` and return its descriptor.

    A file to write must have no other name: it might be somebody's own file, linked into the folder.

    Args:
        path: the file; a link in its place is not followed.
        flags: as for `os.open`, without `O_TRUNC`, which would come before the check.
        mode: permissions of a new file.
        follow: follow a link, to a file that the user named.

    Raises:
        ForeignFileError: there is something else in its place.
        OSError: it cannot be opened.
    """
    flags |= os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
    try:
        descriptor = os.open(path, flags, mode)
    except OSError as error:
        if error.errno in _NO_FILE:
            raise ForeignFileError(error.errno, _NO_FILE[error.errno], str(path)) from None
        raise
    found = os.fstat(descriptor)
    reason = ""
    if stat.S_ISDIR(found.st_mode):
        reason = _NO_FILE[errno.EISDIR]
    elif not stat.S_ISREG(found.st_mode):
        reason = "it is not a regular file"
    elif flags & os.O_ACCMODE != os.O_RDONLY and found.st_nlink > 1:
        reason = "it is linked to another file"
    if reason:
        os.close(descriptor)
        raise ForeignFileError(errno.EINVAL, reason, str(path))
    return descriptor


def read_regular(path: Path, *, limit: int) -> bytes:
    """Return the content of the regular file `path`, of at most `limit` bytes.

    Raises:
        OSError: as `open_regular`, and `ForeignFileError` for a larger file.
    """
    with os.fdopen(open_regular(path), "rb") as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise ForeignFileError(errno.EFBIG, f"it has more than {limit:,} bytes", str(path))
    return content


def read_large(path: Path, *, follow: bool = False) -> bytes:
    """Return the content of the regular file `path`, which must fit into the memory of the machine.

    Raises:
        OSError: as `open_regular`, and `ForeignFileError` for a larger file.
    """
    with os.fdopen(open_regular(path, follow=follow), "rb") as file:
        if os.fstat(file.fileno()).st_size > os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"):
            raise ForeignFileError(errno.EFBIG, "it is larger than the memory of this machine", str(path))
        return file.read()


def is_removed(descriptor: int) -> bool:
    """Return whether the open file `descriptor` has no name any more."""
    return os.fstat(descriptor).st_nlink == 0


def is_regular(path: Path) -> bool:
    """Return whether `path` is a regular file and no link.

    Raises:
        OSError: that cannot be seen.
    """
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
