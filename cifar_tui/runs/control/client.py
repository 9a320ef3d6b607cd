"""Asks the process that owns a run for something."""

import json
import socket
import time
from pathlib import Path

from cifar_tui.engine.errors import UserError
from cifar_tui.runs.control.protocol import NO_SIGNAL, Request, find_socket

_LONGEST_REPLY = 65_536
_RETRY_SECONDS = 0.01


class RunUnreachableError(UserError):
    """The owner of a run does not answer, or there is none."""

    exit_code = 4


class RequestRefusedError(UserError):
    """The owner of a run refuses a request; the message is its own."""

    exit_code = 4


def send_request(folder: Path, request: Request, *, timeout: float = 2.0) -> None:
    """Ask the owner of the run in `folder` for something; returns when it has agreed.

    Args:
        folder: the run's folder.
        request: what to request.
        timeout: how long it may take altogether, in seconds.

    Raises:
        RunUnreachableError: nobody listens, nobody answers in time, or what comes is no reply.
        RequestRefusedError: the owner refuses, or does not know the request.
        ConfigError: as `socket_path` does.
    """
    path = find_socket(folder)
    try:
        line = _exchange(path, json.dumps({"do": request}).encode() + b"\n", time.monotonic() + timeout)
    except TimeoutError:
        raise _unreachable(folder, f"no answer on {path} in {timeout:g} s") from None
    except (FileNotFoundError, ConnectionRefusedError):
        raise _unreachable(folder, f"nobody listens on {path}") from None
    except (BrokenPipeError, ConnectionResetError):
        raise _unreachable(folder, f"what listens on {path} hung up") from None
    except OSError as error:
        raise _unreachable(folder, f"{path}: {error.strerror}") from None
    try:
        reply = json.loads(line.decode())
    except (ValueError, RecursionError):
        reply = None
    match reply:
        case {"ok": True}:
            return
        case {"ok": False, "error": str(sentence)}:
            raise RequestRefusedError(sentence)
        case _:
            raise _unreachable(folder, f"what listens on {path} gave no proper reply")


def _exchange(path: Path, line: bytes, deadline: float) -> bytes:
    """Send `line`; the line that comes back, or as much of it as there was.

    Raises:
        OSError: `TimeoutError` at the deadline, `ConnectionError` of some kind if nobody answers.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        _connect(connection, path, deadline)
        connection.settimeout(_seconds_left(deadline))
        connection.sendall(line, NO_SIGNAL)
        reply = b""
        while b"\n" not in reply and len(reply) <= _LONGEST_REPLY:
            connection.settimeout(_seconds_left(deadline))
            data = connection.recv(_LONGEST_REPLY)
            if not data:
                raise ConnectionResetError
            reply += data
    return reply.partition(b"\n")[0]


def _connect(connection: socket.socket, path: Path, deadline: float) -> None:
    while True:
        connection.settimeout(_seconds_left(deadline))
        try:
            connection.connect(str(path))
        except BlockingIOError:
            time.sleep(_RETRY_SECONDS)  # many others wait to be accepted; there is no event to wait for
        else:
            return


def _seconds_left(deadline: float) -> float:
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise TimeoutError
    return seconds


def _unreachable(folder: Path, why: str) -> RunUnreachableError:
    name = folder.resolve().name
    return RunUnreachableError(
        f"run {name} cannot be reached: {why}; see whether it is live with: cifar-tui runs {name}"
    )
