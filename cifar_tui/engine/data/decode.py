"""Turns image files of any format, size and mode into 32x32 RGB pixels, several at once."""

import io
import logging
import os
import struct
import threading
import warnings
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from cifar_tui.engine.data.progress import Progress

SIDE = 32
"""Height and width of every image, in pixels."""

_FILES_PER_TASK = 64
_MAXIMUM_THREADS = 16
# Below this mean size (bytes, about 64x64 pixels) decoding is mostly Python, and threads only wait for each
# other: on two cores two of them took 1.5 times as long as one for 32x32 JPEGs, and 0.6 for 96x96 images.
_SMALL_MEAN = 4_096
_SMALL_FILE = 1 << 20  # bytes
_POLL = 0.1  # seconds between two looks at whether the user asked to stop
_MAXIMUM_PIXELS = 89_478_485  # Pillow's own limit, from which on it suspects a decompression bomb

# What Pillow's readers are known to raise on files that are damaged or only look like images.
_READ_ERRORS = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    MemoryError,
    RuntimeError,
    AssertionError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
    ImageCms.PyCMSError,
)

Pixels = npt.NDArray[np.uint8]

# Pillow logs some damage besides raising; without a handler these lines would go to stderr.
logging.getLogger("PIL").addHandler(logging.NullHandler())


class UnreadableImageError(Exception):
    """A file is no image, or a damaged one; the message is the reason."""


def thread_count(bytes_per_file: float) -> int:
    """How many threads pay for files of that mean size, on the cores this process may use."""
    if bytes_per_file < _SMALL_MEAN:
        return 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, _MAXIMUM_THREADS)


def decode_files(paths: Sequence[Path], *, threads: int, progress: Progress) -> tuple[Pixels, dict[int, str]]:
    """Decode `paths` in parallel.

    Args:
        paths: the files.
        threads: how many work at it; see `thread_count`.
        progress: counts the images.

    Returns:
        pixels: uint8, shape (N, 3, 32, 32), RGB; those of an unreadable file mean nothing.
        reasons: why a file could not be read, by its index.

    Raises:
        CancelledError: the user asked to stop.
    """
    pixels = np.zeros((len(paths), 3, SIDE, SIDE), dtype=np.uint8)
    reasons: dict[int, str] = {}
    done: list[int] = []  # indices; appending is atomic, counting up would not be
    stop = threading.Event()

    def decode_task(start: int) -> None:
        for index in range(start, min(start + _FILES_PER_TASK, len(paths))):
            if stop.is_set():
                break
            try:
                pixels[index] = decode_image(paths[index]).transpose(2, 0, 1)
            except UnreadableImageError as error:
                reasons[index] = str(error)
            done.append(index)

    Image.init()  # registers the readers once, before several threads would do it at the same time
    with warnings.catch_warnings(), ThreadPoolExecutor(threads, thread_name_prefix="decode") as executor:
        # Pillow warns about odd metadata and big images; a line on stderr would land on the dashboard.
        warnings.simplefilter("ignore")
        futures = [executor.submit(decode_task, start) for start in range(0, len(paths), _FILES_PER_TASK)]
        try:
            for future in futures:
                while not future.done():
                    wait([future], timeout=_POLL)
                    progress.update(len(done))
                future.result()
            progress.update(len(done))
        finally:
            stop.set()
    return pixels, reasons


def decode_image(path: Path) -> Pixels:
    """The pixels of the image in `path`: uint8, shape (32, 32, 3), RGB.

    The first frame, turned upright as its EXIF data say, on white where it is transparent, resized so that
    its shorter side is 32 and cropped around the centre. A 32x32 RGB image keeps its pixels.

    Raises:
        UnreadableImageError: this is no image, or a damaged one, or suspiciously large.
    """
    try:
        with _open(path) as image:
            if image.width * image.height > _MAXIMUM_PIXELS:
                raise UnreadableImageError(f"has {image.width} x {image.height} pixels, which is too many")
            image.draft(None, (2 * SIDE, 2 * SIDE))  # JPEG: decode no more than resizing needs
            return np.asarray(_fitted(_rgb(ImageOps.exif_transpose(image))))
    except UnidentifiedImageError:
        raise UnreadableImageError("no image") from None
    except Image.DecompressionBombError:
        raise UnreadableImageError("has too many pixels") from None
    except _READ_ERRORS as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise UnreadableImageError(reason.splitlines()[0]) from None


def _open(path: Path) -> Image.Image:
    # Read in one go, a small file takes a third less time, and gives up the interpreter less often.
    if path.stat().st_size <= _SMALL_FILE:
        return Image.open(io.BytesIO(path.read_bytes()))
    return Image.open(path)


def _fitted(image: Image.Image) -> Image.Image:
    """The centre square, resized to 32x32."""
    if image.size == (SIDE, SIDE):
        return image
    side = min(image.size)
    left, top = (image.width - side) / 2, (image.height - side) / 2
    return image.resize((SIDE, SIDE), Image.Resampling.LANCZOS, box=(left, top, left + side, top + side))


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.has_transparency_data:
        picture = image.convert("RGBA")
        # Pictures with transparency are mostly made for a white page.
        return Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")
    if image.mode.startswith("I"):
        # 16 bits, at times in a wider box; Pillow would cut off everything above 255.
        values = np.clip(np.asarray(image), 0, 65_535).astype(np.int32) >> 8
        return Image.fromarray(values.astype(np.uint8)).convert("RGB")
    if image.mode == "F":
        return _stretched(np.asarray(image)).convert("RGB")
    return image.convert("RGB")


def _stretched(values: npt.NDArray[np.float32]) -> Image.Image:
    """Floating-point brightness has no agreed range: the darkest becomes 0, the brightest 255."""
    values = np.where(np.isfinite(values), values, 0).astype(np.float64)
    low, high = values.min(), values.max()
    return Image.fromarray(np.round((values - low) * (255 / (high - low or 1))).astype(np.uint8))
