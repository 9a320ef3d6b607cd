"""Every request to a run, when it is allowed, and how another process sends it.

A client connects to the socket in the run's folder, sends a line such as `{"do": "pause"}` and receives one:
`{"ok": true}` or `{"ok": false, "error": "<sentence>"}`. `{"do": "progress"}` changes nothing and is answered
by `{"ok": true, "progress": {…}}`, the fields of `RunProgress`.
"""

import contextlib
import os
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path

from cifar_tui.engine.layout import SOCKET_FILE
from cifar_tui.runs.state import RunSnapshot


class Request(StrEnum):
    """What a key, or another process, can request of a run."""

    PAUSE = "pause"
    RESUME = "resume"
    TOGGLE_PAUSE = "toggle_pause"
    SAVE = "save"
    EVALUATE = "evaluate"
    STOP = "stop"


PROGRESS = "progress"
"""What another process sends to learn the progress of the run."""


def is_allowed(
    request: Request, snapshot: RunSnapshot, *, live: bool, can_evaluate_saved: bool = False
) -> bool:
    """Check whether a run can answer `request` now.

    Args:
        request: the request.
        snapshot: the state of the run.
        live: whether a process is working on the run.
        can_evaluate_saved: whether the run's saved weights can be evaluated.
    """
    training = live and snapshot.started is not None and snapshot.finished is None
    match request:
        case Request.STOP:
            return live
        case Request.EVALUATE:
            return training or can_evaluate_saved
        case _:
            return training


def why_refused(request: Request, snapshot: RunSnapshot, *, live: bool) -> str | None:
    """Return why the owner of a run refuses `request` now; None if it does not."""
    if is_allowed(request, snapshot, live=live):
        return None
    reason = "training has ended" if snapshot.finished else f"the run is {snapshot.phase}"
    return f"cannot {request.replace('_', ' ')}: {reason}"


_MAX_PATH_BYTES = 103 if sys.platform == "darwin" else 107


def socket_path(folder: Path) -> Path:
    """Return the path of the control socket of the run in `folder`."""
    return folder.resolve() / SOCKET_FILE


@contextlib.contextmanager
def socket_address(folder: Path) -> Iterator[str]:
    """Provide an address of the control socket that is short enough to bind or to connect to.

    Where the path exceeds the platform's limit, the address leads through a descriptor of the folder, or
    through a temporary symbolic link where the system has no paths of descriptors.

    Raises:
        OSError: the folder cannot be opened, or the link cannot be created.
    """
    path = socket_path(folder)
    if len(os.fsencode(path)) <= _MAX_PATH_BYTES:
        yield str(path)
        return
    descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        short = Path(f"/proc/self/fd/{descriptor}")
        if short.is_dir():
            yield str(short / SOCKET_FILE)
            return
    finally:
        os.close(descriptor)
    with tempfile.TemporaryDirectory(prefix="cifar-tui-") as private:
        link = Path(private) / "run"
        link.symlink_to(path.parent)
        yield str(link / SOCKET_FILE)


def receive_line(connection: socket.socket, *, max_bytes: int, deadline: float) -> bytes:
    """Receive one line without its newline, or what arrived before the peer hung up.

    Args:
        connection: a connected socket.
        max_bytes: stop reading once the line is longer than this; one byte more is returned then.
        deadline: when to give up, on `time.monotonic`.

    Raises:
        OSError: `TimeoutError` after the deadline, `ConnectionError` if the connection broke.
    """
    data = b""
    while b"\n" not in data and len(data) <= max_bytes:
        connection.settimeout(seconds_until(deadline))
        chunk = connection.recv(max_bytes + 1 - len(data))
        if not chunk:
            break
        data += chunk
    return data.partition(b"\n")[0]


def seconds_until(deadline: float) -> float:
    """Return the seconds left until `deadline`, on `time.monotonic`.

    Raises:
        TimeoutError: none are left.
    """
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise TimeoutError
    return seconds
