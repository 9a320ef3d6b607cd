"""Fixtures of the data tests."""

import contextlib
import dataclasses
import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest
from PIL import Image

from cifar_tui.engine.data import cifar10
from cifar_tui.engine.data import folder as folder_module
from cifar_tui.engine.data.fetch import Archive
from tests.engine.data.loopback import LoopbackServer, batch_files, handler, official_archive
from tests.engine.data.photos import write_photos


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackServer]:
    monkeypatch.setenv("no_proxy", "*")
    with serving(official_archive()) as state:
        yield state


@pytest.fixture
def mirror(server: LoopbackServer) -> Iterator[LoopbackServer]:
    """Another server of the same bytes."""
    with serving(server.payload) as state:
        yield state


@contextlib.contextmanager
def serving(payload: bytes) -> Iterator[LoopbackServer]:
    state = LoopbackServer(url="", payload=payload)
    http_server = ThreadingHTTPServer(("127.0.0.1", 0), handler(state))
    state.url = f"http://127.0.0.1:{http_server.server_port}/cifar-10-python.tar.gz"
    thread = threading.Thread(target=http_server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield state
    state.released.set()
    http_server.shutdown()
    thread.join()
    http_server.server_close()


def md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


@pytest.fixture
def small_archive(server: LoopbackServer, monkeypatch: pytest.MonkeyPatch) -> Archive:
    """CIFAR-10 is the small archive of the loopback server."""
    archive = dataclasses.replace(
        cifar10.ARCHIVE,
        urls=(server.url,),
        size=len(server.payload),
        md5=md5(server.payload),
        file_md5s={name: md5(data) for name, data in batch_files().items()},
    )
    monkeypatch.setattr(cifar10, "ARCHIVE", archive)
    return archive


@pytest.fixture
def picture() -> Callable[..., Path]:
    """Writes a plain RGB image of a colour that depends on `value`, with its folders."""

    def write(path: Path, value: int = 0, size: tuple[int, int] = (32, 32)) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size, (value, 255 - value, 7)).save(path)
        return path

    return write


@pytest.fixture
def both(tmp_path: Path, picture: Callable[..., Path]) -> Path:
    """Three classes, one of them only in train: 12 training and 5 test images."""
    root = tmp_path / "images"
    for value in range(5):
        picture(root / "train" / "cat" / f"{value}.png", value)
        picture(root / "train" / "dog" / f"{value}.png", 100 + value)
    for value in range(3):
        picture(root / "test" / "dog" / f"{value}.png", 150 + value)
    for value in range(2):
        picture(root / "train" / "ape" / f"{value}.png", 200 + value)
        picture(root / "test" / "cat" / f"{value}.png", 50 + value)
    return root


@pytest.fixture
def decoded_files(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many files each call decoded."""
    counts: list[int] = []
    real = folder_module.decode_files

    def counting(paths, **options):
        counts.append(len(paths))
        return real(paths, **options)

    monkeypatch.setattr(folder_module, "decode_files", counting)
    return counts


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two classes, each with 6 training and 3 test photos of 120x90 pixels."""
    return write_photos(tmp_path / "photos", train=6, test=3)


@pytest.fixture
def bytes_read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many bytes of pixels each read took."""
    counts: list[int] = []
    preadv = os.preadv

    def counted(descriptor, buffers, offset):
        counts.append(sum(map(len, buffers)))
        return preadv(descriptor, buffers, offset)

    monkeypatch.setattr(os, "preadv", counted)
    return counts
