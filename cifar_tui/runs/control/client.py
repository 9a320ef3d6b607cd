"""Send a request to the process that owns a run, or ask it how far it is."""

import json
import socket
import stat
import time
from pathlib import Path
from typing import Any

from cifar_tui.engine.errors import UserError
from cifar_tui.engine.events import decode
from cifar_tui.runs.control.protocol import (
    PROGRESS,
    Request,
    receive_line,
    seconds_until,
    socket_address,
    socket_path,
)
from cifar_tui.runs.disk.hints import command
from cifar_tui.runs.plausible import is_plausible
from cifar_tui.runs.state import RunProgress

_MAX_REPLY_BYTES = 65_536
_RETRY_SECONDS = 0.02


class RunUnreachableError(UserError):
    """The process that owns the run does not answer, or there is none."""


class RequestRefusedError(UserError):
    """The process that owns the run refused a request; the message is its reason."""


def send_request(folder: Path, request: Request, *, timeout: float = 2.0) -> None:
    """Send `request` to the process that owns the run in `folder`, and return once it is accepted.

    Args:
        folder: the run's folder.
        request: the request.
        timeout: time allowed for the whole exchange, in seconds.

    Raises:
        RunUnreachableError: nothing listens, no reply in time, or an invalid reply.
        RequestRefusedError: the owner refused the request.
    """
    _ask(folder, request, timeout)


def ask_progress(folder: Path, *, timeout: float = 2.0) -> RunProgress:
    """Ask the process that owns the run in `folder` for the run's progress.

    Raises:
        RunUnreachableError, RequestRefusedError: as `send_request`.
    """
    try:
        progress = decode(RunProgress, _ask(folder, PROGRESS, timeout)["progress"])
    except (TypeError, ValueError, KeyError, OverflowError, AttributeError):
        progress = None
    if progress is None or not is_plausible(progress):
        raise _unreachable(folder, f"invalid reply from '{socket_path(folder)}'")
    return progress


def _ask(folder: Path, name: str, timeout: float) -> dict[str, Any]:
    """Send the request `name` and return the reply, in which "ok" is true."""
    path = socket_path(folder)
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise _unreachable(folder, f"'{path}' is not a socket")
        reply = json.loads(_exchange(folder, {"do": name}, time.monotonic() + timeout))
    except TimeoutError:
        raise _unreachable(folder, f"no answer on '{path}' within {timeout:g} s") from None
    except (FileNotFoundError, ConnectionRefusedError):
        raise _unreachable(folder, f"nothing is listening on '{path}'") from None
    except (BrokenPipeError, ConnectionResetError):
        raise _unreachable(folder, f"connection closed on '{path}'") from None
    except OSError as error:
        raise _unreachable(folder, f"'{path}': {error.strerror or error}") from None
    except (ValueError, RecursionError):
        reply = None
    match reply:
        case {"ok": True}:
            return dict(reply)
        case {"ok": False, "error": str(reason)}:
            raise RequestRefusedError(reason)
        case _:
            raise _unreachable(folder, f"invalid reply from '{path}'")


def _exchange(folder: Path, message: object, deadline: float) -> bytes:
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection,
        socket_address(folder) as address,
    ):
        _connect(connection, address, deadline)
        connection.sendall(json.dumps(message).encode() + b"\n")
        reply = receive_line(connection, max_bytes=_MAX_REPLY_BYTES, deadline=deadline)
    if not reply:
        raise ConnectionResetError
    return reply


def _connect(connection: socket.socket, address: str, deadline: float) -> None:
    while True:
        connection.settimeout(seconds_until(deadline))
        try:
            connection.connect(address)
        except BlockingIOError:  # the owner's queue is full, and nothing tells when it no longer is
            time.sleep(_RETRY_SECONDS)
        else:
            return


def _unreachable(folder: Path, reason: str) -> RunUnreachableError:
    name = folder.resolve().name
    return RunUnreachableError(
        f"run {name!r} is not reachable: {reason}; check whether it is still running: "
        f"{command('runs', folder)}"
    )
