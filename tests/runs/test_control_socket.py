"""The control socket: who is let in, what is answered, and that nothing a client does harms the run."""

import contextlib
import itertools
import json
import os
import resource
import selectors
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cifar_tui.engine.errors import ConfigError, RunFailedError, UserError
from cifar_tui.runs.control_client import RequestRefusedError, RunUnreachableError, send_request
from cifar_tui.runs.control_server import ControlServer
from cifar_tui.runs.control_socket import REQUESTS, find_socket, socket_path

PING = b'{"do": "ping"}\n'
FUZZ = settings(deadline=None, max_examples=150)


def wait_until(condition, seconds=10):
    """Wait for `condition`, and fail when it does not come about."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "the condition did not come about"
        time.sleep(0.005)


def shorten(data):
    """An id for a test."""
    return repr(data[:16])


class Run:
    """A folder with a server that notes what it is asked, and in which thread."""

    def __init__(self, folder, **options):
        self.folder = folder
        self.handled = []
        self.threads = set()
        self.refuse_with = None
        self.defect = None
        self.server = ControlServer(folder, self.handle, **options)

    def handle(self, request):
        self.handled.append(request)
        self.threads.add(threading.current_thread())
        if self.defect is not None:
            raise self.defect
        return self.refuse_with

    @property
    def thread(self):
        return self.server._thread

    @property
    def clients(self):
        return list(self.thread._target.__self__._clients)

    def connect(self):
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(10)
        end = time.monotonic() + 10
        while True:
            try:
                connection.connect(str(find_socket(self.folder)))
            except BlockingIOError:  # so many wait to be accepted that there is no room for another
                assert time.monotonic() < end
                time.sleep(0.01)
            else:
                return connection

    def is_well(self):
        """An honest client gets its answer promptly, and the thread lives."""
        send_request(self.folder, "ping", timeout=1)
        assert self.thread.is_alive()


def read_to_end(connection):
    """The lines that come until the other end hangs up."""
    data = b""
    try:
        while chunk := connection.recv(65536):
            data += chunk
    except ConnectionResetError:
        pass
    assert not data or data.endswith(b"\n")
    return [json.loads(line) for line in data.splitlines()]


def read_line(connection):
    data = b""
    while not data.endswith(b"\n"):
        chunk = connection.recv(1)
        assert chunk, "hung up"
        data += chunk
    return json.loads(data)


def fill(run, connection):
    """Make requests and read no reply until some wait in the server; the number of requests."""
    run.refuse_with = "n" * 2000
    while not any(client.to_send for client in run.clients):
        handled = len(run.handled)
        connection.sendall(b'{"do": "pause"}\n')
        wait_until(lambda handled=handled: len(run.handled) > handled)
    return len(run.handled)


@pytest.fixture
def make_run(tmp_path):
    runs = []

    def make(folder=tmp_path / "run", **options):
        folder.mkdir(parents=True, exist_ok=True)
        run = Run(folder, **options)
        runs.append(run)
        run.server.start()
        return run

    yield make
    for run in runs:
        run.server.close()
        assert not run.thread.is_alive()


@pytest.fixture
def run(make_run):
    return make_run()


@pytest.fixture
def long_folder(tmp_path):
    folder = tmp_path / ("a" * 60) / ("b" * 60)
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def runtime_folder(monkeypatch):
    """A short runtime folder."""
    with tempfile.TemporaryDirectory(prefix="rt") as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        yield Path(folder)


@pytest.fixture
def temporary_folder(monkeypatch):
    """No runtime folder, and a short one for temporary files."""
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    with tempfile.TemporaryDirectory(prefix="tf") as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield Path(folder)


# What is asked and answered


@pytest.mark.parametrize("request_", [request for request in REQUESTS if request != "ping"])
def test_a_request_reaches_the_owner_in_the_servers_thread(run, request_):
    send_request(run.folder, request_)
    assert run.handled == [request_]
    assert run.threads == {run.thread}


def test_a_ping_is_answered_by_the_server_itself(run):
    run.refuse_with = "never"
    send_request(run.folder, "ping")
    assert run.handled == []


def test_what_the_owner_refuses_is_raised_with_its_sentence(run):
    run.refuse_with = "the run is over: évaluez-le\nplutôt"
    with pytest.raises(RequestRefusedError) as refused:
        send_request(run.folder, "pause")
    assert str(refused.value) == run.refuse_with
    assert refused.value.exit_code == 4
    assert isinstance(refused.value, UserError)
    run.is_well()


def test_a_defect_of_the_owner_is_answered_and_the_thread_lives_on(run):
    run.defect = ZeroDivisionError("a defect")
    with pytest.raises(RequestRefusedError, match="ZeroDivisionError: a defect"):
        send_request(run.folder, "save")
    run.is_well()


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"pause",
        b"\xff\xfe",
        b"\xef\xbb\xbf" + PING.strip(),
        '{"do": "ping"}'.encode("utf-16"),
        b"[]",
        b'"pause"',
        b"null",
        b"{}",
        b'{"do": null}',
        b'{"do": ["pause"]}',
        b'{"do": {"do": "pause"}}',
        b'{"do": "Pause"}',
        b'{"do": "delete"}',
        b'{"do": "pause"',
        b"[" * 4000,
        b'{"do":' * 600,
        b"9" * 4000,
    ],
    ids=shorten,
)
def test_what_is_no_request_is_answered_and_harms_nothing(run, line):
    with run.connect() as connection:
        connection.sendall(line + b"\n" + PING)
        reply = read_line(connection)
        assert reply["ok"] is False
        assert isinstance(reply["error"], str)
        assert read_line(connection) == {"ok": True}, "the client may go on"
    assert run.handled == []
    run.is_well()


def test_several_requests_at_once_are_answered_in_order(run):
    with run.connect() as connection:
        connection.sendall(b'{"do": "pause"}\r\n{"do": "none"}\n{"do": "save", "more": 1}\n{"do": "res')
        assert [read_line(connection)["ok"] for _ in range(3)] == [True, False, True]
        connection.sendall(b'ume"}\n')
        assert read_line(connection) == {"ok": True}
    assert run.handled == ["pause", "save", "resume"]


def test_what_was_asked_before_the_client_closed_its_side_is_answered(run):
    with run.connect() as connection:
        connection.sendall(PING * 3 + b'{"do": "pa')
        connection.shutdown(socket.SHUT_WR)
        assert read_to_end(connection) == [{"ok": True}] * 3
    assert run.handled == []


# Where it is, and who is let in


def test_the_socket_and_its_folder_are_of_the_owner_alone(tmp_path, make_run):
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o777)
    before = os.umask(0)
    try:
        make_run(folder)
    finally:
        os.umask(before)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    mode = (folder / "control.sock").lstat().st_mode
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o600


def test_nobody_could_connect_before_the_modes_were_right(tmp_path, make_run, monkeypatch):
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o777)
    seen = []
    bind, listen = socket.socket.bind, socket.socket.listen

    def watch_bind(self, path):
        seen.append(stat.S_IMODE(folder.stat().st_mode))
        bind(self, path)

    def watch_listen(self, backlog):
        seen.append(stat.S_IMODE((folder / "control.sock").lstat().st_mode))
        listen(self, backlog)

    monkeypatch.setattr(socket.socket, "bind", watch_bind)
    monkeypatch.setattr(socket.socket, "listen", watch_listen)
    before = os.umask(0)
    try:
        make_run(folder)
    finally:
        os.umask(before)
    assert seen == [0o700, 0o600]


AS_NOBODY = """
import os, socket, sys
os.setgroups([]); os.setgid(65534); os.setuid(65534)
connection = socket.socket(socket.AF_UNIX)
connection.settimeout(10)
try:
    connection.connect(sys.argv[1])
except PermissionError:
    print("may not connect")
    sys.exit()
try:
    connection.sendall(b'{"do": "stop"}\\n')
    print("got", connection.recv(100))
except (BrokenPipeError, ConnectionResetError):
    print("got", b"")
"""


@pytest.fixture
def reachable_run(make_run):
    """A run in a folder that other users can get to."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    with tempfile.TemporaryDirectory() as parent:
        Path(parent).chmod(0o755)
        yield make_run(Path(parent) / "run")


def ask_as_nobody(run):
    return subprocess.run(
        [sys.executable, "-c", AS_NOBODY, str(run.folder / "control.sock")],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    ).stdout.strip()


def test_another_user_cannot_connect(reachable_run):
    assert ask_as_nobody(reachable_run) == "may not connect"
    assert reachable_run.handled == []


def test_another_user_is_hung_up_on_even_where_the_modes_let_him_in(reachable_run):
    if sys.platform != "linux":
        pytest.skip("the peer's user is asked for on Linux only")
    reachable_run.folder.chmod(0o777)
    (reachable_run.folder / "control.sock").chmod(0o777)
    assert ask_as_nobody(reachable_run) == "got b''"
    assert reachable_run.handled == []
    reachable_run.is_well()


def test_a_socket_that_a_dead_owner_left_is_replaced(tmp_path, make_run):
    folder = tmp_path / "run"
    folder.mkdir()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(folder / "control.sock"))
        dead.listen()
    with pytest.raises(RunUnreachableError):
        send_request(folder, "ping")
    make_run(folder).is_well()


def test_a_file_in_the_way_is_kept_and_named(tmp_path):
    (tmp_path / "control.sock").write_text("mine")
    server = ControlServer(tmp_path, lambda request: None)
    with pytest.raises(RunFailedError, match=r"control\.sock: a file that is no socket is in its way"):
        server.start()
    server.close()
    assert (tmp_path / "control.sock").read_text() == "mine"


def test_a_start_that_fails_leaves_nothing_behind(tmp_path, monkeypatch):
    def refuse(self, backlog):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(socket.socket, "listen", refuse)
    server = ControlServer(tmp_path, lambda request: None)
    before = sorted(os.listdir("/dev/fd"))
    with pytest.raises(RunFailedError, match="Input/output error"):
        server.start()
    assert sorted(os.listdir("/dev/fd")) == before
    assert list(tmp_path.iterdir()) == []
    monkeypatch.undo()
    server.start()
    send_request(tmp_path, "ping")
    server.close()


def test_closing_hangs_up_removes_the_socket_and_may_be_done_twice(run):
    before = threading.active_count()
    with run.connect() as connection:
        connection.sendall(PING)
        read_line(connection)
        run.server.close()
        assert not run.thread.is_alive()
        assert threading.active_count() == before - 1
        assert read_to_end(connection) == []
    assert list(run.folder.iterdir()) == []
    run.server.close()
    with pytest.raises(RunUnreachableError, match="nobody listens"):
        send_request(run.folder, "ping")


def test_closing_leaves_no_descriptor_open(make_run, tmp_path):
    before = sorted(os.listdir("/dev/fd"))
    run = make_run()
    with run.connect(), run.connect():
        run.is_well()
        run.server.close()
    assert sorted(os.listdir("/dev/fd")) == before


def test_a_server_that_was_never_started_can_be_closed(tmp_path):
    ControlServer(tmp_path, lambda request: None).close()


def test_the_owner_may_close_the_server_while_it_handles_a_request(tmp_path):
    server = ControlServer(tmp_path, lambda request: server.close())
    server.start()
    send_request(tmp_path, "stop")
    wait_until(lambda: not server._thread.is_alive())
    assert list(tmp_path.iterdir()) == []


def test_every_name_of_a_folder_leads_to_one_socket(tmp_path, monkeypatch):
    folder = tmp_path / "run"
    folder.mkdir()
    (tmp_path / "link").symlink_to(folder)
    monkeypatch.chdir(tmp_path)
    paths = {socket_path(name) for name in (folder, Path("run"), Path("link"), Path("run/../run"))}
    assert paths == {folder.resolve() / "control.sock"}


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have other limits")
@pytest.mark.parametrize(("length", "falls_back"), [(107, False), (108, True)])
def test_the_path_is_as_long_as_the_platform_allows(runtime_folder, make_run, length, falls_back):
    with tempfile.TemporaryDirectory() as short:
        folder = Path(short).resolve()
        # in bytes: an é has two
        folder /= "é" + "x" * (length - len(os.fsencode(folder)) - len("/control.sock") - len("/é") - 1)
        run = make_run(folder)
        assert len(os.fsencode(folder / "control.sock")) == length
        assert (socket_path(folder).parent != folder) == falls_back
        run.is_well()
        run.server.close()


def test_a_path_that_is_too_long_falls_back_to_the_runtime_folder(runtime_folder, long_folder, make_run):
    run = make_run(long_folder)
    path = socket_path(long_folder)
    assert path.parent == runtime_folder / "cifar-tui"
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.lstat().st_mode) == 0o600
    other = long_folder.parent / ("c" * 60)
    other.mkdir()
    make_run(other).is_well()
    assert socket_path(other) != path
    run.is_well()
    run.server.close()
    assert not path.exists()
    assert list(long_folder.iterdir()) == []


def test_without_a_runtime_folder_it_falls_back_to_the_one_for_temporary_files(
    temporary_folder, long_folder, make_run
):
    run = make_run(long_folder)
    assert socket_path(long_folder).parent == temporary_folder / f"cifar-tui-{os.geteuid()}"
    run.is_well()


def test_a_runtime_folder_that_is_gone_or_no_absolute_path_is_passed_over(
    temporary_folder, long_folder, monkeypatch
):
    expected = temporary_folder / f"cifar-tui-{os.geteuid()}"
    for name in ("", "relative", str(temporary_folder / "gone")):
        monkeypatch.setenv("XDG_RUNTIME_DIR", name)
        assert socket_path(long_folder).parent == expected


def test_a_client_with_another_environment_finds_the_owner(
    temporary_folder, long_folder, make_run, monkeypatch
):
    run = make_run(long_folder)
    with tempfile.TemporaryDirectory(prefix="rt") as other:
        monkeypatch.setenv("XDG_RUNTIME_DIR", other)
        assert socket_path(long_folder) != find_socket(long_folder)
        run.is_well()


def test_a_fallback_folder_that_is_a_link_is_refused(runtime_folder, long_folder, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    (runtime_folder / "cifar-tui").symlink_to(elsewhere)
    with pytest.raises(ConfigError, match="not a folder of this user's alone"):
        socket_path(long_folder)
    with pytest.raises(ConfigError, match="not a folder of this user's alone"):
        ControlServer(long_folder, lambda request: None).start()
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize("mode", [0o701, 0o710, 0o777, 0o1777])
def test_a_fallback_folder_that_is_open_to_others_is_refused(temporary_folder, long_folder, mode):
    folder = temporary_folder / f"cifar-tui-{os.geteuid()}"
    folder.mkdir()
    folder.chmod(mode)
    with pytest.raises(ConfigError, match="not a folder of this user's alone"):
        socket_path(long_folder)
    folder.chmod(0o700)
    assert socket_path(long_folder).parent == folder


def test_a_fallback_folder_of_another_user_is_refused(temporary_folder, long_folder):
    if os.geteuid() != 0:
        pytest.skip("only root can give a folder away")
    folder = temporary_folder / f"cifar-tui-{os.geteuid()}"
    folder.mkdir(mode=0o700)
    os.chown(folder, 65534, 65534)
    with pytest.raises(ConfigError, match="not a folder of this user's alone"):
        socket_path(long_folder)


def test_a_fallback_that_is_too_long_or_cannot_be_made_is_an_error(
    temporary_folder, long_folder, tmp_path, monkeypatch
):
    monkeypatch.setattr(tempfile, "tempdir", str(long_folder))
    with pytest.raises(ConfigError, match="too long"):
        socket_path(long_folder)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    with pytest.raises(ConfigError, match="No such file"):
        socket_path(long_folder)


# Clients that mean harm


def test_half_a_line_and_silence_holds_nobody_up(run):
    with run.connect() as connection:
        connection.sendall(b'{"do": "sto')
        run.is_well()
        connection.sendall(b'p"}\n')
        assert read_line(connection) == {"ok": True}
    assert run.handled == ["stop"]


@pytest.mark.parametrize("end", [b"", b"\n", b"\n" + PING], ids=shorten)
def test_a_line_that_is_too_long_is_answered_and_its_sender_dropped(run, end):
    with run.connect() as connection:
        connection.sendall(b'{"do": "stop"}'.ljust(4097) + end)
        (reply,) = read_to_end(connection)
        assert reply["ok"] is False
        assert "4096" in reply["error"]
    assert run.handled == []
    run.is_well()


def test_a_line_of_4096_bytes_is_not_too_long(run):
    with run.connect() as connection:
        connection.sendall(b'{"do": "stop"}'.ljust(4096) + b"\n")
        assert read_line(connection) == {"ok": True}


def test_megabytes_without_a_line_are_not_kept(run):
    with run.connect() as connection, pytest.raises(ConnectionError):
        connection.sendall(b"x" * 50_000_000)
    run.is_well()


def test_a_flood_is_cut_off_and_its_sender_dropped(run):
    with run.connect() as connection:
        replies = []
        reader = threading.Thread(target=lambda: replies.extend(read_to_end(connection)))
        reader.start()
        try:
            for _ in range(100):
                connection.sendall(b'{"do": "pause"}\n' * 100)
        except ConnectionError:
            pass
        reader.join(10)
        assert not reader.is_alive(), "dropped"
    assert 200 <= len(run.handled) < 1000
    assert [reply["ok"] for reply in replies] == [True] * len(run.handled) + [False]
    assert "200 requests a second" in replies[-1]["error"]
    run.is_well()


def test_many_requests_over_some_time_are_no_flood(run):
    with run.connect() as connection:
        for _ in range(300):
            connection.sendall(PING)
            assert read_line(connection) == {"ok": True}
            time.sleep(0.003)


def test_a_client_that_never_reads_is_dropped(run):
    run.refuse_with = "no" * 2000
    with run.connect() as connection:
        connection.sendall(b'{"do": "pause"}\n' * 199)
        wait_until(lambda: run.handled and not run.clients)
        assert len(run.handled) < 199
        run.is_well()


def test_a_client_that_reads_late_gets_what_was_pending(run):
    with run.connect() as connection:
        count = fill(run, connection)
        run.is_well()
        replies = [read_line(connection) for _ in range(count)]
        connection.sendall(PING)
        assert read_line(connection) == {"ok": True}
    assert replies == [{"ok": False, "error": run.refuse_with}] * count


def test_who_connects_and_resets_is_forgotten(run):
    for sent in (b"", PING, b'{"do"', PING * 50):
        for _ in range(20):
            connection = run.connect()
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            with contextlib.suppress(ConnectionError):
                connection.sendall(sent)
            connection.close()
        run.is_well()


def test_of_a_hundred_clients_at_once_sixteen_are_served(run):
    connections = [run.connect() for _ in range(100)]
    try:
        served = 0
        for connection in connections:
            try:
                connection.sendall(PING)
                served += connection.recv(100) == b'{"ok": true}\n'
            except ConnectionError:
                pass
        assert served == 16
        with pytest.raises(RunUnreachableError, match="hung up"):
            send_request(run.folder, "ping")
    finally:
        for connection in connections:
            connection.close()
    run.is_well()


def test_a_client_that_hangs_up_makes_room_at_once(run):
    connections = [run.connect() for _ in range(16)]
    for _ in range(50):
        connections.pop(0).close()
        connections.append(run.connect())
        connections[-1].sendall(PING)
        assert read_line(connections[-1]) == {"ok": True}
    for connection in connections:
        connection.close()


def test_many_honest_threads_are_all_answered(run):
    failures = []

    def ask():
        try:
            for _ in range(20):
                send_request(run.folder, "save", timeout=10)
        except UserError as error:
            failures.append(error)

    threads = [threading.Thread(target=ask) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert failures == []
    assert run.handled == ["save"] * 240


# What it costs, and the heartbeat


class Wakes:
    """Notes the waits of a server's thread, and the time it had computed at its last beat."""

    def __init__(self, monkeypatch):
        self.timeouts = []
        self.beats = 0
        self.computed = 0.0
        select = selectors.DefaultSelector.select

        def watched(selector, timeout=None):
            self.timeouts.append(timeout)
            return select(selector, timeout)

        monkeypatch.setattr(selectors.DefaultSelector, "select", watched)

    def beat(self):
        self.computed = time.thread_time()
        self.beats += 1

    def check_rest(self, beats=10):
        """The thread wakes for its beats alone, and computes next to nothing."""
        first = self.beats
        wait_until(lambda: self.beats > first)
        first, waits, computed, started = self.beats, len(self.timeouts), self.computed, time.monotonic()
        wait_until(lambda: self.beats >= first + beats)
        passed = time.monotonic() - started
        assert len(self.timeouts) - waits <= 2 * (self.beats - first) + 3
        assert self.computed - computed < 0.1 * passed


def test_idle_clients_cost_nothing(make_run, monkeypatch):
    wakes = Wakes(monkeypatch)
    run = make_run(beat=wakes.beat, beat_seconds=0.05)
    connections = [run.connect() for _ in range(10)]
    connections[0].sendall(b'{"do": "pau')
    connections[1].sendall(PING)
    assert read_line(connections[1]) == {"ok": True}
    wakes.check_rest()
    for connection in connections:
        connection.close()


def test_without_a_heartbeat_the_thread_waits_without_end(run, monkeypatch):
    wakes = Wakes(monkeypatch)
    with run.connect() as connection:
        connection.sendall(PING)
        read_line(connection)
        wait_until(lambda: wakes.timeouts)
        assert set(wakes.timeouts) == {None}


def test_replies_that_nobody_reads_cost_nothing(make_run, monkeypatch):
    wakes = Wakes(monkeypatch)
    run = make_run(beat=wakes.beat, beat_seconds=0.05)
    with run.connect() as connection:
        fill(run, connection)
        wakes.check_rest()
        run.is_well()


def test_a_heartbeat_that_fails_does_not_end_the_thread(make_run):
    beats = []

    def beat():
        beats.append(threading.current_thread())
        raise OSError(5, "Input/output error") if len(beats) % 2 else ValueError("a defect")

    run = make_run(beat=beat, beat_seconds=0.01)
    wait_until(lambda: len(beats) >= 6)
    assert set(beats) == {run.thread}
    run.is_well()


def test_heartbeats_go_on_under_a_busy_client(make_run):
    beats = []
    run = make_run(beat=lambda: beats.append(1), beat_seconds=0.02)
    with run.connect() as connection:
        while len(beats) < 5:
            connection.sendall(PING)
            read_line(connection)
            time.sleep(0.004)
    run.is_well()


def test_without_free_descriptors_the_thread_waits_and_then_goes_on(make_run, monkeypatch):
    wakes = Wakes(monkeypatch)
    run = make_run(beat=wakes.beat, beat_seconds=0.05)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    with socket.socket(socket.AF_UNIX) as waiting:
        waiting.settimeout(10)
        free = os.dup(waiting.fileno())
        os.close(free)
        resource.setrlimit(resource.RLIMIT_NOFILE, (free, limits[1]))
        try:
            waiting.connect(str(run.folder / "control.sock"))
            waiting.sendall(PING)
            wakes.check_rest(beats=15)
            assert run.clients == [], "no descriptor was free"
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        assert read_line(waiting) == {"ok": True}
    run.is_well()


# The client against servers that are none


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
        "import sys, cifar_tui.runs.control_client, cifar_tui.runs.control_server;"
        "print({'torch', 'textual', 'numpy'} & set(sys.modules))"
    )
    root = Path(__file__).resolve().parents[2]
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=root, check=True
    )
    assert result.stdout.strip() == "set()"


# Anything at all


@pytest.fixture(scope="module")
def fuzzed_run():
    with tempfile.TemporaryDirectory() as folder:
        run = Run(Path(folder))
        run.server.start()
        yield run
        run.server.close()
        assert set(run.handled) <= set(REQUESTS) - {"ping"}
        assert not run.thread.is_alive()


def exchange(run, data, cuts):
    """Send `data` in pieces, and return the replies."""
    edges = [0, *sorted({cut % (len(data) + 1) for cut in cuts}), len(data)]
    with run.connect() as connection:
        try:
            for start, end in itertools.pairwise(edges):
                connection.sendall(data[start:end])
            connection.shutdown(socket.SHUT_WR)
        except ConnectionError:
            pass
        return read_to_end(connection)


CUTS = st.lists(st.integers(min_value=0, max_value=10_000), max_size=6)
LINES = st.one_of(
    st.binary(max_size=60),
    st.sampled_from([f'{{"do": "{request}"}}'.encode() for request in REQUESTS]),
    st.integers(min_value=4000, max_value=5000).map(lambda size: b"x" * size),
)


@FUZZ
@given(data=st.one_of(st.binary(max_size=150), st.lists(LINES, max_size=30).map(b"\n".join)), cuts=CUTS)
def test_any_bytes_get_a_reply_to_each_line_and_harm_nothing(fuzzed_run, data, cuts):
    replies = exchange(fuzzed_run, data, cuts)
    *lines, rest = data.split(b"\n")
    too_long = [number for number, line in enumerate([*lines, rest]) if len(line) > 4096]
    assert len(replies) == (too_long[0] + 1 if too_long else len(lines))
    for line, reply in zip(lines, replies, strict=False):
        assert reply == {"ok": True} or (reply.keys() == {"ok", "error"} and reply["ok"] is False)
        assert reply["ok"] or reply["error"]
        if line in {f'{{"do": "{request}"}}'.encode() for request in REQUESTS}:
            assert reply["ok"]
    fuzzed_run.is_well()


VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(),
        st.sampled_from(REQUESTS),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.one_of(st.text(max_size=5), st.just("do")), inner, max_size=4),
    ),
    max_leaves=12,
)


@FUZZ
@given(values=st.lists(st.one_of(VALUES, VALUES.map(lambda value: {"do": value})), max_size=10), cuts=CUTS)
def test_any_values_are_answered_and_only_requests_agreed_to(fuzzed_run, values, cuts):
    handled = len(fuzzed_run.handled)
    lines = [json.dumps(value).encode() for value in values]
    replies = exchange(fuzzed_run, b"".join(line + b"\n" for line in lines), cuts)
    asked = [
        value["do"]
        if isinstance(value, dict) and isinstance(value.get("do"), str) and value["do"] in REQUESTS
        else None
        for value in values
    ]
    assert [reply["ok"] for reply in replies] == [request is not None for request in asked]
    assert fuzzed_run.handled[handled:] == [request for request in asked if request not in {None, "ping"}]
    fuzzed_run.is_well()
