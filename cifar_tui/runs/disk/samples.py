"""The test images of a run, their files, and the predictions of its last evaluation, for others to read."""

import errno
import io
import json
import math
import os
import shutil
import time
import tokenize
import weakref
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cifar_tui.engine.atomic import (
    disk_errors_explained,
    link_atomically,
    write_atomically,
    write_text_atomically,
)
from cifar_tui.engine.disk.regular import is_regular, open_regular, read_regular
from cifar_tui.engine.events import SAMPLE_IMAGES
from cifar_tui.engine.layout import PREDICTIONS_FILE, SAMPLES_FILE, TEST_FILES_FILE
from cifar_tui.runs.results import ImagePredictions

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from cifar_tui.engine.data.dataset import ImageSplit

_CHANNELS = 3
_LEAST_SIDE, _MOST_SIDE = 8, 64
"""Height and width of the stored pictures, in pixels; of larger images their thumbnails are stored."""
_AHEAD_IMAGES, _MOST_AHEAD_BYTES = 64, 60 << 20
"""Images that are read ahead at once, and bytes at most."""
_DISK_SHARE = 0.1
"""The test images may take up to this share of the free disk space; of more, only the first are kept."""
_WRITTEN_IMAGES = 256
"""Images that are in memory at a time while they are written."""
_MOST_PREDICTION_BYTES = 1 << 29
"""Unpacked: of 14 million test images."""
_PREDICTION_NAMES = ("step", "targets", "losses", "top_classes", "top_confidences")
_MOST_NAME_BYTES = 1 << 28

_READ_ERRORS = (
    OSError,
    ValueError,
    TypeError,
    KeyError,
    EOFError,
    MemoryError,
    OverflowError,
    RuntimeError,
    SyntaxError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What numpy and zipfile raise on damaged files."""


class StoredImages:
    """The images in a file, each read when it is indexed, or ahead.

    They are not mapped: a mapped file that shrinks would kill the process.

    Args:
        descriptor: of the file; it is duplicated.
        start: where the first image starts, in bytes.
        count: number of images.
        side: height and width of the images.

    Attributes:
        side: the same.
    """

    def __init__(self, descriptor: int, *, start: int, count: int, side: int) -> None:
        self._descriptor = os.dup(descriptor)
        weakref.finalize(self, os.close, self._descriptor)
        self._start = start
        self._count = count
        self.side = side
        self._bytes = _CHANNELS * side * side
        self._ahead: list[bytes] = []

    def __len__(self) -> int:
        return self._count

    def read_ahead(self, seconds: float) -> None:
        """Read more of the first images into memory, for about `seconds`; one thread at a time may."""
        end = time.monotonic() + seconds
        while len(self._ahead) * _AHEAD_IMAGES < min(self._count, _MOST_AHEAD_BYTES // self._bytes):
            first = len(self._ahead) * _AHEAD_IMAGES
            try:
                self._ahead.append(self.read(first, min(_AHEAD_IMAGES, self._count - first)))
            except OSError:  # who shows one of them is told
                return
            if time.monotonic() >= end:
                return

    def starts_like(self, other: "StoredImages") -> bool:
        """Check whether the images that both have are the same.

        Raises:
            OSError: some cannot be read.
        """
        if self.place == other.place:
            return True
        if self.side != other.side:
            return False
        count = min(len(self), len(other))
        parts = ((first, min(_AHEAD_IMAGES, count - first)) for first in range(0, count, _AHEAD_IMAGES))
        return all(self.read(*part) == other.read(*part) for part in parts)

    def __getitem__(self, index: int) -> "NDArray[np.uint8]":
        """Read an image, uint8 (S, S, 3).

        Raises:
            IndexError: there is none of this number.
            OSError: it cannot be read, or the file has become shorter.
        """
        import numpy as np

        if not 0 <= index < self._count:
            raise IndexError(index)
        part, place = divmod(index, _AHEAD_IMAGES)
        if part < len(self._ahead):
            pixels = self._ahead[part][place * self._bytes : (place + 1) * self._bytes]
        else:
            pixels = self.read(index, 1)
        return np.frombuffer(pixels, np.uint8).reshape(_CHANNELS, self.side, self.side).transpose(1, 2, 0)

    @property
    def place(self) -> tuple[int, int, int]:
        """Equal of two that read the same images from the same file."""
        found = os.fstat(self._descriptor)
        return found.st_dev, found.st_ino, self._start

    def read(self, first: int, count: int) -> bytes:
        """Read `count` images from number `first` on, each (3, S, S); OSError if they are not there."""
        size = count * self._bytes
        pixels = os.pread(self._descriptor, size, self._start + first * self._bytes)
        if len(pixels) < size:
            raise OSError(errno.EIO, "the file of the test images has become shorter")
        return pixels


def write_samples(folder: Path, test: "ImageSplit") -> None:
    """Write the test images, or their thumbnails, and their targets into the run's `folder`.

    Runs with the same test images share one file by a hard link. If the disk is nearly full, only the first
    `SAMPLE_IMAGES` are written.

    Raises:
        RunFailedError: the file cannot be written.
    """
    path, content = folder / SAMPLES_FILE, _Content(test)
    if _has_content(path, content) or _link_to_same(path, content):
        return
    with disk_errors_explained(f"write '{path}'"):
        if content.size > _DISK_SHARE * shutil.disk_usage(folder).free:
            content = _Content(test.select(slice(SAMPLE_IMAGES)))
        write_atomically(path, content.parts())


def read_samples(folder: Path, *, classes: int) -> "tuple[StoredImages, NDArray[np.int64]] | None":
    """Find the N images and read the targets, int64 (N,).

    Returns None if the file is missing or damaged, or has a target beyond `classes`.
    """
    import numpy as np

    try:
        with os.fdopen(open_regular(folder / SAMPLES_FILE), "rb") as file:
            targets = np.lib.format.read_array(file, allow_pickle=False)
            if not _are_classes(targets, classes):
                return None
            pixels = os.fstat(file.fileno()).st_size - file.tell()
            side = math.isqrt(max(0, pixels) // (_CHANNELS * len(targets)))
            if pixels != len(targets) * _CHANNELS * side**2 or not _LEAST_SIDE <= side <= _MOST_SIDE:
                return None
            images = StoredImages(file.fileno(), start=file.tell(), count=len(targets), side=side)
    except _READ_ERRORS:
        return None
    return images, targets.astype(np.int64, copy=False)


def write_predictions(folder: Path, predictions: ImagePredictions) -> None:
    """Write what an evaluation predicted for the test images, about 360 KB for 10,000.

    Not fsynced, for training waits: after a power failure a damaged file is read as none.

    Raises:
        OSError: the file cannot be written.
    """
    import numpy as np

    buffer = io.BytesIO()
    np.savez(
        buffer,
        step=np.int64(predictions.step or 0),
        targets=np.asarray(predictions.targets, np.int16),
        losses=np.asarray(predictions.losses, np.float32),
        top_classes=np.asarray(predictions.top_classes, np.int16),
        top_confidences=np.asarray(predictions.top_confidences, np.float32),
    )
    write_atomically(folder / PREDICTIONS_FILE, buffer.getvalue(), durable=False)


def read_predictions(folder: Path, *, classes: int) -> ImagePredictions | None:
    """Read what the last evaluation predicted.

    Returns None if the file is missing or damaged, or has a class beyond `classes`.
    """
    import numpy as np

    try:
        with os.fdopen(open_regular(folder / PREDICTIONS_FILE), "rb") as file:
            with zipfile.ZipFile(file) as archive:
                entries = archive.infolist()
                if sum(entry.file_size for entry in entries) > _MOST_PREDICTION_BYTES:
                    return None
                if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):  # not ours
                    return None
            file.seek(0)
            with np.load(file, allow_pickle=False) as content:
                step, targets, losses, top_classes, top_confidences = (
                    content[name] for name in _PREDICTION_NAMES
                )
    except _READ_ERRORS:
        return None
    if step.shape or step.dtype.kind != "i" or step < 0:
        return None
    if top_classes.ndim != 2 or top_confidences.shape != top_classes.shape or not top_classes.shape[1]:
        return None
    if not (_are_classes(targets, classes) and _are_classes(top_classes.ravel(), classes)):
        return None
    if not targets.shape == losses.shape == top_classes.shape[:1]:
        return None
    if not _are_between(losses, 0, np.inf) or not _are_between(top_confidences, 0, 1):
        return None
    return ImagePredictions(
        step=int(step) or None,
        targets=targets,
        losses=losses,
        top_classes=top_classes,
        top_confidences=top_confidences,
    )


def write_test_files(folder: Path, root: Path | None, files: Sequence[str]) -> None:
    """Write where the test images are: their paths below `root`; without a root, remove what is there.

    Raises:
        RunFailedError: the file cannot be written.
    """
    path = folder / TEST_FILES_FILE
    with disk_errors_explained(f"write '{path}'"):
        if root is None:
            path.unlink(missing_ok=True)
        else:
            write_text_atomically(path, json.dumps({"root": str(root), "files": list(files)}))


def read_test_files(folder: Path, *, count: int) -> tuple[Path | None, tuple[str, ...]]:
    """Read the folder of the test images and of each its path below; (None, ()) if `count` are not known."""
    try:
        content = json.loads(read_regular(folder / TEST_FILES_FILE, limit=_MOST_NAME_BYTES))
        root, files = content["root"], tuple(content["files"])
    except (*_READ_ERRORS, RecursionError):
        return None, ()
    if not isinstance(root, str) or len(files) != count or not all(isinstance(file, str) for file in files):
        return None, ()
    return Path(root), files


def _are_classes(array: "NDArray[np.generic]", classes: int) -> bool:
    if array.ndim != 1 or array.dtype.kind != "i" or not len(array):
        return False
    return bool(array.min() >= 0 and array.max() < classes)


def _are_between(array: "NDArray[np.floating]", low: float, high: float) -> bool:
    """Check for floats from `low` to `high`; NaN, of weights that are not finite, is between no numbers."""
    return array.dtype.kind == "f" and bool(((array >= low) & (array <= high)).all())


class _Content:
    """The file: the targets as `.npy`, then the pixels of each image as in memory, (3, S, S).

    Attributes:
        size: in bytes.
    """

    def __init__(self, test: "ImageSplit") -> None:
        import numpy as np

        buffer = io.BytesIO()
        np.lib.format.write_array(buffer, test.targets.numpy(), allow_pickle=False)
        self._test = test
        self._targets = buffer.getvalue()
        self.size = len(self._targets) + len(test) * test.thumbnails(slice(1))[0].nbytes

    def parts(self) -> Iterator[bytes]:
        """Yield the parts of the file, one after the other."""
        yield self._targets
        for first in range(0, len(self._test), _WRITTEN_IMAGES):
            yield self._test.thumbnails(slice(first, first + _WRITTEN_IMAGES)).numpy().tobytes()


def _link_to_same(path: Path, content: _Content) -> bool:
    """Link `path` to the file of another run with the same content; false if there is none."""
    compared: set[int] = set()
    for other in sorted(path.parent.parent.glob(f"*/{SAMPLES_FILE}"), reverse=True):
        try:
            inode = other.lstat().st_ino
            if inode not in compared and is_regular(other) and _has_content(other, content):
                link_atomically(other, path)
                return True
        except FileNotFoundError:  # deleted meanwhile
            continue
        except OSError:  # the file system has no hard links
            return False
        compared.add(inode)
    return False


def _has_content(path: Path, content: _Content) -> bool:
    try:
        with os.fdopen(open_regular(path), "rb") as file:
            return os.fstat(file.fileno()).st_size == content.size and all(
                file.read(len(part)) == part for part in content.parts()
            )
    except OSError:
        return False
