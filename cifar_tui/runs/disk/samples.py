"""The test images of a run and the predictions of its last evaluation, for those who attach to it."""

import io
import os
import shutil
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from cifar_tui.engine.atomic import disk_errors_explained, link_atomically, write_atomically
from cifar_tui.engine.events import SAMPLE_IMAGES
from cifar_tui.engine.layout import PREDICTIONS_FILE, SAMPLES_FILE
from cifar_tui.runs.source import Predictions

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from cifar_tui.engine.data.dataset import ImageSplit

_IMAGE_SHAPE = (3, 32, 32)
_DISK_SHARE = 0.1
"""The test images may take up to this share of the free disk space; of more, only the first are kept."""
_CHUNK_BYTES = 1 << 20

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


def write_samples(folder: Path, test: "ImageSplit") -> None:
    """Write the test images and their targets into the run's `folder`.

    Runs with the same test images share one file by a hard link. If the disk is nearly full, only the first
    `SAMPLE_IMAGES` are written.

    Raises:
        RunFailedError: the file cannot be written.
    """
    path, content = folder / SAMPLES_FILE, _content(test, len(test))
    if _has_content(path, content) or _link_to_same(path, content):
        return
    with disk_errors_explained(f"write '{path}'"):
        if sum(map(len, content)) > _DISK_SHARE * shutil.disk_usage(folder).free:
            content = _content(test, SAMPLE_IMAGES)
        write_atomically(path, b"".join(content))


def read_samples(folder: Path, *, classes: int) -> "tuple[NDArray[np.uint8], NDArray[np.int64]] | None":
    """Map the images, uint8 (N, 32, 32, 3), into memory and read the targets, int64 (N,).

    Returns None if the file is missing or damaged, or has a target beyond `classes`.
    """
    import numpy as np

    try:
        with (folder / SAMPLES_FILE).open("rb") as file:
            targets = np.lib.format.read_array(file, allow_pickle=False)
            if not _are_classes(targets, classes):
                return None
            shape = (len(targets), *_IMAGE_SHAPE)
            images = np.memmap(file, np.uint8, "r", offset=file.tell(), shape=shape)
    except _READ_ERRORS:
        return None
    return images.transpose(0, 2, 3, 1), targets.astype(np.int64, copy=False)


def write_predictions(folder: Path, predictions: Predictions) -> None:
    """Write what an evaluation predicted for the test images, about 60 KB for 10,000.

    Not fsynced, for training waits: after a power failure a damaged file is read as none.

    Raises:
        OSError: the file cannot be written.
    """
    import numpy as np

    buffer = io.BytesIO()
    np.savez(
        buffer,
        step=np.int64(predictions.step or 0),
        predicted=np.asarray(predictions.predicted, np.int16),
        confidences=np.asarray(predictions.confidences, np.float32),
    )
    write_atomically(folder / PREDICTIONS_FILE, buffer.getvalue(), durable=False)


def read_predictions(folder: Path, *, classes: int) -> Predictions | None:
    """Read what the last evaluation predicted.

    Returns None if the file is missing or damaged, or has a class beyond `classes`.
    """
    import numpy as np

    try:
        with np.load(folder / PREDICTIONS_FILE, allow_pickle=False) as content:
            step, predicted, confidences = (content[name] for name in ("step", "predicted", "confidences"))
    except _READ_ERRORS:
        return None
    if step.shape or not _are_classes(predicted, classes) or confidences.shape != predicted.shape:
        return None
    return Predictions(step=int(step) or None, predicted=predicted, confidences=confidences)


def _are_classes(array: "NDArray[np.generic]", classes: int) -> bool:
    if array.ndim != 1 or array.dtype.kind != "i" or not len(array):
        return False
    return bool(array.min() >= 0 and array.max() < classes)


def _content(test: "ImageSplit", count: int) -> tuple[bytes, memoryview]:
    """Build the file: the targets as `.npy`, then the pixels as they are in memory, (N, 3, 32, 32)."""
    import numpy as np

    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, test.targets[:count].numpy(), allow_pickle=False)
    return buffer.getvalue(), test.images[:count].contiguous().view(-1).numpy().data


def _link_to_same(path: Path, content: tuple[bytes, memoryview]) -> bool:
    """Link `path` to the file of another run with the same content; false if there is none."""
    compared: set[int] = set()
    for other in sorted(path.parent.parent.glob(f"*/{SAMPLES_FILE}"), reverse=True):
        try:
            inode = other.stat().st_ino
            if inode not in compared and _has_content(other, content):
                link_atomically(other, path)
                return True
        except FileNotFoundError:  # deleted meanwhile
            continue
        except OSError:  # the file system has no hard links
            return False
        compared.add(inode)
    return False


def _has_content(path: Path, content: tuple[bytes, memoryview]) -> bool:
    try:
        with path.open("rb") as file:
            return os.fstat(file.fileno()).st_size == sum(map(len, content)) and all(
                file.read(len(chunk)) == chunk for part in content for chunk in _chunks(part)
            )
    except OSError:
        return False


def _chunks(part: bytes | memoryview) -> Iterator[bytes]:
    return (bytes(part[start : start + _CHUNK_BYTES]) for start in range(0, len(part), _CHUNK_BYTES))
