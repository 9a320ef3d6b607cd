"""The lock of a run: an flock tells a live owner from a dead one, a heartbeat where flock does not work."""

import contextlib
import errno
import fcntl
import json
import os
import socket
import time
from dataclasses import dataclass
from pathlib import Path

from cifar_tui.engine.atomic import disk_errors_explained
from cifar_tui.engine.disk.regular import is_removed, open_regular
from cifar_tui.engine.errors import ConfigError
from cifar_tui.engine.layout import LOCK_FILE
from cifar_tui.runs.disk.hints import command

BEAT_SECONDS = 5.0
"""Interval of the heartbeat: the owner touches its lock."""

STALE_SECONDS = 60.0
"""An owner on another machine counts as dead after this time without a heartbeat."""

_MOST_PID = 2**31
_TRIES = 25
_TRY_SECONDS = 0.02
_CANNOT_LOCK = {errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL}


@dataclass(frozen=True, kw_only=True, slots=True)
class Owner:
    """The owner of a run, as its lock says.

    Attributes:
        live: a process owns the run now.
        crashed: the owner died without releasing the run.
        pid: the owner's process ID; None without an owner.
        host: the owner's host name.
    """

    live: bool
    crashed: bool
    pid: int | None = None
    host: str = ""


class RunLock:
    """The lock of the run in `folder`, held by the one process that owns the run."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / LOCK_FILE
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Become the owner.

        Raises:
            ConfigError: another process owns the run.
            RunFailedError: the lock cannot be written.
        """
        check_not_live(self._path.parent)
        content = json.dumps({"pid": os.getpid(), "host": socket.gethostname()}).encode()
        with contextlib.ExitStack() as undo:
            with disk_errors_explained(f"write the lock '{self._path}'"):
                descriptor = open_regular(self._path, os.O_RDWR | os.O_CREAT, mode=0o600)
                undo.callback(os.close, descriptor)
                for _ in range(_TRIES):  # `owner_of` in another process holds the lock for a moment
                    if _flock(descriptor, fcntl.LOCK_EX) is not False:
                        break
                    time.sleep(_TRY_SECONDS)
                else:
                    name = self._path.parent.name
                    raise ConfigError(
                        f"run {name} was just started by another process; "
                        f"attach to it with: {command('attach', self._path.parent)}"
                    )
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, content, 0)
            undo.pop_all()
        self._descriptor = descriptor

    @property
    def removed(self) -> bool:
        """Whether somebody has removed the lock: another process could own the run, too."""
        return self._descriptor is not None and is_removed(self._descriptor)

    def beat(self) -> None:
        """Touch the lock, for observers that cannot see the flock.

        Raises:
            OSError: the lock cannot be touched.
        """
        if self._descriptor is not None:
            os.utime(self._descriptor)

    def release(self) -> None:
        """Release the run; idempotent."""
        if self._descriptor is None:
            return
        descriptor, self._descriptor = self._descriptor, None
        try:
            os.ftruncate(descriptor, 0)  # after a crash the content is still there
        finally:
            os.close(descriptor)


def check_not_live(folder: Path) -> None:
    """Check that no process owns the run in `folder`.

    Raises:
        ConfigError: a process does.
    """
    owner = owner_of(folder)
    if owner.live:
        raise ConfigError(
            f"run {folder.name} is already running in process {owner.pid} on {owner.host}; "
            f"attach to it with: {command('attach', folder)}"
        )


def last_beat(folder: Path) -> float:
    """Return when the owner of the run in `folder` has last touched its lock, in seconds; 0 without one."""
    try:
        return (folder / LOCK_FILE).stat().st_mtime
    except OSError:
        return 0.0


def note_dead(folder: Path) -> None:
    """Have the owner of the run in `folder` on another host count as dead until it touches its lock."""
    with contextlib.suppress(OSError):  # then it counts as alive
        os.utime(folder / LOCK_FILE, (0, 0), follow_symlinks=False)


def owner_of(folder: Path) -> Owner:
    """Read the owner of the run in `folder` from its lock; nobody owns a run without one."""
    nobody = Owner(live=False, crashed=False)
    try:
        descriptor = open_regular(folder / LOCK_FILE)
    except OSError:
        return nobody
    try:
        free = _flock(descriptor, fcntl.LOCK_SH)  # until it is closed below
        content = os.read(descriptor, 4096)
        age = time.time() - os.fstat(descriptor).st_mtime
    except OSError:
        return nobody
    finally:
        os.close(descriptor)
    pid, host = _parse(content)
    live = not free
    if free is None or (free and host not in {"", socket.gethostname()}):
        # flock does not work here, or not across machines: the heartbeat decides
        live = bool(content) and age < STALE_SECONDS
    return Owner(live=live, crashed=bool(content) and not live, pid=pid, host=host)


def _flock(descriptor: int, operation: int) -> bool | None:
    """Try to lock; None if the file system has no locks."""
    try:
        fcntl.flock(descriptor, operation | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno in _CANNOT_LOCK:
            return None
        raise
    return True


def _parse(content: bytes) -> tuple[int | None, str]:
    try:
        values = json.loads(content)
        pid, host = values["pid"], values["host"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None, ""
    sound = type(pid) is int and 0 < pid <= _MOST_PID and type(host) is str
    return (pid, host) if sound else (None, "")
