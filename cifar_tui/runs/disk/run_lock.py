"""Who owns a run: a lock tells a live owner from a dead one, and a heartbeat where the lock cannot tell."""

import contextlib
import errno
import fcntl
import json
import os
import socket
import time
from dataclasses import dataclass
from pathlib import Path

from cifar_tui.engine.errors import ConfigError, RunFailedError
from cifar_tui.engine.layout import LOCK_FILE

BEAT_SECONDS = 5.0
"""How often an owner touches its lock."""

STALE_SECONDS = 60.0
"""An owner on another machine that has not touched its lock for so long is taken for dead."""

_TRIES = 25
_TRY_SECONDS = 0.02
_CANNOT_LOCK = {errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL}


@dataclass(frozen=True, kw_only=True, slots=True)
class Owner:
    """What the lock of a run tells.

    Attributes:
        live: a process owns the run now.
        crashed: a process owned it and died without giving it back.
        pid: the process that owns or owned it; None where nobody does.
        host: the machine that process is or was on.
    """

    live: bool
    crashed: bool
    pid: int | None = None
    host: str = ""


class RunLock:
    """The lock of the run in `folder`, for the one process that owns the run."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / LOCK_FILE
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Become the owner.

        Raises:
            ConfigError: another process owns the run.
            RunFailedError: the lock cannot be written.
        """
        name = self._path.parent.name
        owner = owner_of(self._path.parent)
        if owner.live:
            raise refusal(name, owner)
        content = json.dumps({"pid": os.getpid(), "host": socket.gethostname()}).encode()
        with contextlib.ExitStack() as undo:
            try:
                descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                undo.callback(os.close, descriptor)
                if not _lock_exclusively(descriptor):
                    raise ConfigError(f"run {name} was just taken by another process: attach to it")
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, content, 0)
            except OSError as error:
                raise RunFailedError(f"cannot write the lock {self._path}: {error.strerror}") from error
            undo.pop_all()
        self._descriptor = descriptor

    def beat(self) -> None:
        """Touch the lock, for those who cannot see that it is held.

        Raises:
            OSError: the file system refuses.
        """
        if self._descriptor is not None:
            os.utime(self._descriptor)

    def release(self) -> None:
        """Give the run back; may be called again."""
        if self._descriptor is None:
            return
        descriptor, self._descriptor = self._descriptor, None
        try:
            os.ftruncate(descriptor, 0)  # what is left behind by the dead is not empty
        finally:
            os.close(descriptor)


def refusal(name: str, owner: Owner) -> ConfigError:
    """Why nobody else may own the run `name` now."""
    return ConfigError(
        f"run {name} is live in process {owner.pid} on {owner.host}: "
        f"attach to it with: cifar-tui attach {name}"
    )


def owner_of(folder: Path) -> Owner:
    """What the lock of the run in `folder` tells; nobody owns a run without one."""
    nobody = Owner(live=False, crashed=False)
    try:
        descriptor = os.open(folder / LOCK_FILE, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return nobody
    try:
        held = _held(descriptor)
        content = os.read(descriptor, 4096)
        age = time.time() - os.fstat(descriptor).st_mtime
    except OSError:
        return nobody
    finally:
        os.close(descriptor)
    pid, host = _parse(content)
    if held is None or (not held and host not in {"", socket.gethostname()}):
        # a file system that does not carry locks to this machine
        held = bool(content) and age < STALE_SECONDS
    return Owner(live=held, crashed=bool(content) and not held, pid=pid, host=host)


def _lock_exclusively(descriptor: int) -> bool:
    """Whether the lock was taken; who only looks holds it for a moment, so this is tried more than once."""
    for _ in range(_TRIES):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_TRY_SECONDS)
        except OSError as error:
            if error.errno in _CANNOT_LOCK:
                return True  # the heartbeat has to do
            raise
        else:
            return True
    return False


def _held(descriptor: int) -> bool | None:
    """Whether somebody holds the lock; None where the file system knows no locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError as error:
        if error.errno in _CANNOT_LOCK:
            return None
        raise
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    return False


def _parse(content: bytes) -> tuple[int | None, str]:
    try:
        values = json.loads(content)
        return int(values["pid"]), str(values["host"])
    except (ValueError, TypeError, KeyError, RecursionError, OverflowError):
        return None, ""
