"""A loopback server that misbehaves on demand, and a small archive in the official layout."""

import contextlib
import io
import pickle
import socket
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler

import numpy as np

IMAGES_PER_BATCH = 20
BLOCKS_PER_SECOND = 50


@dataclass(kw_only=True)
class Plan:
    """How the server answers one request."""

    status: int = 200
    knows_ranges: bool = True
    cut_after: int | None = None  # bytes of the body, then the connection is closed
    stall_after: int | None = None  # bytes of the body, then silence
    bytes_per_second: int | None = None
    before: Callable[[], object] = lambda: None


@dataclass(kw_only=True)
class LoopbackServer:
    url: str
    payload: bytes
    payloads: dict[str, bytes] = field(default_factory=dict)  # by path, instead of `payload`
    paths: list[str] = field(default_factory=list)
    etag: str = '"first"'
    plans: list[Plan] = field(default_factory=list)
    ranges: list[str | None] = field(default_factory=list)
    conditions: list[str | None] = field(default_factory=list)
    bytes_sent: list[int] = field(default_factory=list)
    stalled: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)


def handler(state: LoopbackServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            plan = state.plans.pop(0) if state.plans else Plan()
            plan.before()
            asked = self.headers.get("Range")
            condition = self.headers.get("If-Range")
            payload = state.payloads.get(self.path, state.payload)
            state.paths.append(self.path)
            state.ranges.append(asked)
            state.conditions.append(condition)
            state.bytes_sent.append(0)
            if plan.status != 200:
                self.send_error(plan.status)
                return
            start = 0
            if asked and plan.knows_ranges and condition in (None, state.etag):
                start = int(asked.removeprefix("bytes=").removesuffix("-"))
                if start >= len(payload):
                    self.send_error(416)
                    return
            body = payload[start:]
            self.send_response(206 if start else 200)
            if start:
                end = len(payload)
                self.send_header("Content-Range", f"bytes {start}-{end - 1}/{end}")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("ETag", state.etag)
            self.end_headers()
            limits = [limit for limit in (plan.cut_after, plan.stall_after) if limit is not None]
            sent = body[: min(limits)] if limits else body
            state.bytes_sent[-1] = 0
            with contextlib.suppress(OSError):  # the client has left
                for block in throttled(sent, plan.bytes_per_second):
                    state.bytes_sent[-1] += len(block)  # before the client can have them
                    self.wfile.write(block)
                    self.wfile.flush()
            if plan.stall_after is not None:
                state.stalled.set()
                state.released.wait(60)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    return Handler


def closed_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port: int = unused.getsockname()[1]
    return port


def throttled(body: bytes, bytes_per_second: int | None) -> Iterator[bytes]:
    """Split `body` into blocks that a slow server sends."""
    if bytes_per_second is None:
        yield body
        return
    size = max(1, bytes_per_second // BLOCKS_PER_SECOND)
    for start in range(0, len(body), size):
        yield body[start : start + size]
        time.sleep(1 / BLOCKS_PER_SECOND)


def batch_files() -> dict[str, bytes]:
    """Files in the official layout, with 20 images in each."""
    generator = np.random.default_rng(0)
    files = {}
    for name in [*(f"data_batch_{k}" for k in range(1, 6)), "test_batch"]:
        data = generator.integers(0, 256, (IMAGES_PER_BATCH, 3072), dtype=np.uint8)
        labels = [k % 10 for k in range(IMAGES_PER_BATCH)]
        files[name] = pickle.dumps({b"data": data, b"labels": labels}, protocol=2)
    files["batches.meta"] = pickle.dumps({"label_names": [f"class {k}" for k in range(10)]}, protocol=2)
    return files


def make_archive(files: dict[str, bytes], link: str = "") -> bytes:
    """An archive of `files`, and of a symbolic link out of it if one is named."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
        if link:
            member = tarfile.TarInfo(link)
            member.type, member.linkname = tarfile.SYMTYPE, "../../escaped"
            tar.addfile(member)
    return stream.getvalue()


def official_archive() -> bytes:
    return make_archive({f"cifar-10-batches-py/{name}": data for name, data in batch_files().items()})
