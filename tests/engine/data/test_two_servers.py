"""An archive that several servers have: which one is read, and what happens where one fails or is slow."""

import dataclasses
import statistics
import time
from pathlib import Path

import pytest

from cifar_tui.engine.data import download
from cifar_tui.engine.data.fetch import Archive
from cifar_tui.engine.data.registry import ALTERNATIVES
from cifar_tui.engine.errors import DataUnavailableError
from tests.engine.data.fetching import NAME, PART, Watcher, fetch_small, names
from tests.engine.data.loopback import LoopbackServer, Plan, closed_port


@pytest.fixture
def two_servers(small_archive: Archive, mirror: LoopbackServer, server: LoopbackServer) -> Archive:
    """The small archive, which two servers have."""
    return dataclasses.replace(small_archive, urls=(server.url, mirror.url))


def test_the_faster_of_two_servers_is_read(
    server: LoopbackServer, mirror: LoopbackServer, two_servers: Archive, tmp_path: Path
) -> None:
    server.plans = [Plan(bytes_per_second=20_000)]
    fetch_small(two_servers, tmp_path)
    assert mirror.bytes_sent == [len(mirror.payload)]
    assert sum(server.bytes_sent) < len(server.payload) / 2


@pytest.mark.parametrize("first_is_faster", [True, False])
def test_the_one_that_is_ahead_after_a_look_is_read(
    server: LoopbackServer,
    mirror: LoopbackServer,
    two_servers: Archive,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    first_is_faster: bool,
) -> None:
    monkeypatch.setattr(download, "LOOK_SECONDS", 0.3)
    faster, slower = (server, mirror) if first_is_faster else (mirror, server)

    def let_the_other_get_ahead() -> None:
        while sum(faster.bytes_sent) < len(faster.payload) / 4:
            time.sleep(0.01)

    faster.plans = [Plan(bytes_per_second=900_000)]
    slower.plans = [Plan(bytes_per_second=90_000, before=let_the_other_get_ahead)]
    fetch_small(two_servers, tmp_path)
    assert faster.bytes_sent == [len(faster.payload)]
    assert sum(slower.bytes_sent) < len(slower.payload) / 2


def test_a_download_is_resumed_from_the_other_server(
    server: LoopbackServer, mirror: LoopbackServer, two_servers: Archive, tmp_path: Path
) -> None:
    server.plans, mirror.plans = [Plan(cut_after=1000), Plan(status=404)], [Plan(status=503)]
    fetch_small(two_servers, tmp_path)
    assert mirror.ranges == [None, "bytes=1000-"]
    assert mirror.conditions == [None, None], "it has sent no ETag yet"
    assert names(tmp_path) == {"cifar-10-batches-py", NAME}


@pytest.mark.parametrize(
    "plan",
    [
        Plan(status=404),
        Plan(status=503),
        Plan(cut_after=0),
        Plan(stall_after=0),
        Plan(stall_after=2000),
        Plan(knows_ranges=False, bytes_per_second=20_000),
    ],
)
def test_one_server_is_enough(
    server: LoopbackServer,
    mirror: LoopbackServer,
    two_servers: Archive,
    tmp_path: Path,
    plan: Plan,
) -> None:
    (tmp_path / PART).write_bytes(server.payload[:1000])
    server.plans = [plan]
    fetch_small(two_servers, tmp_path)
    assert mirror.ranges == ["bytes=1000-"]
    assert names(tmp_path) == {"cifar-10-batches-py", NAME}


def test_a_server_that_is_not_there_does_no_harm(
    server: LoopbackServer, small_archive: Archive, tmp_path: Path
) -> None:
    archive = dataclasses.replace(small_archive, urls=(f"http://127.0.0.1:{closed_port()}/x", server.url))
    fetch_small(archive, tmp_path)
    assert sum(server.bytes_sent) == len(server.payload)


@pytest.mark.parametrize("wrong", [b"", b"<html>Sign in to the network</html>", bytes(100_000)])
def test_wrong_bytes_of_one_server_are_replaced_by_those_of_the_other(
    server: LoopbackServer, mirror: LoopbackServer, two_servers: Archive, tmp_path: Path, wrong: bytes
) -> None:
    server.plans = [Plan(bytes_per_second=50_000)]
    mirror.payload = wrong
    fetch_small(two_servers, tmp_path)
    assert names(tmp_path) == {"cifar-10-batches-py", NAME}


def test_wrong_bytes_of_both_servers_are_one_sentence(
    server: LoopbackServer, mirror: LoopbackServer, two_servers: Archive, tmp_path: Path
) -> None:
    server.payload, mirror.payload = b"wrong", b"wrong, too"
    with pytest.raises(DataUnavailableError, match=f"{server.url} and {mirror.url} did not deliver"):
        fetch_small(two_servers, tmp_path)
    assert names(tmp_path) == set()


def test_different_reasons_are_told_by_server(
    server: LoopbackServer, mirror: LoopbackServer, two_servers: Archive, tmp_path: Path
) -> None:
    server.plans, mirror.plans = [Plan(status=404)], [Plan(status=403)]
    urls = (server.url, mirror.url.replace("127.0.0.1", "localhost"))
    archive = dataclasses.replace(two_servers, urls=urls)
    with pytest.raises(DataUnavailableError, match=r"127.0.0.1: .*404.*; localhost: .*403"):
        fetch_small(archive, tmp_path)


@pytest.mark.parametrize(("bytes_per_second", "slow"), [(20_000, True), (120_000, True), (2_000_000, False)])
def test_a_slow_server_is_told_with_the_time_left_and_the_alternatives(
    server: LoopbackServer,
    small_archive: Archive,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    bytes_per_second: int,
    *,
    slow: bool,
) -> None:
    monkeypatch.setattr(download, "SPEED_SECONDS", 0.4)
    server.plans = [Plan(bytes_per_second=bytes_per_second)]
    (tmp_path / PART).write_bytes(server.payload[: -bytes_per_second * 3 // 2])
    watcher = Watcher()
    fetch_small(small_archive, tmp_path, watcher)
    notes = [event.note for event in watcher.stage("downloading") if event.note]
    assert bool(notes) == slow
    speeds = [int(note.partition("slow (")[2].partition(" kB/s")[0]) for note in notes]
    if slow:  # single ones vary on a busy machine
        assert 0.4 * bytes_per_second < 1000 * statistics.median(speeds) < 1.6 * bytes_per_second
    for note in notes:
        assert note.endswith(f"kB/s, about 1 min left): wait, or stop and {ALTERNATIVES}")
    assert not any(event.note for event in watcher.stage("unpacking"))
