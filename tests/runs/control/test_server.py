"""What a client gets, and that no client harms the run."""

import os
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

from cifar_tui.engine.errors import UserError
from cifar_tui.runs.control import server as server_module
from cifar_tui.runs.control.client import RequestRefusedError, RunUnreachableError, send_request
from cifar_tui.runs.control.protocol import Request
from tests.runs.control.helpers import connect, make_control_server, read_reply, wait_until


def assert_well(server):
    """An honest client is answered."""
    send_request(server.folder, Request.SAVE)
    assert server.requests[-1] is Request.SAVE


# Requests


@pytest.mark.parametrize("request_", list(Request))
def test_a_request_reaches_the_owner(server, request_):
    send_request(server.folder, request_)
    assert server.requests == [request_]


def test_a_refusal_is_raised_with_its_reason(server):
    server.refusal = "the run is over: évaluez-le\nplutôt"
    with pytest.raises(RequestRefusedError) as refused:
        send_request(server.folder, Request.PAUSE)
    assert str(refused.value) == server.refusal
    assert refused.value.exit_code == 4
    assert isinstance(refused.value, UserError)


def test_a_defect_of_the_owner_is_a_refusal(server):
    server.defect = ZeroDivisionError("a defect")
    with pytest.raises(RequestRefusedError, match=r"internal error \(ZeroDivisionError: a defect\)"):
        send_request(server.folder, Request.SAVE)
    server.defect = None
    assert_well(server)


@pytest.mark.parametrize(
    "line",
    [
        b"pause",
        b"\xff\xfe",
        b"[]",
        b"null",
        b"{}",
        b'{"do": null}',
        b'{"do": ["pause"]}',
        b'{"do": "Pause"}',
        b'{"do": "pause"',
        b"[" * 4000,
        b"9" * 4000,
    ],
    ids=lambda line: repr(line[:16]),
)
def test_what_is_no_request_is_refused_and_harms_nothing(server, line):
    with connect(server.folder) as connection:
        connection.sendall(line + b"\n")
        reply = read_reply(connection)
    assert reply["ok"] is False
    assert "pause, resume, toggle_pause, save, evaluate, stop" in reply["error"]
    assert server.requests == []
    assert_well(server)


def test_a_request_that_is_too_long_is_refused(server):
    with connect(server.folder) as connection:
        connection.sendall(b'{"do": "pause", "more": "' + b"x" * 5000)
        assert read_reply(connection) == {"ok": False, "error": "request too long (at most 4096 bytes)"}
    assert server.requests == []
    assert_well(server)


def test_a_request_may_arrive_in_pieces(server):
    with connect(server.folder) as connection:
        for byte in b'{"do": "pause"}\n':
            connection.sendall(bytes([byte]))
        assert read_reply(connection) == {"ok": True}
    assert server.requests == [Request.PAUSE]


# Clients that mean harm, or none


def test_a_silent_client_is_dropped_after_the_timeout_and_keeps_nobody_waiting(server, monkeypatch):
    monkeypatch.setattr(server_module, "_CLIENT_SECONDS", 0.5)
    with connect(server.folder) as silent:
        silent.sendall(b'{"do": "pau')
        started = time.monotonic()
        assert_well(server)
        assert read_reply(silent) is None
        assert time.monotonic() - started >= 0.4
    assert server.requests == [Request.SAVE]


def test_clients_beyond_the_cap_are_hung_up_on_until_others_leave(server):
    clients = [connect(server.folder) for _ in range(16)]
    wait_until(lambda: len(server._clients) == 16)
    with pytest.raises(RunUnreachableError, match="connection closed"):
        send_request(server.folder, Request.SAVE)
    for client in clients:
        client.close()
    wait_until(lambda: not server._clients)
    assert_well(server)


def test_a_client_that_connects_in_a_loop_takes_little_of_the_processor(server):
    calls, ended = 0, time.monotonic() + 0.5
    while time.monotonic() < ended:
        send_request(server.folder, Request.SAVE)
        calls += 1
    assert 0 < calls <= 101


def test_clients_that_hang_up_at_any_moment_harm_nothing(server, capfd):
    for sent in (b"", b'{"do": "pau', b'{"do": "pause"}\n', b"x" * 10_000):
        connect(server.folder).close()
        with connect(server.folder) as connection:
            connection.sendall(sent)
    assert_well(server)
    assert capfd.readouterr() == ("", ""), "nothing is printed over the screen"


def test_many_honest_clients_at_once_are_all_answered(server):
    threads = [threading.Thread(target=send_request, args=(server.folder, Request.SAVE)) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert server.requests == [Request.SAVE] * 12


# The file


def test_the_socket_and_its_folder_belong_to_the_owner_alone(tmp_path, make_server):
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o777)
    before = os.umask(0)
    try:
        make_server(folder)
    finally:
        os.umask(before)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "control.sock").lstat().st_mode) == 0o600


AS_NOBODY = """
import os, socket, sys
os.setgroups([]); os.setgid(65534); os.setuid(65534)
connection = socket.socket(socket.AF_UNIX)
connection.settimeout(10)
try:
    connection.connect(sys.argv[1])
    connection.sendall(b'{"do": "stop"}\\n')
    print("received", connection.recv(100))
except PermissionError:
    print("may not connect")
except (BrokenPipeError, ConnectionResetError):
    print("received", b"")
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a client's user")
@pytest.mark.parametrize(
    ("mode", "result"), [(None, "may not connect"), (0o777, "received b''")], ids=["mode", "peer"]
)
def test_another_user_is_kept_out_by_the_mode_and_by_the_check_of_the_peer(make_server, mode, result):
    with tempfile.TemporaryDirectory() as parent:
        Path(parent).chmod(0o755)
        server = make_server(Path(parent) / "run")
        path = server.folder / "control.sock"
        if mode is not None:
            server.folder.chmod(mode)
            path.chmod(mode)
        process = subprocess.run(
            [sys.executable, "-c", AS_NOBODY, str(path)],
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        )
        assert process.stdout.strip() == result
        assert server.requests == []
        assert_well(server)


def test_a_socket_that_a_dead_owner_left_is_replaced(tmp_path, make_server):
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "control.sock"))
        dead.listen()
    with pytest.raises(RunUnreachableError, match="nothing is listening"):
        send_request(tmp_path, Request.SAVE)
    assert_well(make_server(tmp_path))


def test_a_file_in_the_way_is_kept_and_named(tmp_path):
    (tmp_path / "control.sock").write_text("mine")
    with pytest.raises(OSError, match=r"'control\.sock' is not a socket; remove it"):
        make_control_server(tmp_path, lambda request: None)
    assert (tmp_path / "control.sock").read_text() == "mine"


def test_closing_ends_everything_and_leaves_no_file(make_server):
    threads, descriptors = threading.active_count(), sorted(os.listdir("/dev/fd"))
    server = make_server()
    with connect(server.folder) as connection:
        assert_well(server)
        started = time.monotonic()
        server.close()
        assert time.monotonic() - started < 1.5, "it does not wait for a silent client"
        assert read_reply(connection) is None
    assert threading.active_count() == threads
    assert len(os.listdir("/dev/fd")) == len(descriptors) + 1, "the folder of the run is its owner's"
    assert list(server.folder.iterdir()) == []
    server.close()
    with pytest.raises(RunUnreachableError, match="nothing is listening"):
        send_request(server.folder, Request.SAVE)


def test_a_server_that_was_never_started_can_be_closed(tmp_path):
    make_control_server(tmp_path, lambda request: None).close()
    assert list(tmp_path.iterdir()) == []
