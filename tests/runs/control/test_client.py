"""The client against owners that do not answer, or not properly."""

import contextlib
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from cifar_tui.engine.errors import UserError
from cifar_tui.runs.control.client import RunUnreachableError, send_request
from cifar_tui.runs.control.protocol import Request


@pytest.fixture
def listener(tmp_path):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "control.sock"))
        listener.listen()
        listener.settimeout(10)
        yield listener


def answer(listener, data, *, every=None):
    """Send `data` to the first client, once or `every` so many seconds."""

    def serve():
        connection, _ = listener.accept()
        with connection, contextlib.suppress(ConnectionError):
            connection.recv(4096)
            connection.sendall(data)
            while every is not None:
                time.sleep(every)
                connection.sendall(data)

    threading.Thread(target=serve, daemon=True).start()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a full queue refuses the connection")
def test_an_owner_whose_queue_is_full_is_tried_again(tmp_path, listener):
    listener.listen(0)
    with contextlib.suppress(BlockingIOError):
        while True:
            with socket.socket(socket.AF_UNIX) as other:
                other.settimeout(0)
                other.connect(listener.getsockname())
    served = []

    def serve():
        time.sleep(0.2)
        while not served:
            connection, _ = listener.accept()
            with connection:
                if request := connection.recv(4096):
                    served.append(request)
                    connection.sendall(b'{"ok": true}\n')

    threading.Thread(target=serve, daemon=True).start()
    send_request(tmp_path, Request.SAVE, timeout=10)
    assert served == [b'{"do": "save"}\n']


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b'{"ok": tr',
        b"\n",
        b"\xff\n",
        b"[]\n",
        b"{}\n",
        b'{"ok": 1.5}\n',
        b'{"ok": false}\n',
        b'{"ok": false, "error": 5}\n',
        b"[" * 60_000 + b"\n",
        b"x" * 5_000_000,
    ],
    ids=lambda data: repr(data[:16]),
)
def test_a_reply_that_is_none_is_reported_in_one_sentence(tmp_path, listener, data):
    answer(listener, data)
    with pytest.raises(RunUnreachableError) as unreachable:
        send_request(tmp_path, Request.SAVE)
    assert str(unreachable.value).startswith(f"run '{tmp_path.name}' is not reachable: ")
    assert "\n" not in str(unreachable.value)
    assert unreachable.value.exit_code == 4
    assert isinstance(unreachable.value, UserError)


@pytest.mark.parametrize("dribble", [False, True], ids=["silent", "dribbling"])
def test_an_owner_is_waited_for_no_longer_than_the_timeout(tmp_path, listener, dribble):
    if dribble:
        answer(listener, b"x", every=0.02)
    started = time.monotonic()
    with pytest.raises(RunUnreachableError, match=r"no answer on .* within 0\.2 s"):
        send_request(tmp_path, Request.SAVE, timeout=0.2)
    assert 0.2 <= time.monotonic() - started < 1


def test_a_run_without_an_owner_is_reported(tmp_path):
    with pytest.raises(
        RunUnreachableError, match=r"nothing is listening on .*; check whether it is still running"
    ):
        send_request(tmp_path / "none", Request.SAVE)


def test_the_control_of_a_run_imports_neither_torch_nor_a_screen():
    code = (
        "import sys, cifar_tui.runs.control.client, cifar_tui.runs.control.server;"
        "print({'torch', 'textual', 'numpy'} & set(sys.modules))"
    )
    root = Path(__file__).resolve().parents[3]
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=root, check=True
    )
    assert result.stdout.strip() == "set()"
