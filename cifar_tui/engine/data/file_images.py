"""Images in a file, which need not fit into memory, with what is known of each."""

import contextlib
import fcntl
import functools
import hashlib
import os
import shutil
import weakref
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from cifar_tui.engine.disk.regular import open_regular
from cifar_tui.engine.errors import DataUnavailableError

FACTS = np.dtype(
    [("digest", np.uint64), ("checksum", np.uint32), ("sums", np.int64, (3,)), ("squares", np.int64, (3,))]
)
"""What is kept of each image, so that no start has to read them all: a hash of its pixels and their CRC-32;
of each channel the sum of its pixels and that of their squares."""

THUMBNAIL = 64
"""Height and width of the pictures on a screen, in pixels: half blocks hardly have room for more."""

_DIGEST_BYTES = 8
_LOADED_IMAGES = 256
_CHANNELS = 3
_MIB = 2**20
_NEW_FILE = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC

Facts = npt.NDArray[np.void]
Pixels = npt.NDArray[np.uint8]


class PixelFile:
    """A file with room for images of `size` x `size` pixels; each is written once, then read.

    Beside an image that is larger than a thumbnail is its thumbnail: whoever shows images reads little. The
    file is read by position and not mapped: pages of a mapped file count as memory of the process, and one
    that shrinks would kill it.

    Args:
        descriptor: of the file; it is taken over.
        path: where it is, for messages.
        size: height and width of the images.
        facts: of each image.
    """

    def __init__(self, descriptor: int, path: Path, *, size: int, facts: Facts) -> None:
        self.path = path
        self.size = size
        self.facts = facts
        self._descriptor = descriptor
        self._record = record_bytes(size)
        weakref.finalize(self, os.close, descriptor)

    @classmethod
    def create(cls, path: Path, *, count: int, size: int) -> Self:
        """Create the file at `path`; other processes that find it see by its lock that it is in use.

        Raises:
            DataUnavailableError: it cannot be written, or the disk has not enough space.
        """
        needed = count * record_bytes(size)
        with _writing_explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            free = shutil.disk_usage(path.parent).free
            if needed > free:
                raise DataUnavailableError(
                    f"{count:,} images of {size}×{size} pixels need {needed / _MIB:,.0f} MiB, "
                    f"'{path.parent}' has {free / _MIB:,.0f} MiB free: free disk space, set data_dir to a "
                    "folder with more, or lower image_size"
                )
            descriptor = os.open(path, _NEW_FILE, 0o666)
        with contextlib.suppress(OSError):  # of a network disk without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return cls(descriptor, path, size=size, facts=np.zeros(count, FACTS))

    @classmethod
    def open(cls, path: Path, *, size: int, facts: Facts) -> Self:
        """Open the file that was kept at `path`.

        Raises:
            OSError: it cannot be read.
            ValueError: it has not the size that it must have.
        """
        descriptor = open_regular(path)
        file = cls(descriptor, path, size=size, facts=facts)
        if os.fstat(descriptor).st_size != len(facts) * record_bytes(size):
            raise ValueError(f"'{path}' has another size")
        return file

    @classmethod
    def temporary(cls, folder: Path, *, count: int, size: int) -> Self:
        """Create a file in `folder` that has no name any more, so nothing is left of it after the process.

        Raises:
            DataUnavailableError: see `create`.
        """
        file = cls.create(folder / f".folder-{os.urandom(8).hex()}.tmp", count=count, size=size)
        file.discard()
        return file

    def __setitem__(self, index: int, pixels: Pixels) -> None:
        """Write an image, shape (3, S, S); several threads may, each another one.

        Raises:
            DataUnavailableError: it cannot be written.
        """
        pixels = np.ascontiguousarray(pixels)
        content, fact = pixels.data.cast("B"), self.facts[index]
        fact["digest"] = int.from_bytes(
            hashlib.blake2b(content, digest_size=_DIGEST_BYTES).digest(), "little"
        )
        fact["checksum"] = zlib.crc32(content)
        shades = pixels.reshape(_CHANNELS, -1)
        fact["sums"] = shades.sum(axis=1, dtype=np.int64)
        fact["squares"] = np.square(shades, dtype=np.uint32).sum(axis=1, dtype=np.int64)
        if self.size > THUMBNAIL:
            content = memoryview(bytes(content) + _thumbnail(pixels).tobytes())
        offset = index * self._record
        with _writing_explained(self.path):
            while content:
                written = os.pwrite(self._writer, content, offset)
                content, offset = content[written:], offset + written

    def discard(self) -> None:
        """Remove the name of the file: nothing is left of it once nobody uses it."""
        with contextlib.suppress(OSError):
            self.path.unlink()

    def keep(self, path: Path) -> None:
        """Put the file, whole, in the place of what is at `path`.

        Raises:
            OSError: it cannot be renamed, or not all of it could be written.
        """
        os.truncate(self._descriptor, len(self.facts) * self._record)
        self.sync()
        self.path = self.path.replace(path)

    def sync(self) -> None:
        """Wait until the disk has what was written; OSError if it has not."""
        os.fsync(self._writer)

    def read(self, rows: npt.NDArray[np.int64]) -> Tensor:
        """Read the images numbered `rows`: uint8 (B, 3, S, S).

        Raises:
            DataUnavailableError: one cannot be read, or is not what was written.
        """
        images = self._read(rows, self.size, start=0)
        content, size = images.view(-1).numpy().data, record_bytes(self.size, thumbnail=False)
        for place, row in enumerate(rows.tolist()):
            if zlib.crc32(content[place * size : (place + 1) * size]) != self.facts["checksum"][row]:
                raise self._unreadable("it is damaged")
        return images

    def read_thumbnails(self, rows: npt.NDArray[np.int64]) -> Tensor:
        """Read the images numbered `rows` as they are shown: uint8 (B, 3, T, T), T at most `THUMBNAIL`.

        Raises:
            DataUnavailableError: one cannot be read.
        """
        if self.size <= THUMBNAIL:
            return self.read(rows)
        return self._read(rows, THUMBNAIL, start=record_bytes(self.size, thumbnail=False))

    def _read(self, rows: npt.NDArray[np.int64], size: int, *, start: int) -> Tensor:
        """Read what begins at the byte `start` of each record, as images of `size` x `size` pixels."""
        images = torch.empty((len(rows), _CHANNELS, size, size), dtype=torch.uint8)
        count = record_bytes(size, thumbnail=False)
        content = images.view(-1).numpy().data
        for place, row in enumerate(rows.tolist()):
            image = content[place * count : (place + 1) * count]
            try:
                read = os.preadv(self._descriptor, [image], row * self._record + start)
            except OSError as error:
                raise self._unreadable(str(error.strerror)) from None
            if read < count:
                raise self._unreadable("it has become shorter")
        return images

    @functools.cached_property
    def _writer(self) -> int:
        """A descriptor to write to; a file that was opened is mostly only read."""
        if fcntl.fcntl(self._descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDWR:
            return self._descriptor
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CLOEXEC)
        weakref.finalize(self, os.close, descriptor)
        return descriptor

    def _unreadable(self, reason: str) -> DataUnavailableError:
        return DataUnavailableError(
            f"cannot read the decoded images in '{self.path}' ({reason}): remove it, and start again to "
            "decode them again"
        )


class FileImages:
    """Some images of a `PixelFile`, in an order of their own; shaped like a tensor, (N, 3, S, S).

    Attributes:
        file: has the images.
        rows: int64 (N,), their numbers in the file.
    """

    def __init__(self, file: PixelFile, rows: npt.NDArray[np.int64]) -> None:
        self.file = file
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Number, channels, height and width of the images."""
        return len(self), _CHANNELS, self.file.size, self.file.size

    @property
    def nbytes(self) -> int:
        """How many bytes their pixels are."""
        return len(self) * _CHANNELS * self.file.size**2

    @property
    def facts(self) -> Facts:
        """What is known of the images, of the type `FACTS`."""
        return self.file.facts[self.rows]

    @property
    def digests(self) -> npt.NDArray[np.uint64]:
        """A hash of each image; equal of two that are equal, pixel for pixel."""
        return np.ascontiguousarray(self.facts["digest"])

    def take(self, which: Tensor | slice) -> Tensor:
        """Read the images at `which`, uint8 (B, 3, S, S), on the CPU.

        Raises:
            DataUnavailableError: see `PixelFile.read`.
        """
        return self.file.read(self.rows[_numpy(which)])

    def load(self, device: torch.device) -> Tensor:
        """Read all images into the memory of `device`, a few at a time.

        Raises:
            DataUnavailableError: see `PixelFile.read`.
        """
        images = torch.empty(self.shape, dtype=torch.uint8, device=device)
        for first in range(0, len(self), _LOADED_IMAGES):
            part = slice(first, first + _LOADED_IMAGES)
            images[part] = self.take(part).to(device)
        return images

    def thumbnails(self, which: Tensor | slice) -> Tensor:
        """Read the images at `which` as they are shown, uint8 (B, 3, T, T), T at most `THUMBNAIL`.

        Raises:
            DataUnavailableError: see `PixelFile.read_thumbnails`.
        """
        return self.file.read_thumbnails(self.rows[_numpy(which)])

    def select(self, which: Tensor | slice) -> "FileImages":
        """Return the images at `which`, of which none is read."""
        return FileImages(self.file, self.rows[_numpy(which)])


Images = Tensor | FileImages
"""Images, uint8 (N, 3, S, S), in memory or in a file."""


def select(images: Images, which: Tensor | slice) -> Images:
    """Return the images at `which`; those in a file stay there."""
    return images[which] if isinstance(images, Tensor) else images.select(which)


def joined(parts: Sequence[Images]) -> Images:
    """Return the images of all `parts`, which are in memory, or in one file."""
    in_file = [part for part in parts if isinstance(part, FileImages)]
    if not in_file:
        return torch.cat([part for part in parts if isinstance(part, Tensor)])
    return FileImages(in_file[0].file, np.concatenate([part.rows for part in in_file]))


def remove_unlocked(path: Path) -> None:
    """Remove the file at `path`, which a process may be writing.

    Raises:
        BlockingIOError: one is.
        OSError: it cannot be removed.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        path.unlink(missing_ok=True)
    finally:
        os.close(descriptor)


def record_bytes(size: int, *, thumbnail: bool = True) -> int:
    """How many bytes an image takes in a file, with or without its thumbnail."""
    sizes = (size, THUMBNAIL) if thumbnail and size > THUMBNAIL else (size,)
    return sum(_CHANNELS * side * side for side in sizes)


def _thumbnail(pixels: Pixels) -> Pixels:
    """Shrink an image, shape (3, S, S), to the size of a thumbnail."""
    image = Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0)))
    small = image.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS, reducing_gap=2.0)
    return np.asarray(small).transpose(2, 0, 1)


def _numpy(which: Tensor | slice) -> npt.NDArray[np.int64] | slice:
    return which.cpu().numpy() if isinstance(which, Tensor) else which


@contextlib.contextmanager
def _writing_explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DataUnavailableError(
            f"cannot write the decoded images to '{path.parent}' ({error.strerror}): free disk space, or set "
            "data_dir to a folder that can be written"
        ) from None
