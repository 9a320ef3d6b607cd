"""CIFAR-10: which files are read, from where, and that none is unpickled before its MD5 matched."""

import dataclasses
import os
import pickle
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import torch
from torchvision.datasets import CIFAR10

from cifar_tui.engine.data import cifar10
from cifar_tui.engine.data.dataset import Dataset
from cifar_tui.engine.data.fetch import Archive, fetch
from cifar_tui.engine.data.registry import SOURCES, Progress
from cifar_tui.engine.data.sources import load_dataset
from cifar_tui.engine.errors import CancelledError, DataUnavailableError
from cifar_tui.engine.events import LoadingProgress
from tests.engine.data.loopback import (
    LoopbackServer,
    batch_files,
    closed_port,
    make_archive,
    official_archive,
)

NAME = "cifar-10-python.tar.gz"


def load(source: str, data_dir: Path, reports: list[LoadingProgress] | None = None) -> Dataset:
    report = (reports if reports is not None else []).append
    return load_dataset(source, data_dir=data_dir, seed=0, report=report, cancelled=lambda: False)


@pytest.fixture
def folder(small_archive: Archive, tmp_path: Path) -> Path:
    """The official files in the data folder `tmp_path`."""
    fetch(small_archive, tmp_path, Progress(lambda _: None, lambda: False))
    return tmp_path / small_archive.folder_name


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if not path.name.endswith(".lock")}


def test_the_archive_is_the_one_torchvision_knows() -> None:
    md5s = dict([*CIFAR10.train_list, *CIFAR10.test_list, (CIFAR10.meta["filename"], CIFAR10.meta["md5"])])
    assert (
        Archive(
            urls=(CIFAR10.url, *cifar10.ARCHIVE.urls[1:]),
            file_name=CIFAR10.filename,
            size=cifar10.ARCHIVE.size,
            md5=CIFAR10.tgz_md5,
            folder_name=CIFAR10.base_folder,
            file_md5s=md5s,
        )
        == cifar10.ARCHIVE
    )
    assert len({urlsplit(url).hostname for url in cifar10.ARCHIVE.urls}) == 2


def test_auto_downloads_checks_unpacks_and_reads(
    server: LoopbackServer, small_archive: Archive, tmp_path: Path
) -> None:
    reports: list[LoadingProgress] = []
    dataset = load("auto", tmp_path / "deep" / "data", reports)
    assert dataset.title == "CIFAR-10"
    assert dataset.class_names[:2] == ("plane", "car")
    assert dataset.train.images.shape == (100, 3, 32, 32)
    assert dataset.train.targets.dtype == torch.int64
    assert dataset.test.images.is_contiguous()
    expected = pickle.loads(batch_files()["test_batch"], encoding="bytes")[b"data"]
    assert torch.equal(dataset.test.images.flatten(1), torch.from_numpy(expected))
    assert dataset.test.targets.tolist() == [k % 10 for k in range(20)]
    assert names(tmp_path / "deep" / "data") == {"cifar-10-batches-py", NAME}
    last = [event for event in reports if event.stage == f"downloading {NAME}"][-1]
    assert (last.done, last.total, last.unit) == (len(server.payload), len(server.payload), "bytes")


def test_later_loads_make_no_request_whatever_the_folder_is_called_by(
    server: LoopbackServer, folder: Path, tmp_path: Path
) -> None:
    for source in ("auto", "cifar10", str(tmp_path), str(folder)):
        assert len(load(source, tmp_path).train) == 100
    assert len(server.ranges) == 1


def test_official_files_elsewhere_are_read_where_they_are(folder: Path, tmp_path: Path) -> None:
    elsewhere = folder.rename(tmp_path / "renamed")
    assert len(load(str(elsewhere), tmp_path / "data").test) == 20
    assert not (tmp_path / "data").exists(), "nothing is downloaded or copied"


@pytest.mark.parametrize("name", [NAME, "cifar.tgz", "ünïcode [red].tar.gz", "no ending", "link"])
def test_the_archive_brought_by_hand_is_read_where_it_is(
    server: LoopbackServer, small_archive: Archive, tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    if name == "link":
        (tmp_path / "original").write_bytes(server.payload)
        path.symlink_to(tmp_path / "original")
    else:
        path.write_bytes(server.payload)
    before = names(tmp_path)
    reports: list[LoadingProgress] = []
    dataset = load(str(path), tmp_path / "data", reports)
    assert (dataset.title, len(dataset.train), len(dataset.test)) == ("CIFAR-10", 100, 20)
    expected = pickle.loads(batch_files()["data_batch_1"], encoding="bytes")[b"data"]
    assert torch.equal(dataset.train.images[:20].flatten(1), torch.from_numpy(expected))
    assert {event.stage for event in reports} >= {f"unpacking {name}", "reading CIFAR-10"}
    assert server.ranges == []
    assert names(tmp_path) == before, "nothing is left behind"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"text",
        official_archive()[:-1] + b"x",
        official_archive()[:-100],
        official_archive() + b"x",
        make_archive({"cifar-100-python/train": b"x", "test_batch": b"cos\nsystem\n."}),
    ],
)
def test_a_file_that_is_not_the_archive_is_one_sentence(
    small_archive: Archive, tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / NAME
    path.write_bytes(content)
    differs = "MD5" if len(content) == small_archive.size else "bytes, expected"
    with pytest.raises(DataUnavailableError, match=rf"{NAME}' is neither a folder nor .*{differs}.*set data"):
        load(str(path), tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_a_large_file_that_is_not_the_archive_is_not_read(small_archive: Archive, tmp_path: Path) -> None:
    path, reports = tmp_path / "model.bin", []
    with path.open("wb") as file:
        file.truncate(100 << 30)
    with pytest.raises(DataUnavailableError, match=r"\(107,374,182,400 bytes, expected \d"):
        load(str(path), tmp_path / "data", reports)
    assert reports == []


@pytest.fixture
def unpickled(tmp_path: Path) -> Iterator[Path]:
    """A file that appears if a tampered batch is unpickled."""
    marker = tmp_path / "unpickled"
    yield marker
    assert not marker.exists()


def test_tampered_files_are_never_unpickled_and_stay(
    server: LoopbackServer, folder: Path, unpickled: Path, tmp_path: Path
) -> None:
    (folder / "test_batch").write_bytes(f"cos\nmkdir\n(S'{unpickled}'\ntR.".encode())
    for source in ("auto", "cifar10", str(tmp_path)):
        with pytest.raises(DataUnavailableError, match=r"test_batch' is not the official file.*remove"):
            load(source, tmp_path)
    assert (folder / "test_batch").exists()
    assert len(server.ranges) == 1


def test_a_missing_file_is_one_sentence(folder: Path, tmp_path: Path) -> None:
    (folder / "data_batch_3").unlink()
    with pytest.raises(DataUnavailableError, match=r"cannot read .*data_batch_3' \(No such file.*remove"):
        load("cifar10", tmp_path)


def test_no_network_names_the_alternatives(
    small_archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    urls = tuple(f"http://127.0.0.1:{closed_port()}/{NAME}" for _ in range(2))
    archive = dataclasses.replace(small_archive, urls=urls)
    monkeypatch.setattr(cifar10, "ARCHIVE", archive)
    with pytest.raises(
        DataUnavailableError, match=r"refused.*try again, or set data to a folder.*synthetic"
    ) as e:
        load("auto", tmp_path)
    assert e.value.exit_code == 3
    assert names(tmp_path) == set()


def test_reading_can_be_cancelled(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(CancelledError, match="stopped while reading CIFAR-10"):
        load_dataset("auto", data_dir=tmp_path, seed=0, report=lambda _: None, cancelled=lambda: True)


def test_a_path_that_is_no_path_is_refused(tmp_path: Path) -> None:
    for source in ("a\0b", "~nobody-of-that-name/x", os.fsdecode(b"\xff")):
        with pytest.raises(
            DataUnavailableError, match=r"data takes auto, cifar10, synthetic, .* or the path of a folder"
        ):
            load(source, tmp_path)


def test_every_registered_source_has_a_loader_and_is_suggested_by_the_form() -> None:
    assert all(callable(pkgutil.resolve_name(loader)) for loader in SOURCES.values())
