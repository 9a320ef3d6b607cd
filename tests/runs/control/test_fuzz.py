"""Anything at all that a client may send."""

import itertools
import json
import socket
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cifar_tui.runs.control.protocol import REQUESTS
from tests.runs.control.helpers import FUZZ, Run, read_to_end


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
