"""Where the control socket is, and who is let in."""

import os
import socket
import stat
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from cifar_tui.engine.errors import ConfigError, RunFailedError
from cifar_tui.runs.control.client import RunUnreachableError, send_request
from cifar_tui.runs.control.protocol import find_socket, socket_path
from cifar_tui.runs.control.server import ControlServer
from tests.runs.control.helpers import PING, read_line, read_to_end, wait_until


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
