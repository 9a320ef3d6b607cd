"""Fixtures of the data tests."""

import hashlib
import threading
from collections.abc import Callable, Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest
from PIL import Image
from torchvision.datasets import CIFAR10

from tests.engine.data.loopback import LoopbackServer, batch_files, handler, official_archive


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackServer]:
    monkeypatch.setenv("no_proxy", "*")
    state = LoopbackServer(url="", payload=official_archive())
    http_server = ThreadingHTTPServer(("127.0.0.1", 0), handler(state))
    state.url = f"http://127.0.0.1:{http_server.server_port}/cifar-10-python.tar.gz"
    thread = threading.Thread(target=http_server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield state
    state.released.set()
    http_server.shutdown()
    thread.join()
    http_server.server_close()


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


@pytest.fixture
def small_cifar10(server: LoopbackServer) -> type[CIFAR10]:
    """A subclass of torchvision's CIFAR10 that expects the small archive of the loopback server."""
    md5s = {name: _md5(data) for name, data in batch_files().items()}

    class SmallCIFAR10(CIFAR10):
        url = server.url
        tgz_md5 = _md5(server.payload)
        train_list = [[f"data_batch_{k}", md5s[f"data_batch_{k}"]] for k in range(1, 6)]  # noqa: RUF012
        test_list = [["test_batch", md5s["test_batch"]]]  # noqa: RUF012
        meta = {**CIFAR10.meta, "md5": md5s["batches.meta"]}  # noqa: RUF012

    return SmallCIFAR10


@pytest.fixture
def picture() -> Callable[..., Path]:
    """Writes a plain RGB image of a colour that depends on `value`, with its folders."""

    def write(path: Path, value: int = 0, size: tuple[int, int] = (32, 32)) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size, (value, 255 - value, 7)).save(path)
        return path

    return write
