"""What is asked of a run through its socket, and what is answered."""

import socket

import pytest

from cifar_tui.engine.errors import UserError
from cifar_tui.runs.control.client import RequestRefusedError, send_request
from cifar_tui.runs.control.protocol import REQUESTS
from tests.runs.control.helpers import PING, read_line, read_to_end, shorten


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
