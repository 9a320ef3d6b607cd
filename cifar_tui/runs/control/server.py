"""`ControlServer`: accept requests to a run from other processes of the same user."""

import contextlib
import dataclasses
import errno
import json
import os
import socket
import socketserver
import struct
import sys
import threading
import time
from collections.abc import Callable

from cifar_tui.engine.disk.run_folder import RunFolder
from cifar_tui.engine.events import finite_or_none
from cifar_tui.runs.control.protocol import PROGRESS, Request, receive_line, socket_address, socket_path
from cifar_tui.runs.state import RunProgress

_MAX_REQUEST_BYTES = 4096
_MAX_CLIENTS = 16
_CLIENT_SECONDS = 2.0
_ACCEPT_INTERVAL = 0.005  # a client that connects in a loop must not take the CPU from training


class _ClientHandler(socketserver.BaseRequestHandler):
    server: "ControlServer"
    request: socket.socket

    def handle(self) -> None:
        """Answer one request."""
        deadline = time.monotonic() + _CLIENT_SECONDS
        line = receive_line(self.request, max_bytes=_MAX_REQUEST_BYTES, deadline=deadline)
        if line:  # otherwise the client hung up
            self.request.sendall(json.dumps(self.server.reply_to(line)).encode() + b"\n")


class ControlServer(socketserver.ThreadingUnixStreamServer):
    """Listens on the control socket of a run and answers one request per connection, each in a thread.

    Args:
        folder: the run's folder; access is restricted to its owner where that can be.
        handle: carries out a request, in any thread and without blocking; returns the reason for a refusal.
        progress: returns the progress of the run, likewise.

    Raises:
        OSError: the socket cannot be created.
    """

    request_queue_size = 64

    def __init__(
        self,
        folder: RunFolder,
        handle: Callable[[Request], str | None],
        *,
        progress: Callable[[], RunProgress],
    ) -> None:
        self._folder = folder
        self._handle = handle
        self._progress = progress
        self._clients: set[socket.socket] = set()
        self._thread = threading.Thread(target=self.serve_forever, name="cifar-tui-control", daemon=True)
        path = socket_path(folder.path)
        with contextlib.suppress(OSError):  # the folder is another user's: clients are checked, too
            path.parent.chmod(0o700)
        if path.is_socket():  # left by an owner that died
            path.unlink()
        elif os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, f"'{path.name}' is not a socket; remove it")
        with socket_address(folder.path) as address:
            super().__init__(address, _ClientHandler)
        with contextlib.suppress(OSError):  # a file system without permissions
            path.chmod(0o600)

    def start(self) -> None:
        """Serve in a thread until `close`."""
        self._thread.start()

    def close(self) -> None:
        """Stop serving, end all connections and remove the socket; may be called again."""
        if self.fileno() < 0:
            return
        self._end()
        with contextlib.suppress(OSError):  # the next owner replaces it
            socket_path(self._folder.path).unlink()

    def _end(self) -> None:
        if self._thread.is_alive():
            _disconnect(self.socket)  # wakes the thread on Linux; elsewhere it polls
            self.shutdown()
            self._thread.join()
        for client in list(self._clients):
            _disconnect(client)
        self.server_close()

    def reply_to(self, line: bytes) -> dict[str, object]:
        """Carry out the request in `line` and return the reply."""
        if len(line) > _MAX_REQUEST_BYTES:
            return _refusal(f"request too long (at most {_MAX_REQUEST_BYTES} bytes)")
        try:
            name = json.loads(line)["do"]
            request = None if name == PROGRESS else Request(name)
        except (ValueError, TypeError, KeyError, RecursionError):
            names = ", ".join((*Request, PROGRESS))
            return _refusal(f'invalid request: send a JSON line {{"do": "…"}} with one of: {names}')
        try:
            if request is None:
                return {"ok": True, "progress": finite_or_none(dataclasses.asdict(self._progress()))}
            reason = self._handle(request)
        except Exception as error:  # noqa: BLE001 - the client must hear of it, whatever it is
            reason = f"internal error ({type(error).__name__}: {error})"
        return {"ok": True} if reason is None else _refusal(reason)

    def get_request(self) -> tuple[socket.socket, object]:
        """Accept a client of this user, unless too many are connected."""
        client, address = super().get_request()
        if len(self._clients) >= _MAX_CLIENTS or not _is_same_user(client):
            client.close()
            raise ConnectionRefusedError  # ignored by the base class
        self._clients.add(client)
        return client, address

    def shutdown_request(self, request: socket.socket | tuple[bytes, socket.socket]) -> None:
        """Hang up on a client."""
        self._clients.discard(request)
        super().shutdown_request(request)

    def handle_error(self, *_: object) -> None:
        """Ignore a client that hung up or sent nothing in time."""

    def service_actions(self) -> None:
        """Rest between two connections."""
        time.sleep(_ACCEPT_INTERVAL)


def _refusal(reason: str) -> dict[str, object]:
    return {"ok": False, "error": reason}


def _disconnect(connection: socket.socket) -> None:
    """Stop receiving, or accepting; a pending reply is still sent."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RD)


def _is_same_user(client: socket.socket) -> bool:
    """Check the peer's user; only Linux reports it; elsewhere rely on the socket's file mode."""
    if sys.platform != "linux":
        return True
    credentials = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("iII"))
    return bool(struct.unpack("iII", credentials)[1] == os.geteuid())
