"""Decode an image file of any format, size and mode to square RGB pixels."""

import functools
import importlib
import io
import logging
import struct
import zlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, ImageFile, UnidentifiedImageError, features

from cifar_tui.engine.data.convert import (
    ORIENTATIONS,
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
    to_rgb,
    turn,
)
from cifar_tui.engine.data.foreign import AVIF, HEAD_BYTES, HEIC, describe_foreign

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

_SMALL_FILE_BYTES = 1 << 20
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
        pixels: uint8, shape (S, S, 3), RGB; or with more than 8 bits, until its folder's scale is known.
        size: width and height in the file.
        conversion: a `Conversion`, 0 if it was RGB.
    """

    pixels: Pixels | DeepImage
    size: tuple[int, int]
    conversion: int


def decode_image(path: Path, size: int) -> DecodedImage:
    """Decode the image in `path`.

    Takes the first frame, applies its EXIF orientation, puts it on white if it is transparent, resizes its
    shorter side to `size` and crops the centre. An RGB image of that size keeps its pixels.

    Raises:
        UnreadableImageError: the file is not an image, is damaged, is suspiciously large or cannot be read.
    """
    try:
        return _decode(path, size, _formats())
    except UnreadableImageError as error:
        if error.passing:
            raise
        return _decode_foreign(path, size, error)


def _decode(path: Path, side: int, formats: tuple[str, ...]) -> DecodedImage:
    try:
        with _open(path, formats) as image:
            size = image.size
            if size[0] * size[1] > _MAXIMUM_PIXELS:
                raise UnreadableImageError(f"{_TOO_MANY_PIXELS} ({size[0]} x {size[1]})")
            image.draft(None, (2 * side, 2 * side))  # JPEG: decode at a lower resolution
            pixels, conversion = _convert(image, path, side, formats)
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
    image: ImageFile.ImageFile, path: Path, size: int, formats: tuple[str, ...]
) -> tuple[Pixels | DeepImage, int]:
    if is_deep_grey(image):
        return deep_grey(image, size), 0
    raw = raw_mode(image)
    if is_deep_colour(raw):
        with _open(path, formats) as again:
            return deep_colour(image, again, size), 0
    rgb, conversion = to_rgb(image)
    if ";16" in raw:
        conversion |= Conversion.HIGH_BYTES
    return np.asarray(fit(rgb, size)), conversion


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


def _decode_foreign(path: Path, size: int, error: UnreadableImageError) -> DecodedImage:
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
            return _decode(path, size, ("HEIF",))
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
