"""Make stdin, stdout, stderr and file names usable, whatever this process was started with."""

import contextlib
import errno
import io
import os
import stat
import sys

STDIN, STDOUT, STDERR = 0, 1, 2

CLOSED = "it is closed"
"""Why results are lost if stdout was closed by whoever started the program."""


def prepare_standard_streams() -> None:
    """Open closed descriptors 0-2, wait for a slow reader, and print what the locale cannot encode as "?".

    A file that is opened later would else become descriptor 0, 1 or 2, and receive output or be replaced.
    """
    # stdout cannot be written to, so that lost results are noticed; nobody misses what goes to stderr
    for number, flags in ((STDIN, os.O_RDONLY), (STDOUT, os.O_RDONLY), (STDERR, os.O_WRONLY)):
        try:
            os.set_blocking(number, True)  # the program before this one may have left a terminal without
        except OSError:
            opened = os.open(os.devnull, flags)  # takes the lowest free number, which is this one
            os.set_inheritable(opened, True)  # noqa: FBT003 - takes no keyword
    if sys.stdin is None:
        sys.stdin = sys.__stdin__ = _stream(STDIN, "r")  # type: ignore[misc]  # declared final
    if sys.stdout is None:
        sys.stdout = sys.__stdout__ = _stream(STDOUT, "w")  # type: ignore[misc]  # as above
    if sys.stderr is None:
        sys.stderr = sys.__stderr__ = _stream(STDERR, "w")  # type: ignore[misc]  # as above
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # stderr escapes anyway


def read_file_names_as_utf_8() -> None:
    """Start this process again in Python's UTF-8 mode if the locale has another encoding, such as C.

    A class would else have another name than where its folder is read as UTF-8, and "é" would have none that
    can be saved. What is printed stays in the encoding of the locale.
    """
    if sys.getfilesystemencoding() == "utf-8" or not sys.executable:
        return
    os.environ.setdefault("PYTHONIOENCODING", f"{sys.stdout.encoding}:replace")
    with contextlib.suppress(OSError):
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])  # noqa: S606 - no shell


def follow_terminal_size(descriptor: int) -> None:
    """Forget COLUMNS and LINES of a shell that exports them, if the terminal at `descriptor` knows its size.

    They stay as they are while its window is resized, and other libraries let them take precedence.
    """
    with contextlib.suppress(OSError):  # no terminal
        for name, size in zip(("COLUMNS", "LINES"), os.get_terminal_size(descriptor), strict=True):
            if size:
                os.environ.pop(name, None)


def redirect_to_devnull(*descriptors: int) -> None:
    """Discard what is written to `descriptors`, whose reader is gone.

    After a broken pipe the interpreter must have nothing left to flush when it exits.
    """
    target = os.open(os.devnull, os.O_WRONLY)
    for descriptor in descriptors:
        os.dup2(target, descriptor)
    os.close(target)


def discard_stdout(error: OSError) -> str:
    """Discard stdout after it failed with `error`.

    Returns:
        Why results are lost; "" if their reader has left: a pipe such as `head`, or a closed terminal.
    """
    is_terminal = stat.S_ISCHR(os.fstat(STDOUT).st_mode)
    redirect_to_devnull(STDOUT)
    if error.errno == errno.EPIPE or (error.errno == errno.EIO and is_terminal):
        return ""
    return CLOSED if error.errno == errno.EBADF else error.strerror or str(error)


def _stream(number: int, mode: str) -> io.TextIOWrapper:
    return open(number, mode, encoding="utf-8", errors="backslashreplace", closefd=False)  # type: ignore[return-value]
