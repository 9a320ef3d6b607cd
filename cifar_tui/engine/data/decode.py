"""Decode image files of any format, size and mode to 32x32 RGB pixels, in parallel."""

import io
import logging
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

from cifar_tui.engine.data.registry import Progress
from cifar_tui.engine.device.select import available_threads

SIDE = 32
"""Height and width of every image, in pixels."""

_FILES_PER_TASK = 64
_MAXIMUM_THREADS = 16
# Below this mean size (about 64x64 pixels) decoding is mostly Python, and threads contend for the GIL: on two
# cores, two threads took 1.5 times as long as one for 32x32 JPEGs, and 0.6 times for 96x96 images.
_SMALL_MEAN_BYTES = 4_096
_SMALL_FILE_BYTES = 1 << 20
_POLL_SECONDS = 0.1
_MAXIMUM_PIXELS = 89_478_485  # Pillow's own limit against decompression bombs

# What Pillow's readers raise on damaged files and on files that only look like images.
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

# Pillow logs some damage; without a handler these lines would go to stderr, onto the dashboard.
logging.getLogger("PIL").addHandler(logging.NullHandler())


class UnreadableImageError(Exception):
    """A file is not an image, or is damaged; the message is the reason."""


def thread_count(bytes_per_file: float) -> int:
    """Return how many threads to decode files of that mean size with."""
    if bytes_per_file < _SMALL_MEAN_BYTES:
        return 1
    return min(available_threads(), _MAXIMUM_THREADS)


def decode_files(paths: Sequence[Path], *, threads: int, progress: Progress) -> tuple[Pixels, dict[int, str]]:
    """Decode `paths` in parallel.

    Args:
        paths: the files.
        threads: number of threads; see `thread_count`.
        progress: its stage counts images.

    Returns:
        pixels: uint8, shape (N, 3, 32, 32), RGB; arbitrary for unreadable files.
        reasons: why a file could not be read, by index.

    Raises:
        CancelledError: the user requested a stop.
    """
    pixels = np.zeros((len(paths), 3, SIDE, SIDE), dtype=np.uint8)
    reasons: dict[int, str] = {}
    done: list[int] = []  # indices; appending is atomic, incrementing is not
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

    Image.init()  # registers the readers, which is not thread-safe
    with warnings.catch_warnings(), ThreadPoolExecutor(threads, thread_name_prefix="decode") as executor:
        # Pillow warns about odd metadata and large images; on stderr that would garble the dashboard.
        warnings.simplefilter("ignore")
        futures = [executor.submit(decode_task, start) for start in range(0, len(paths), _FILES_PER_TASK)]
        try:
            for future in futures:
                while not future.done():
                    wait([future], timeout=_POLL_SECONDS)
                    progress.update(len(done))
                future.result()
            progress.update(len(done))
        finally:
            stop.set()
    return pixels, reasons


def decode_image(path: Path) -> Pixels:
    """Decode the image in `path` to uint8 pixels of shape (32, 32, 3), RGB.

    Takes the first frame, applies its EXIF orientation, puts it on white if it is transparent, resizes its
    shorter side to 32 and crops the centre. A 32x32 RGB image keeps its pixels.

    Raises:
        UnreadableImageError: the file is not an image, is damaged or is suspiciously large.
    """
    try:
        with _open(path) as image:
            if image.width * image.height > _MAXIMUM_PIXELS:
                raise UnreadableImageError(f"too many pixels ({image.width} x {image.height})")
            image.draft(None, (2 * SIDE, 2 * SIDE))  # JPEG: decode at a lower resolution
            return np.asarray(_fit(_to_rgb(ImageOps.exif_transpose(image))))
    except UnidentifiedImageError:
        raise UnreadableImageError("not an image") from None
    except Image.DecompressionBombError:
        raise UnreadableImageError("too many pixels") from None
    except _READ_ERRORS as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise UnreadableImageError(reason.splitlines()[0]) from None


def _open(path: Path) -> Image.Image:
    # Reading a small file at once takes a third less time and releases the GIL less often.
    if path.stat().st_size <= _SMALL_FILE_BYTES:
        return Image.open(io.BytesIO(path.read_bytes()))
    return Image.open(path)


def _fit(image: Image.Image) -> Image.Image:
    """Resize the centre square to 32x32."""
    if image.size == (SIDE, SIDE):
        return image
    side = min(image.size)
    left, top = (image.width - side) / 2, (image.height - side) / 2
    return image.resize((SIDE, SIDE), Image.Resampling.LANCZOS, box=(left, top, left + side, top + side))


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.has_transparency_data:
        picture = image.convert("RGBA")
        # Most images with transparency are made for a white page.
        return Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")
    if image.mode.startswith("I"):
        # 16 bits, sometimes in a wider type; Pillow would clip everything above 255.
        values = np.clip(np.asarray(image), 0, 65_535).astype(np.int32) >> 8
        return Image.fromarray(values.astype(np.uint8)).convert("RGB")
    if image.mode == "F":
        return _normalize_range(np.asarray(image)).convert("RGB")
    return image.convert("RGB")


def _normalize_range(values: npt.NDArray[np.float32]) -> Image.Image:
    """Map the darkest pixel to 0 and the brightest to 255: floating-point images have no agreed range."""
    values = np.where(np.isfinite(values), values, 0).astype(np.float64)
    low, high = values.min(), values.max()
    return Image.fromarray(np.round((values - low) * (255 / (high - low or 1))).astype(np.uint8))
