"""What the control socket costs a run, and its heartbeat."""

import os
import resource
import selectors
import socket
import threading
import time

import pytest

from tests.runs.control.helpers import PING, fill, read_line, wait_until

pytestmark = pytest.mark.alone


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
