"""Clients that mean harm do none to the run."""

import contextlib
import socket
import struct
import threading
import time

import pytest

from cifar_tui.engine.errors import UserError
from cifar_tui.runs.control.client import RunUnreachableError, send_request
from tests.runs.control.helpers import PING, fill, read_line, read_to_end, shorten, wait_until


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
