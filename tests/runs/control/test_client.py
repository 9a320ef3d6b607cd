"""The client against servers that are none."""

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
from tests.runs.control.helpers import shorten


@pytest.fixture
def listener(tmp_path):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "control.sock"))
        listener.listen()
        listener.settimeout(10)
        yield listener


def answer(listener, data):
    def serve():
        connection, _ = listener.accept()
        with connection, contextlib.suppress(ConnectionError):
            connection.recv(4096)
            connection.sendall(data)

    threading.Thread(target=serve, daemon=True).start()


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
        b"x" * 1000,
    ],
    ids=shorten,
)
def test_what_is_no_reply_is_said_in_one_sentence(tmp_path, listener, data):
    answer(listener, data)
    with pytest.raises(RunUnreachableError) as unreachable:
        send_request(tmp_path, "ping")
    assert str(unreachable.value).startswith(f"run {tmp_path.name} cannot be reached: ")
    assert "\n" not in str(unreachable.value)
    assert unreachable.value.exit_code == 4
    assert isinstance(unreachable.value, UserError)


def test_a_reply_without_end_is_not_read_to_its_end(tmp_path, listener):
    answer(listener, b"x" * 5_000_000)
    with pytest.raises(RunUnreachableError, match="gave no proper reply"):
        send_request(tmp_path, "ping")


def test_an_owner_that_is_stuck_is_waited_for_no_longer_than_asked(tmp_path, listener):
    started = time.monotonic()
    with pytest.raises(RunUnreachableError, match=r"no answer on .* in 0\.2 s"):
        send_request(tmp_path, "ping", timeout=0.2)
    assert 0.2 <= time.monotonic() - started < 1


def test_an_owner_that_dribbles_is_waited_for_no_longer_than_asked(tmp_path, listener):
    done = threading.Event()

    def dribble():
        connection, _ = listener.accept()
        with connection:
            try:
                while not done.wait(0.02):
                    connection.sendall(b"x")
            except ConnectionError:
                pass

    thread = threading.Thread(target=dribble)
    thread.start()
    started = time.monotonic()
    with pytest.raises(RunUnreachableError, match="no answer"):
        send_request(tmp_path, "ping", timeout=0.2)
    assert time.monotonic() - started < 1
    done.set()
    thread.join(10)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse at once")
def test_an_owner_that_takes_nobody_in_is_waited_for_no_longer_than_asked(tmp_path, listener):
    waiting = []
    try:
        while True:
            connection = socket.socket(socket.AF_UNIX)
            waiting.append(connection)
            connection.settimeout(0)
            connection.connect(str(tmp_path / "control.sock"))
    except OSError:
        pass
    started = time.monotonic()
    with pytest.raises(RunUnreachableError, match="no answer"):
        send_request(tmp_path, "ping", timeout=0.2)
    assert time.monotonic() - started < 1
    for connection in waiting:
        connection.close()


def test_a_folder_without_a_run_is_said_to_be_not_reached(tmp_path):
    with pytest.raises(RunUnreachableError, match="nobody listens"):
        send_request(tmp_path / "none", "ping")


def test_importing_it_takes_neither_torch_nor_a_screen():
    code = (
        "import sys, cifar_tui.runs.control.client, cifar_tui.runs.control.server;"
        "print({'torch', 'textual', 'numpy'} & set(sys.modules))"
    )
    root = Path(__file__).resolve().parents[3]
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=root, check=True
    )
    assert result.stdout.strip() == "set()"
