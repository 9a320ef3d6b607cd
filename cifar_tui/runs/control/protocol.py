"""The control socket of a live run: what is said on it, and where it is.

A client sends lines of JSON, each of them a request: `{"do": "pause"}`. It gets one line back for each:
`{"ok": true}`, or `{"ok": false, "error": "<sentence>"}`.
"""

import hashlib
import os
import socket
import stat
import sys
import tempfile
from enum import StrEnum
from pathlib import Path

from cifar_tui.engine.errors import ConfigError
from cifar_tui.engine.layout import SOCKET_FILE


class Request(StrEnum):
    """What can be requested of a run, by a key or from another process."""

    PAUSE = "pause"
    RESUME = "resume"
    TOGGLE_PAUSE = "toggle_pause"
    SAVE = "save"
    EVALUATE = "evaluate"
    STOP = "stop"


PING = "ping"
"""What a client sends to see whether somebody answers."""

LONGEST_LINE = 4096
"""Bytes in a request, its newline not counted."""

NO_SIGNAL: int = getattr(socket, "MSG_NOSIGNAL", 0)
"""A flag for `send`: who hangs up ends no program, not even one that has SIGPIPE at its default action."""

_LONGEST_PATH = 103 if sys.platform == "darwin" else 107


def socket_path(folder: Path) -> Path:
    """Where an owner of the run in `folder` is to listen.

    That is `folder/control.sock`. Where this is longer than the platform allows, it is a name made from that
    of `folder`, in a folder of this user's alone that is made here if it is missing: `cifar-tui` in
    XDG_RUNTIME_DIR, or `cifar-tui-<uid>` in the folder for temporary files.

    Raises:
        ConfigError: others can get at that folder, it cannot be made, or its path is too long as well.
    """
    near = _near_path(folder)
    if _fits(near):
        return near
    fallback = _fallback_folder()
    try:
        _make_private_folder(fallback)
    except OSError as error:
        raise ConfigError(
            f"cannot make the folder {fallback} for control sockets: {error.strerror}; "
            "name a shorter folder with --checkpoints"
        ) from None
    path = fallback / f"{hashlib.sha256(os.fsencode(near.parent)).hexdigest()[:16]}.sock"
    if not _fits(path):
        raise ConfigError(
            f"the path {path} is too long for a control socket; name a shorter folder with --checkpoints"
        )
    return path


def find_socket(folder: Path) -> Path:
    """Where the owner of the run in `folder` listens, if there is one: what `socket_path` told the owner.

    Raises:
        ConfigError: as `socket_path` does.
    """
    near = _near_path(folder)
    if not _fits(near):
        try:
            # the owner's link: its environment may name other folders than that of this process
            return near.readlink()
        except OSError:
            pass
    return socket_path(folder)


def link_path(folder: Path) -> Path | None:
    """Where an owner leaves a link to its socket; None where the socket itself is in `folder`."""
    near = _near_path(folder)
    return None if _fits(near) else near


def _near_path(folder: Path) -> Path:
    return folder.resolve() / SOCKET_FILE


def _fits(path: Path) -> bool:
    return len(os.fsencode(path)) <= _LONGEST_PATH


def _fallback_folder() -> Path:
    runtime = Path(os.environ.get("XDG_RUNTIME_DIR", ""))
    if runtime.is_absolute() and _is_own(runtime):
        return runtime / "cifar-tui"
    return Path(tempfile.gettempdir()) / f"cifar-tui-{os.geteuid()}"


def _is_own(folder: Path) -> bool:
    """Whether `folder` is this user's: `su` keeps the runtime folder of another, a logout removes it."""
    try:
        status = folder.stat()
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()


def _make_private_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        status = folder.lstat()  # not of what a link leads to: somebody else may have put the link there
        private = stat.S_ISDIR(status.st_mode) and not status.st_mode & 0o077
        if not private or status.st_uid != os.geteuid():
            raise ConfigError(
                f"{folder} is not a folder of this user's alone, so no control socket is put there; "
                "remove it, or name a shorter folder with --checkpoints"
            ) from None
