"""Fetching the archive: resuming, checking, cancelling, unpacking, and what never gets a final name."""

import dataclasses
import threading
import time
from pathlib import Path

import pytest

from cifar_tui.engine.data.fetch import Archive, fetch
from cifar_tui.engine.data.registry import Progress
from cifar_tui.engine.errors import CancelledError, DataUnavailableError
from cifar_tui.engine.events import LoadingProgress
from tests.engine.data.conftest import md5
from tests.engine.data.fetching import NAME, PART, Watcher, fetch_small, names
from tests.engine.data.loopback import LoopbackServer, Plan, batch_files, make_archive


def test_archive_brought_by_hand_is_used(
    server: LoopbackServer, small_archive: Archive, tmp_path: Path
) -> None:
    (tmp_path / NAME).write_bytes(server.payload)
    fetch_small(small_archive, tmp_path)
    assert server.ranges == []


def test_broken_connection_is_resumed_where_it_broke(
    server: LoopbackServer, small_archive: Archive, tmp_path: Path
) -> None:
    size = len(server.payload)
    server.plans = [Plan(cut_after=1000), Plan(cut_after=500)]
    fetch_small(small_archive, tmp_path)
    assert server.ranges == [None, "bytes=1000-", "bytes=1500-"]
    assert server.conditions == [None, '"first"', '"first"']
    assert sum(server.bytes_sent) == size


def test_download_of_an_earlier_process_is_resumed(
    server: LoopbackServer, small_archive: Archive, tmp_path: Path
) -> None:
    (tmp_path / PART).write_bytes(server.payload[:4000])
    fetch_small(small_archive, tmp_path)
    assert server.ranges == ["bytes=4000-"]
    assert server.bytes_sent == [len(server.payload) - 4000]


def test_complete_part_needs_no_bytes(server: LoopbackServer, small_archive: Archive, tmp_path: Path) -> None:
    (tmp_path / PART).write_bytes(server.payload)
    fetch_small(small_archive, tmp_path)
    assert server.bytes_sent == [0]
    assert names(tmp_path) == {"cifar-10-batches-py", NAME}


@pytest.mark.parametrize("extra", [b"", b"more than the server has"])
def test_a_wrong_part_is_discarded(
    server: LoopbackServer, small_archive: Archive, tmp_path: Path, extra: bytes
) -> None:
    (tmp_path / PART).write_bytes(b"x" * len(server.payload) + extra if extra else b"x" * 100)
    fetch_small(small_archive, tmp_path)
    assert server.ranges[0] is not None
    assert server.ranges[1] is None


def test_server_without_ranges(server: LoopbackServer, small_archive: Archive, tmp_path: Path) -> None:
    (tmp_path / PART).write_bytes(server.payload[:4000])
    server.plans = [Plan(knows_ranges=False)]
    fetch_small(small_archive, tmp_path)
    assert server.bytes_sent == [len(server.payload)]


def test_file_that_changes_on_the_server_meanwhile(
    server: LoopbackServer, small_archive: Archive, tmp_path: Path
) -> None:
    server.etag = '"old"'
    right, server.payload = server.payload, b"another file" * 1000

    def change() -> None:
        server.payload, server.etag = right, '"new"'

    server.plans = [Plan(cut_after=2000), Plan(before=change)]
    fetch_small(small_archive, tmp_path)
    assert server.conditions == [None, '"old"']
    assert server.bytes_sent == [2000, len(right)]


def test_connection_that_never_gets_further_ends(
    server: LoopbackServer, small_archive: Archive, tmp_path: Path
) -> None:
    server.plans = [Plan(cut_after=1000, knows_ranges=False) for _ in range(20)]
    with pytest.raises(DataUnavailableError, match="closed early"):
        fetch_small(small_archive, tmp_path)
    assert len(server.ranges) == 3
    assert (tmp_path / PART).stat().st_size == 1000


@pytest.mark.parametrize("received", [0, 3000])
def test_cancelled_while_the_server_is_silent(
    server: LoopbackServer, small_archive: Archive, tmp_path: Path, received: int
) -> None:
    server.plans = [Plan(stall_after=received)]
    watcher = Watcher()
    errors: list[BaseException] = []

    def run() -> None:
        try:
            fetch_small(small_archive, tmp_path, watcher)
        except CancelledError as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    assert server.stalled.wait(20)
    assert watcher.downloading.wait(20)
    asked = time.monotonic()
    watcher.stop.set()
    thread.join(20)
    assert time.monotonic() - asked < 10, "less than the time that a silent server has"
    assert errors
    assert names(tmp_path) <= {PART}
    server.released.set()
    fetch_small(small_archive, tmp_path)
    assert server.bytes_sent[0] == received


def test_wrong_archive_is_removed(server: LoopbackServer, small_archive: Archive, tmp_path: Path) -> None:
    server.payload = bytes(len(server.payload))
    with pytest.raises(
        DataUnavailableError, match=r"MD5.*try again, or set data to a folder.*synthetic"
    ) as caught:
        fetch_small(small_archive, tmp_path)
    assert "\n" not in str(caught.value)
    assert names(tmp_path) == set()


def test_truncated_archive_from_the_server(
    server: LoopbackServer, small_archive: Archive, tmp_path: Path
) -> None:
    server.payload = server.payload[:-100]
    with pytest.raises(DataUnavailableError, match=r"archive \([\d,]+ bytes, expected"):
        fetch_small(small_archive, tmp_path)
    assert names(tmp_path) == set()


def test_checking_an_archive_can_be_cancelled(small_archive: Archive, tmp_path: Path) -> None:
    with (tmp_path / NAME).open("wb") as file:
        file.truncate(1 << 33)
    archive, watcher = dataclasses.replace(small_archive, size=1 << 33), Watcher()

    def stop(event: LoadingProgress) -> None:
        watcher.report(event)
        if event.stage.startswith("checking"):
            watcher.stop.set()

    with pytest.raises(CancelledError, match=f"stopped while checking {NAME}"):
        fetch(archive, tmp_path, Progress(stop, watcher.stop.is_set))
    assert [(event.unit, event.total) for event in watcher.stage("checking")] == [("bytes", 1 << 33)]
    assert names(tmp_path) == {NAME}


def test_truncated_archive_on_the_disk(
    server: LoopbackServer, small_archive: Archive, tmp_path: Path
) -> None:
    (tmp_path / NAME).write_bytes(server.payload[:-100])
    with pytest.raises(DataUnavailableError, match=r"not the official archive.*remove it"):
        fetch_small(small_archive, tmp_path)
    assert server.ranges == []
    assert names(tmp_path) == {NAME}


@pytest.mark.parametrize("status", [404, 503])
def test_refusal_at_the_start_is_final(
    server: LoopbackServer, small_archive: Archive, tmp_path: Path, status: int
) -> None:
    server.plans = [Plan(status=status)]
    with pytest.raises(DataUnavailableError, match=str(status)):
        fetch_small(small_archive, tmp_path)
    assert len(server.ranges) == 1


def test_busy_server_is_asked_again(server: LoopbackServer, small_archive: Archive, tmp_path: Path) -> None:
    server.plans = [Plan(cut_after=1000), Plan(status=503)]
    fetch_small(small_archive, tmp_path)
    assert server.ranges == [None, "bytes=1000-", "bytes=1000-"]


def test_file_that_is_gone_meanwhile(server: LoopbackServer, small_archive: Archive, tmp_path: Path) -> None:
    server.plans = [Plan(cut_after=1000), Plan(status=404)]
    with pytest.raises(DataUnavailableError, match="404"):
        fetch_small(small_archive, tmp_path)
    assert len(server.ranges) == 2


def test_data_dir_that_cannot_be_made(small_archive: Archive, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataUnavailableError, match=r"file.*another data_dir"):
        fetch_small(small_archive, tmp_path / "file" / "data")


def test_two_at_once_share_one_download(
    server: LoopbackServer, small_archive: Archive, tmp_path: Path
) -> None:
    server.plans = [Plan(stall_after=3000)]
    first, second = Watcher(), Watcher()
    threads = [
        threading.Thread(target=fetch_small, args=(small_archive, tmp_path, watcher))
        for watcher in (first, second)
    ]
    threads[0].start()
    assert server.stalled.wait(20)
    threads[1].start()
    deadline = time.monotonic() + 20
    while not second.stage("waiting for another process") and time.monotonic() < deadline:
        threads[1].join(0.01)
    server.released.set()
    for thread in threads:
        thread.join(20)
    assert second.stage("waiting for another process")
    assert not second.stage("downloading")
    assert sum(server.bytes_sent) == len(server.payload)
    assert (tmp_path / "cifar-10-batches-py" / "test_batch").exists()


def test_leftovers_of_a_dead_process_are_removed(small_archive: Archive, tmp_path: Path) -> None:
    (tmp_path / ".cifar-10-batches-py.tmp" / "subfolder").mkdir(parents=True)
    fetch_small(small_archive, tmp_path)
    assert names(tmp_path) == {"cifar-10-batches-py", NAME}


def test_full_disk(small_archive: Archive, tmp_path: Path) -> None:
    (tmp_path / PART).symlink_to("/dev/full")
    with pytest.raises(DataUnavailableError, match=r"disk that holds .* is full: free up"):
        fetch_small(small_archive, tmp_path)


def test_only_the_known_files_are_unpacked_and_none_outside_the_folder(
    server: LoopbackServer, small_archive: Archive, tmp_path: Path
) -> None:
    files = {f"cifar-10-batches-py/{name}": content for name, content in batch_files().items()}
    outside = {"../../escaped": b"x", str(tmp_path / "absolute"): b"x", "../test_batch": files.popitem()[1]}
    server.payload = make_archive(files | outside, link="cifar-10-batches-py/link")
    archive = dataclasses.replace(small_archive, size=len(server.payload), md5=md5(server.payload))
    folder = fetch_small(archive, tmp_path / "data")
    assert names(tmp_path / "data") == {folder.name, NAME}
    assert names(folder) <= archive.file_md5s.keys()
    assert names(tmp_path) == {"data"}


def test_cancelled_while_unpacking_leaves_no_folder(small_archive: Archive, tmp_path: Path) -> None:
    watcher = Watcher()

    def report(event: LoadingProgress) -> None:
        if event.stage.startswith("unpacking"):
            watcher.stop.set()

    with pytest.raises(CancelledError, match="stopped while unpacking"):
        fetch(small_archive, tmp_path, Progress(report, watcher.stop.is_set))
    assert names(tmp_path) == {NAME}
