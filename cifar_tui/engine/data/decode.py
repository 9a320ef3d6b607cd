"""Decode image files of any format, size and mode to 32x32 RGB pixels, in parallel."""

import functools
import importlib
import io
import logging
import struct
import threading
import warnings
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms, ImageFile, UnidentifiedImageError, features

from cifar_tui.engine.data.convert import (
    ORIENTATIONS,
    SIDE,
    Conversion,
    DeepImage,
    Pixels,
    deep_colour,
    deep_grey,
    fit,
    has_more_frames,
    is_deep_colour,
    is_deep_grey,
    raw_mode,
    shared_scale,
    to_pixels,
    to_rgb,
    turn,
)
from cifar_tui.engine.data.foreign import AVIF, HEAD_BYTES, HEIC, describe_foreign
from cifar_tui.engine.data.registry import Progress
from cifar_tui.engine.data.scales import DEEP, FLOATING, Scales
from cifar_tui.engine.device.select import available_threads

INSTALL = {HEIC: "pip install 'cifar-tui[heif]'", AVIF: "pip install --upgrade pillow"}
"""How to make the formats readable that not every installation reads."""

# Named, so that no file is handed to a reader that starts a program (EPS), opens what it finds inside with
# any reader (IPTC), only names its format (BUFR, GRIB, HDF5, MPEG), or takes nearly anything for its own
# (IMT, SPIDER). The common ones come first; TGA, which has no magic number, last.
_FORMATS = (
    *("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "PPM", "AVIF", "JPEG2000"),
    *(
        "ICO",
        "ICNS",
        "CUR",
        "DIB",
        "DDS",
        "DCX",
        "PCX",
        "PSD",
        "QOI",
        "SGI",
        "SUN",
        "XBM",
        "XPM",
        "MSP",
        "FITS",
    ),
    *("BLP", "FTEX", "PIXAR", "IM", "TGA"),
)

_FILES_PER_TASK = 64
_MAXIMUM_THREADS = 16
# Below this mean size (about 64x64 pixels) decoding is mostly Python, and threads contend for the GIL: on two
# cores, two threads took 1.5 times as long as one for 32x32 JPEGs, and 0.6 times for 96x96 images.
_SMALL_MEAN_BYTES = 4_096
_SMALL_FILE_BYTES = 1 << 20
_POLL_SECONDS = 0.1
_ORIENTATION = 0x0112  # an EXIF tag
_MAXIMUM_PIXELS = 89_478_485  # Pillow's own limit against decompression bombs

_NO_IMAGE, _TOO_MANY_PIXELS = "not an image", "too many pixels"

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

# Pillow logs some damage; without a handler these lines would go to stderr, onto the dashboard.
logging.getLogger("PIL").addHandler(logging.NullHandler())


class UnreadableImageError(Exception):
    """A file is not an image, is damaged or could not be read; the message is the reason.

    Attributes:
        passing: whether it may be read another time: its bytes do not prove that it is no image.
        missing: HEIC or AVIF if it is one and its reader is not installed, otherwise "".
    """

    def __init__(self, message: str, *, passing: bool = False, missing: str = "") -> None:
        super().__init__(message)
        self.passing = passing
        self.missing = missing


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class DecodedImage:
    """An image.

    Attributes:
        pixels: uint8, shape (32, 32, 3), RGB; or with more than 8 bits, until its folder's scale is known.
        size: width and height in the file.
        conversion: a `Conversion`, 0 if it was RGB.
    """

    pixels: Pixels | DeepImage
    size: tuple[int, int]
    conversion: int


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class DecodedFiles:
    """What became of some files.

    Attributes:
        pixels: uint8, shape (N, 3, 32, 32), RGB; arbitrary for unreadable files.
        sizes: int32, shape (N, 2), width and height in the files.
        conversions: uint8, shape (N,), a `Conversion` each, 0 if the image was RGB.
        errors: why a file could not be read, by index.
        scales: by kind of images of more than 8 bits, how many there are, and what became black and white.
        fitting: the same with what would be black and white if only these images counted.
    """

    pixels: Pixels
    sizes: npt.NDArray[np.int32]
    conversions: npt.NDArray[np.uint8]
    errors: dict[int, UnreadableImageError]
    scales: dict[str, tuple[int, float, float]]
    fitting: dict[str, tuple[int, float, float]]


def thread_count(bytes_per_file: float) -> int:
    """Return how many threads to decode files of that mean size with."""
    if bytes_per_file < _SMALL_MEAN_BYTES:
        return 1
    return min(available_threads(), _MAXIMUM_THREADS)


def decode_files(
    paths: Sequence[Path], *, threads: int, progress: Progress, scales: Scales | None = None
) -> DecodedFiles:
    """Decode `paths` in parallel; those of more than 8 bits share one scale.

    Args:
        paths: the files.
        threads: number of threads; see `thread_count`.
        progress: its stage counts images.
        scales: what is black and white; a kind without one gets that of its images.

    Raises:
        CancelledError: the user requested a stop.
    """
    pixels = np.zeros((len(paths), 3, SIDE, SIDE), dtype=np.uint8)
    sizes = np.zeros((len(paths), 2), dtype=np.int32)
    conversions = np.zeros(len(paths), dtype=np.uint8)
    errors: dict[int, UnreadableImageError] = {}
    deep: dict[int, DeepImage] = {}
    done: list[int] = []  # indices; appending is atomic, incrementing is not
    stop = threading.Event()

    def decode_task(start: int) -> None:
        for index in range(start, min(start + _FILES_PER_TASK, len(paths))):
            if stop.is_set():
                break
            try:
                image = decode_image(paths[index])
            except UnreadableImageError as error:
                # a copy, as the raised one holds the file's content
                errors[index] = UnreadableImageError(str(error), passing=error.passing, missing=error.missing)
            else:
                sizes[index] = image.size
                conversions[index] = image.conversion
                if isinstance(image.pixels, DeepImage):
                    deep[index] = image.pixels
                else:
                    pixels[index] = image.pixels.transpose(2, 0, 1)
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
    applied, fitting = _apply_scales(deep, pixels, scales or {})
    return DecodedFiles(
        pixels=pixels,
        sizes=sizes,
        conversions=conversions,
        errors=errors,
        scales=applied,
        fitting=fitting,
    )


def _apply_scales(
    deep: dict[int, DeepImage], pixels: Pixels, scales: Scales
) -> tuple[dict[str, tuple[int, float, float]], dict[str, tuple[int, float, float]]]:
    """Put the images of more than 8 bits into `pixels`; return `DecodedFiles.scales` and `fitting`."""
    applied, fitting = {}, {}
    for kind in (DEEP, FLOATING):
        images = {index: image for index, image in deep.items() if image.floating == (kind == FLOATING)}
        if not images:
            continue
        own = shared_scale(list(images.values()))
        scale = scales.get(kind) or own
        for index, image in images.items():
            pixels[index] = to_pixels(image, scale).transpose(2, 0, 1)
        applied[kind], fitting[kind] = (len(images), *scale), (len(images), *own)
    return applied, fitting


def decode_image(path: Path) -> DecodedImage:
    """Decode the image in `path`.

    Takes the first frame, applies its EXIF orientation, puts it on white if it is transparent, resizes its
    shorter side to 32 and crops the centre. A 32x32 RGB image keeps its pixels.

    Raises:
        UnreadableImageError: the file is not an image, is damaged, is suspiciously large or cannot be read.
    """
    try:
        return _decode(path, _formats())
    except UnreadableImageError as error:
        if error.passing:
            raise
        return _decode_foreign(path, error)


def _decode(path: Path, formats: tuple[str, ...]) -> DecodedImage:
    try:
        with _open(path, formats) as image:
            size = image.size
            if size[0] * size[1] > _MAXIMUM_PIXELS:
                raise UnreadableImageError(f"{_TOO_MANY_PIXELS} ({size[0]} x {size[1]})")
            image.draft(None, (2 * SIDE, 2 * SIDE))  # JPEG: decode at a lower resolution
            pixels, conversion = _convert(image, path, formats)
            orientation = _orientation(image)
            if orientation in ORIENTATIONS:
                conversion |= Conversion.TURNED
                pixels = _turned(pixels, orientation)
            if _more_frames(image):
                conversion |= Conversion.FIRST_FRAME
            return DecodedImage(pixels=pixels, size=size, conversion=conversion)
    except UnidentifiedImageError:
        raise UnreadableImageError(_NO_IMAGE) from None
    except Image.DecompressionBombError:
        raise UnreadableImageError(_TOO_MANY_PIXELS) from None
    except _READ_ERRORS as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise UnreadableImageError(reason.splitlines()[0], passing=_is_passing(error)) from None


def _is_passing(error: Exception) -> bool:
    """Whether `error` is no proof against the file: the system's, of memory, or of a decoder not built in."""
    if isinstance(error, MemoryError) or getattr(error, "errno", None) is not None:
        return True
    return isinstance(error, OSError) and any(
        word in str(error) for word in ("not available", "out of memory")
    )


@functools.cache
def _formats() -> tuple[str, ...]:
    Image.init()
    return tuple(name for name in _FORMATS if name in Image.OPEN)


def _open(path: Path, formats: tuple[str, ...]) -> ImageFile.ImageFile:
    # Reading a small file at once takes a third less time and releases the GIL less often.
    if path.stat().st_size <= _SMALL_FILE_BYTES:
        return Image.open(io.BytesIO(path.read_bytes()), formats=formats)
    return Image.open(path, formats=formats)


def _convert(
    image: ImageFile.ImageFile, path: Path, formats: tuple[str, ...]
) -> tuple[Pixels | DeepImage, int]:
    if is_deep_grey(image):
        return deep_grey(image), 0
    raw = raw_mode(image)
    if is_deep_colour(raw):
        with _open(path, formats) as again:
            return deep_colour(image, again), 0
    rgb, conversion = to_rgb(image)
    if ";16" in raw:
        conversion |= Conversion.HIGH_BYTES
    return np.asarray(fit(rgb)), conversion


def _turned(pixels: Pixels | DeepImage, orientation: int) -> Pixels | DeepImage:
    if isinstance(pixels, DeepImage):
        return replace(pixels, values=turn(pixels.values, orientation))
    return turn(pixels, orientation)


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation of the loaded `image`; 1 if it has none or its EXIF data are damaged."""
    try:
        orientation = image.getexif().get(_ORIENTATION, 1)
    except _READ_ERRORS:
        return 1
    return orientation if isinstance(orientation, int) else 1


def _more_frames(image: Image.Image) -> bool:
    try:
        return has_more_frames(image)
    except _READ_ERRORS:  # in the second one
        return False


def _decode_foreign(path: Path, error: UnreadableImageError) -> DecodedImage:
    """Decode HEIC with the optional reader, or say what the file in `path` is.

    Raises:
        UnreadableImageError: `error` with that name.
    """
    try:
        with path.open("rb") as file:
            name = describe_foreign(file.read(HEAD_BYTES))
    except OSError as reading:
        raise UnreadableImageError(str(reading.strerror), passing=True) from None
    if name == HEIC and _has_heif():
        try:
            return _decode(path, ("HEIF",))
        except UnreadableImageError as found:
            raise (found if found.passing else _damaged(HEIC, found)) from None
    if name == HEIC or (name == AVIF and not features.check("avif")):
        raise UnreadableImageError(f"{name} needs {INSTALL[name]}", passing=True, missing=name) from None
    if name == AVIF:
        raise _damaged(AVIF, error) from None
    if name and str(error) == _NO_IMAGE:
        raise UnreadableImageError(f"not an image but {name}") from None
    raise error


def _damaged(name: str, error: UnreadableImageError) -> UnreadableImageError:
    """The error of an image that its reader refuses."""
    reason = str(error)
    if reason.startswith(_TOO_MANY_PIXELS):
        return error
    return UnreadableImageError(f"damaged {name}" if reason == _NO_IMAGE else f"damaged {name} ({reason})")


@functools.cache
def _has_heif() -> bool:
    """Register the reader of the optional package; whether it is installed."""
    try:
        importlib.import_module("pillow_heif").register_heif_opener()
    except (ImportError, OSError, AttributeError):
        return False
    return True
