"""The cache keeps what the bytes of the files prove, and nothing else."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from cifar_tui.engine.data import decode
from tests.engine.data.folders import load, skipped


def failing(monkeypatch: pytest.MonkeyPatch, name: str, error: Exception) -> None:
    """Reading the files of that name raises `error`."""
    real = decode._open

    def opened(path, formats):
        if path.name == name:
            raise error
        return real(path, formats)

    monkeypatch.setattr(decode, "_open", opened)


PASSING = [
    *(
        OSError(number, os.strerror(number))
        for number in (errno.EACCES, errno.EIO, errno.EMFILE, errno.ENFILE)
    ),
    *(OSError(number, os.strerror(number)) for number in (errno.ENOMEM, errno.ESTALE, errno.ENOENT)),
    MemoryError(),
    OSError("decoder jpeg not available"),
    OSError("out of memory when reading image file"),
]


@pytest.mark.parametrize("error", PASSING, ids=repr)
def test_what_fails_this_once_is_read_the_next_time_and_alone(
    both: Path, monkeypatch: pytest.MonkeyPatch, decoded_files: list[int], error: Exception
) -> None:
    with monkeypatch.context() as patch:
        failing(patch, "1.png", error)
        first = load(both)
    assert len(skipped(first)) == 5
    assert (len(first.train), len(first.test)) == (9, 3)
    second, third = load(both), load(both)
    assert (len(second.train), len(second.test)) == (12, 5)
    assert skipped(second) == []
    assert decoded_files == [17, 5]
    assert torch.equal(second.train.images, third.train.images)
    (both.parent / "data" / "cache").rename(both.parent / "data" / "old")
    fresh = load(both)
    assert torch.equal(second.train.images, fresh.train.images)
    assert torch.equal(second.test.images, fresh.test.images)
    assert torch.equal(second.test.targets, fresh.test.targets)


@pytest.mark.parametrize(
    "content", [b"", b"text", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0\0\x10JFIF", b"II*\0" * 9]
)
def test_what_the_bytes_prove_is_kept(both: Path, decoded_files: list[int], content: bytes) -> None:
    (both / "train" / "cat" / "x.png").write_bytes(content)
    assert skipped(load(both)) == skipped(load(both))
    assert decoded_files == [18]


@pytest.mark.parametrize("change", ["replaced", "rewritten with its time set back", "hard link"])
def test_another_file_of_the_same_size_and_time_is_noticed(
    both: Path, picture: Callable[..., Path], change: str
) -> None:
    path, other = both / "train" / "cat" / "0.png", picture(both.parent / "other.png", 77)
    for file in (path, other):
        file.write_bytes(file.read_bytes().ljust(200, b"\0"))
    load(both)
    status, data = path.stat(), other.read_bytes()
    if change == "rewritten with its time set back":
        path.write_bytes(data)
    else:
        os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
        path.unlink()
        other.rename(path) if change == "replaced" else path.hardlink_to(other)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert 77 in load(both).train.images[:, 0, 0, 0].tolist()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("images", torch.zeros(17, 3, 31, 32, dtype=torch.uint8)),
        ("images", torch.zeros(17, 3, 32, 32)),
        ("images", "text"),
        ("files", torch.arange(1, 18)),
        ("files", torch.arange(17).flip(0)),
        ("files", torch.zeros(17, dtype=torch.int64)),
        ("files", torch.arange(16)),
        ("sizes", torch.zeros(17, dtype=torch.int32)),
        ("conversions", None),
        ("skipped", [[0, "twice"]]),
        ("skipped", [["a", 1]]),
        ("scales", [1]),
        ("scales", 5),
        ("scales", {"more than 8 bits": [1, 0.0]}),
        ("scales", {"more than 8 bits": ["1", 0.0, 255.0]}),
        ("scales", {"more than 8 bits": [1, 0.0, float("nan")]}),
    ],
)
def test_wrong_content_is_made_again(both: Path, decoded_files: list[int], field: str, value: object) -> None:
    first = load(both)
    (cache,) = (both.parent / "data" / "cache").iterdir()
    content = torch.load(cache, weights_only=True)
    torch.save(content | {field: value}, cache)
    for _ in range(2):
        assert torch.equal(load(both).train.images, first.train.images)
    assert decoded_files == [17, 17]


@pytest.mark.parametrize("obstacle", ["pipe", "folder", "link to itself"])
def test_what_is_no_file_in_the_place_of_the_cache_hangs_nothing(both: Path, obstacle: str) -> None:
    load(both)
    (cache,) = (both.parent / "data" / "cache").iterdir()
    cache.unlink()
    if obstacle == "pipe":
        os.mkfifo(cache)
    elif obstacle == "folder":
        cache.mkdir()
    else:
        cache.symlink_to(cache)
    assert len(load(both).train) == 12


def test_what_a_killed_load_left_is_removed(both: Path) -> None:
    load(both)
    (cache,) = (both.parent / "data" / "cache").iterdir()
    names = [f".{cache.name}.abc.tmp", ".folder-0123.pt.old.tmp", ".folder-0123.pt.new.tmp"]
    for name in names:
        (cache.parent / name).write_bytes(b"x")
    os.utime(cache.parent / names[1], (1, 1))
    load(both)  # another folder may be written just now
    assert sorted(path.name for path in cache.parent.iterdir()) == sorted([names[2], cache.name])
