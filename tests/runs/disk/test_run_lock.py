"""The lock of a run: it tells a live owner from a dead one, and two processes never own one run."""

import errno
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cifar_tui.engine.errors import ConfigError, RunFailedError
from cifar_tui.runs.disk import run_lock as run_lock_module
from cifar_tui.runs.disk.run_lock import STALE_SECONDS, Owner, RunLock, owner_of

NOBODY = Owner(live=False, crashed=False)
ROOT = Path(__file__).resolve().parents[3]

OWN = """
import sys
from pathlib import Path
from cifar_tui.runs.disk.run_lock import RunLock
lock = RunLock(Path(sys.argv[1]))
lock.acquire()
print("owns", flush=True)
sys.stdin.read()
lock.release()
"""

RACE = """
import sys
from pathlib import Path
from cifar_tui.engine.errors import ConfigError
from cifar_tui.runs.disk.run_lock import RunLock
print("ready", flush=True)
locks = []
for line in sys.stdin:
    lock = RunLock(Path(line.strip()))
    try:
        lock.acquire()
    except ConfigError:
        print("lost", flush=True)
    else:
        locks.append(lock)
        print("won", flush=True)
"""

LOOK = """
import sys
from pathlib import Path
from cifar_tui.runs.disk.run_lock import owner_of
print("ready", flush=True)
while True:
    owner_of(Path(sys.argv[1]))
"""


def held_by(content, folder):
    """Write the lock as an owner would have, of whom nothing else is left."""
    (folder / "lock").write_text(json.dumps(content))


def age_lock(folder, seconds):
    moment = time.time() - seconds
    os.utime(folder / "lock", (moment, moment))


@pytest.fixture
def start():
    """Starts a script in a process and waits for its first line; the process ends with the test."""
    processes = []

    def start(script, *arguments):
        process = subprocess.Popen(
            [sys.executable, "-c", script, *map(str, arguments)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        assert process.stdout.readline()
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


@pytest.fixture
def no_locks(monkeypatch):
    """A file system that knows no locks."""

    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(run_lock_module.fcntl, "flock", refuse)


def test_nobody_owns_a_run_without_a_lock(tmp_path):
    assert owner_of(tmp_path) == NOBODY
    assert owner_of(tmp_path / "none") == NOBODY


def test_a_process_that_holds_the_lock_is_a_live_owner(start, tmp_path):
    process = start(OWN, tmp_path)
    assert owner_of(tmp_path) == Owner(live=True, crashed=False, pid=process.pid, host=socket.gethostname())
    with pytest.raises(ConfigError) as refused:
        RunLock(tmp_path).acquire()
    assert str(process.pid) in str(refused.value)
    assert f"cifar-tui attach {tmp_path.name}" in str(refused.value)
    assert owner_of(tmp_path).pid == process.pid, "the refused one has left no trace"


def test_the_lock_of_this_process_is_live_for_itself_too(tmp_path):
    lock = RunLock(tmp_path)
    lock.acquire()
    assert owner_of(tmp_path).live
    with pytest.raises(ConfigError, match="already running in process"):
        RunLock(tmp_path).acquire()
    lock.release()


def test_a_run_that_was_given_back_is_nobodys_and_can_be_taken_again(start, tmp_path):
    process = start(OWN, tmp_path)
    process.communicate()
    assert owner_of(tmp_path) == NOBODY
    assert start(OWN, tmp_path).pid == owner_of(tmp_path).pid


def test_an_owner_that_was_killed_has_crashed_and_its_run_can_be_taken(start, tmp_path):
    process = start(OWN, tmp_path)
    process.kill()
    process.wait()
    crashed = Owner(live=False, crashed=True, pid=process.pid, host=socket.gethostname())
    assert owner_of(tmp_path) == crashed
    assert owner_of(tmp_path) == crashed, "a look changes nothing"
    lock = RunLock(tmp_path)
    lock.acquire()
    assert owner_of(tmp_path).pid == os.getpid()
    lock.release()
    assert owner_of(tmp_path) == NOBODY


def test_an_owner_that_is_stopped_or_silent_is_live(start, tmp_path):
    process = start(OWN, tmp_path)
    process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
    age_lock(tmp_path, 10 * STALE_SECONDS)
    assert owner_of(tmp_path).live
    with pytest.raises(ConfigError, match="already running"):
        RunLock(tmp_path).acquire()


def test_of_several_processes_that_take_a_run_at_once_one_gets_it(start, tmp_path):
    processes = [start(RACE) for _ in range(5)]
    for number in range(8):
        folder = tmp_path / f"run{number}"
        folder.mkdir()
        for process in processes:
            process.stdin.write(f"{folder}\n")
        for process in processes:
            process.stdin.flush()
        results = [process.stdout.readline().strip() for process in processes]
        assert sorted(results) == ["lost"] * 4 + ["won"]
        assert owner_of(folder).pid == processes[results.index("won")].pid


def test_of_several_processes_that_take_a_crashed_run_at_once_one_gets_it(start, tmp_path):
    processes = [start(RACE) for _ in range(5)]
    for number in range(4):
        folder = tmp_path / f"run{number}"
        folder.mkdir()
        held_by({"pid": 1, "host": socket.gethostname()}, folder)
        for process in processes:
            process.stdin.write(f"{folder}\n")
        for process in processes:
            process.stdin.flush()
        assert sorted(process.stdout.readline().strip() for process in processes) == ["lost"] * 4 + ["won"]


def test_those_who_look_do_not_keep_an_owner_from_its_run(start, tmp_path):
    (tmp_path / "lock").touch()
    for _ in range(2):
        start(LOOK, tmp_path)
    lock = RunLock(tmp_path)
    for _ in range(100):
        lock.acquire()
        lock.release()


def test_an_owner_waits_for_one_who_looks_at_the_very_moment(tmp_path, monkeypatch):
    (tmp_path / "lock").touch()
    looker = os.open(tmp_path / "lock", os.O_RDONLY)
    fcntl.flock(looker, fcntl.LOCK_SH)
    assert not owner_of(tmp_path).live, "who looks is no owner"
    monkeypatch.setattr(run_lock_module.time, "sleep", lambda _: fcntl.flock(looker, fcntl.LOCK_UN))
    lock = RunLock(tmp_path)
    lock.acquire()
    os.close(looker)
    assert owner_of(tmp_path).pid == os.getpid()
    lock.release()


def test_an_owner_on_another_machine_is_live_as_long_as_its_heart_beats(tmp_path):
    held_by({"pid": 7, "host": "elsewhere"}, tmp_path)
    assert owner_of(tmp_path) == Owner(live=True, crashed=False, pid=7, host="elsewhere")
    with pytest.raises(ConfigError, match="already running in process 7 on elsewhere"):
        RunLock(tmp_path).acquire()
    age_lock(tmp_path, STALE_SECONDS - 5)
    assert owner_of(tmp_path).live
    age_lock(tmp_path, STALE_SECONDS + 1)
    assert owner_of(tmp_path) == Owner(live=False, crashed=True, pid=7, host="elsewhere")
    lock = RunLock(tmp_path)
    lock.acquire()
    assert owner_of(tmp_path).pid == os.getpid()
    lock.release()


def test_a_dead_owner_on_this_machine_has_crashed_whatever_its_last_heartbeat(tmp_path):
    held_by({"pid": 7, "host": socket.gethostname()}, tmp_path)
    assert owner_of(tmp_path).crashed


def test_without_locks_the_heartbeat_tells(no_locks, tmp_path):
    lock = RunLock(tmp_path)
    lock.acquire()
    assert owner_of(tmp_path) == Owner(live=True, crashed=False, pid=os.getpid(), host=socket.gethostname())
    with pytest.raises(ConfigError, match="already running"):
        RunLock(tmp_path).acquire()
    age_lock(tmp_path, STALE_SECONDS + 1)
    assert owner_of(tmp_path).crashed
    lock.beat()
    assert owner_of(tmp_path).live
    lock.release()
    assert owner_of(tmp_path) == NOBODY


def test_a_lock_that_cannot_be_asked_about_for_another_reason_is_nobodys(tmp_path, monkeypatch):
    held_by({"pid": 7, "host": "elsewhere"}, tmp_path)

    def fail(*_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(run_lock_module.fcntl, "flock", fail)
    assert owner_of(tmp_path) == NOBODY
    with pytest.raises(RunFailedError, match="Input/output error"):
        RunLock(tmp_path).acquire()


@pytest.mark.parametrize(
    "content",
    [
        b"a picture",
        b"\xff\xfe\x00",
        b"null",
        b"7",
        b"[]",
        b"{}",
        b'{"pid": 7}',
        b'{"pid": null, "host": "elsewhere"}',
        b'{"pid": "many", "host": "elsewhere"}',
        b'{"pid": 1e999, "host": "elsewhere"}',
        b'{"pid": 7, "host": "else',
        b"[" * 5000,
    ],
    ids=lambda content: repr(content[:24]),
)
def test_a_damaged_lock_tells_of_a_crash_while_nobody_holds_it(tmp_path, content):
    (tmp_path / "lock").write_bytes(content)
    assert owner_of(tmp_path) == Owner(live=False, crashed=True)
    descriptor = os.open(tmp_path / "lock", os.O_RDWR)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    assert owner_of(tmp_path) == Owner(live=True, crashed=False)
    os.close(descriptor)
    lock = RunLock(tmp_path)
    lock.acquire()
    assert owner_of(tmp_path).pid == os.getpid()
    lock.release()


def test_a_folder_in_the_place_of_the_lock_is_said_in_a_sentence(tmp_path):
    (tmp_path / "lock").mkdir()
    assert owner_of(tmp_path) == NOBODY
    with pytest.raises(RunFailedError, match=r"cannot write the lock .*: it is a folder; remove '.*/lock'"):
        RunLock(tmp_path).acquire()


def test_a_full_disk_is_said_in_a_sentence_and_leaves_the_run_to_be_taken_later(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(run_lock_module.os, "pwrite", refuse)
        with pytest.raises(RunFailedError, match="No space left"):
            RunLock(tmp_path).acquire()
    assert not owner_of(tmp_path).live
    lock = RunLock(tmp_path)
    lock.acquire()
    lock.release()


def test_a_heartbeat_touches_the_lock_of_its_owner_alone(tmp_path):
    lock = RunLock(tmp_path)
    lock.beat()
    assert not (tmp_path / "lock").exists()
    lock.acquire()
    age_lock(tmp_path, 1000)
    lock.beat()
    assert time.time() - (tmp_path / "lock").stat().st_mtime < 100
    lock.release()
    age_lock(tmp_path, 1000)
    lock.beat()
    assert time.time() - (tmp_path / "lock").stat().st_mtime > 900


def test_a_run_may_be_given_back_again_and_does_not_take_it_from_the_next_owner(start, tmp_path):
    lock = RunLock(tmp_path)
    lock.release()
    lock.acquire()
    lock.release()
    process = start(OWN, tmp_path)
    lock.release()
    assert owner_of(tmp_path).pid == process.pid


def test_only_its_owner_can_read_the_lock(tmp_path):
    lock = RunLock(tmp_path)
    lock.acquire()
    assert (tmp_path / "lock").stat().st_mode & 0o077 == 0
    lock.release()
