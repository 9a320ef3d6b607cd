"""`ControlServer`: lets other processes of the same user steer a run."""

import contextlib
import errno
import json
import os
import selectors
import socket
import stat
import struct
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from cifar_tui.engine.errors import RunFailedError
from cifar_tui.runs.control.protocol import LONGEST_LINE, NO_SIGNAL, PING, Request, link_path, socket_path

_MOST_CLIENTS = 16
_REQUESTS_PER_SECOND = 200  # of one client, over some seconds; as many may come at once
_MOST_PENDING = 65_536  # bytes of replies that a client has not read
_BACKLOG = 64
_ACCEPT_PAUSE_SECONDS = 0.5
_JOIN_SECONDS = 2.0
_CHUNK = 16_384

_AGREED = b'{"ok": true}\n'


class ControlServer:
    """Listens on the control socket of a run, in a thread of its own.

    Whatever clients send, it harms neither the thread nor other clients. The caller owns the run.

    Args:
        folder: the run's folder. It is closed to other users, as the socket is.
        handle: called in the server's thread with a request; returns None, or a sentence
            that says why the request is refused. It is to return at once.
        beat: called in the server's thread every `beat_seconds`.
        beat_seconds: see `beat`.
    """

    def __init__(
        self,
        folder: Path,
        handle: Callable[[Request], str | None],
        *,
        beat: Callable[[], None] | None = None,
        beat_seconds: float = 5.0,
    ) -> None:
        self._folder = folder
        self._handle = handle
        self._beat = beat
        self._beat_seconds = beat_seconds
        self._thread: threading.Thread | None = None
        self._waker: socket.socket | None = None
        self._files: list[Path] = []

    def start(self) -> None:
        """Listen, and serve until `close`. A socket that a dead owner left is replaced.

        Raises:
            RunFailedError: the socket cannot be made.
            ConfigError: as `socket_path` does.
        """
        if self._thread is not None:
            raise AssertionError("a server is started once")
        path, link = socket_path(self._folder), link_path(self._folder)
        try:
            with contextlib.ExitStack() as undo:
                undo.callback(self._remove_files)
                _close_to_others(self._folder)
                listener = undo.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
                _remove_left_over(path)
                listener.bind(str(path))
                self._files.append(path)
                path.chmod(0o600)  # nobody can connect before it listens, whatever the umask is
                if link is not None:
                    _remove_left_over(link)
                    link.symlink_to(path)
                    self._files.append(link)
                listener.listen(_BACKLOG)
                waker, woken = socket.socketpair()
                undo.callback(waker.close)
                undo.callback(woken.close)
                service = _Service(listener, woken, self._handle, self._beat, self._beat_seconds)
                thread = threading.Thread(target=service.serve, name="cifar-tui-control", daemon=True)
                thread.start()
                undo.pop_all()
        except OSError as error:
            raise RunFailedError(
                f"cannot listen on the control socket {path}: {error.strerror}; "
                "name another folder with --checkpoints"
            ) from error
        self._thread, self._waker = thread, waker

    def close(self) -> None:
        """Hang up on all clients, end the thread and remove the socket; may be called again."""
        waker, self._waker = self._waker, None
        if waker is None or self._thread is None:
            return
        with contextlib.suppress(OSError):
            waker.send(b".")  # closing it alone would not do: a forked child may hold it open
        if self._thread is not threading.current_thread():
            # not for ever: `handle` or `beat` may hang on a file system that does
            self._thread.join(_JOIN_SECONDS)
        waker.close()
        self._remove_files()

    def _remove_files(self) -> None:
        while self._files:
            with contextlib.suppress(OSError):  # a next owner replaces what is left
                self._files.pop().unlink()


class _Client:
    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.received = bytearray()
        self.to_send = bytearray()
        self._tokens: float = _REQUESTS_PER_SECOND
        self._counted = time.monotonic()

    def count_request(self) -> bool:
        """Count one more request; false if there were too many."""
        now = time.monotonic()
        self._tokens += (now - self._counted) * _REQUESTS_PER_SECOND
        self._tokens = min(self._tokens, _REQUESTS_PER_SECOND) - 1
        self._counted = now
        return self._tokens >= 0


class _Service:
    """What the server's thread does; nothing of it is touched by another once `serve` is called."""

    def __init__(
        self,
        listener: socket.socket,
        woken: socket.socket,
        handle: Callable[[Request], str | None],
        beat: Callable[[], None] | None,
        beat_seconds: float,
    ) -> None:
        self._listener = listener
        self._woken = woken
        self._handle = handle
        self._beat = beat
        self._beat_seconds = beat_seconds
        self._clients: set[_Client] = set()
        self._next_beat = time.monotonic() + beat_seconds
        self._accept_at: float | None = None
        listener.settimeout(0)
        self._selector = selectors.DefaultSelector()
        self._selector.register(listener, selectors.EVENT_READ)
        self._selector.register(woken, selectors.EVENT_READ)

    def serve(self) -> None:
        """Serve until something comes on `woken`, then close everything."""
        try:
            while True:
                ready = self._selector.select(self._seconds_to_wait())
                # clients before the listener: who hung up makes room for who comes
                ready.sort(key=lambda item: item[0].data is None)
                for key, events in ready:
                    if key.fileobj is self._woken:
                        return
                    if isinstance(key.data, _Client):
                        self._serve_client(key.data, events)
                    else:
                        self._accept()
                self._keep_time()
        finally:
            for client in list(self._clients):
                self._drop(client)
            self._selector.close()
            self._listener.close()
            self._woken.close()

    def _seconds_to_wait(self) -> float | None:
        times = [] if self._beat is None else [self._next_beat]
        if self._accept_at is not None:
            times.append(self._accept_at)
        return max(0.0, min(times) - time.monotonic()) if times else None

    def _keep_time(self) -> None:
        now = time.monotonic()
        if self._accept_at is not None and now >= self._accept_at:
            self._accept_at = None
            self._selector.register(self._listener, selectors.EVENT_READ)
        if self._beat is not None and now >= self._next_beat:
            with contextlib.suppress(Exception):  # a file system that fails now may be back at the next beat
                self._beat()
            self._next_beat = time.monotonic() + self._beat_seconds

    def _accept(self) -> None:
        """Accept one client: who waits behind it may fit in after others have hung up."""
        try:
            connection, _ = self._listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        except OSError:
            # out of file descriptors, mostly: the client still waits, and would wake the thread at once
            self._selector.unregister(self._listener)
            self._accept_at = time.monotonic() + _ACCEPT_PAUSE_SECONDS
            return
        try:
            if len(self._clients) >= _MOST_CLIENTS or not _is_same_user(connection):
                connection.close()
                return
            connection.settimeout(0)
            client = _Client(connection)
            self._selector.register(connection, selectors.EVENT_READ, client)
        except OSError:
            connection.close()
        else:
            self._clients.add(client)

    def _serve_client(self, client: _Client, events: int) -> None:
        if events & selectors.EVENT_WRITE and not self._send(client):
            return
        if events & selectors.EVENT_READ:
            self._receive(client)

    def _receive(self, client: _Client) -> None:
        try:
            data = client.connection.recv(_CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._drop(client)
            return
        client.received += data
        while (end := client.received.find(b"\n")) >= 0:
            line = bytes(client.received[:end])
            del client.received[: end + 1]
            if len(line) > LONGEST_LINE:
                break
            if not client.count_request():
                client.to_send += _refusal(f"more than {_REQUESTS_PER_SECOND} requests a second are too many")
                self._send_and_drop(client)
                return
            client.to_send += self._answer(line)
            if not self._send(client):
                return
        if end >= 0 or len(client.received) > LONGEST_LINE:
            client.to_send += _refusal(f"a request has at most {LONGEST_LINE} bytes")
            self._send_and_drop(client)

    def _answer(self, line: bytes) -> bytes:
        try:
            request = json.loads(line.decode("utf-8"))
        except (ValueError, RecursionError):
            return _refusal("a request is an object in JSON on one line")
        if not isinstance(request, dict) or "do" not in request:
            return _refusal('a request is an object in JSON with "do"')
        do = request["do"]
        if do == PING:
            return _AGREED
        if do not in set(Request):
            return _refusal(f'"do" is one of: {", ".join([PING, *Request])}')
        try:
            refused = self._handle(Request(do))
        except Exception as error:  # noqa: BLE001 - a defect there is no reason to be deaf from now on
            return _refusal(f"an error in the program itself, {type(error).__name__}: {error}")
        return _AGREED if refused is None else _refusal(refused)

    def _send(self, client: _Client) -> bool:
        """Send as much of the replies as the client takes; false if it was dropped."""
        try:
            if client.to_send:
                del client.to_send[: client.connection.send(client.to_send, NO_SIGNAL)]
        except BlockingIOError:
            pass
        except OSError:
            self._drop(client)
            return False
        if len(client.to_send) > _MOST_PENDING:
            self._drop(client)
            return False
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if client.to_send else 0)
        if self._selector.get_key(client.connection).events != wanted:
            self._selector.modify(client.connection, wanted, client)
        return True

    def _send_and_drop(self, client: _Client) -> None:
        if self._send(client):
            self._drop(client)

    def _drop(self, client: _Client) -> None:
        self._selector.unregister(client.connection)
        client.connection.close()
        self._clients.discard(client)


def _refusal(sentence: str) -> bytes:
    return json.dumps({"ok": False, "error": sentence}).encode() + b"\n"


def _is_same_user(connection: socket.socket) -> bool:
    """Whether the other end belongs to this user; where that cannot be asked, the modes see to it."""
    if sys.platform != "linux":
        return True
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("iII"))
    _, uid, _ = struct.unpack("iII", credentials)
    return bool(uid == os.geteuid())


def _close_to_others(folder: Path) -> None:
    if folder.stat().st_mode & 0o077:
        folder.chmod(0o700)


def _remove_left_over(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not (stat.S_ISSOCK(mode) or stat.S_ISLNK(mode)):
        raise FileExistsError(errno.EEXIST, "a file that is no socket is in its way")
    path.unlink()
