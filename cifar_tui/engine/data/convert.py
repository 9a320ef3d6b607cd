"""Convert an opened image of any size and mode to square RGB pixels, or to ones of more than 8 bits."""

import enum
import sys
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile, TiffImagePlugin

SIDE = 32
"""Height and width of the images unless the settings say otherwise, in pixels."""

Pixels = npt.NDArray[np.uint8]
_Plane = npt.NDArray[np.float32]

_COMMON_DEPTHS = (8, 10, 12, 14, 16)  # of sensors and scanners, whose values files of 16 bits hold
_WHITE_IS_ZERO = 262  # a TIFF tag: 0 if the values count from white to black
_MULTI_FRAME = {"GIF", "WEBP", "PNG", "TIFF", "AVIF", "DCX"}  # MPO and HEIC add previews, not pictures

# By Pillow's byte order, the one that reads the low bytes in its place.
_SWAPPED = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}


class Conversion(enum.IntFlag):
    """What was done to an image to make it RGB of 8 bits."""

    GREY = 1
    PALETTE = 2
    CMYK = 4
    OTHER_MODE = 8
    ON_WHITE = 16
    FIRST_FRAME = 32
    TURNED = 64
    HIGH_BYTES = 128  # of values of 16 bits, in the rare layouts whose low bytes Pillow does not give


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class DeepImage:
    """A picture of more than 8 bits, whose scale the other files of its folder share.

    Attributes:
        values: float32, shape (S, S, C), C is 1 or 3, plus 1 with `alpha`.
        low: the lowest value before resizing.
        high: the highest.
        floating: whether the values are floating-point.
        inverted: whether they count from white to black.
        alpha: whether the last channel is the alpha, 0-1, with which the others are multiplied.
    """

    values: _Plane
    low: float
    high: float
    floating: bool = False
    inverted: bool = False
    alpha: bool = False


def fit(image: Image.Image, size: int) -> Image.Image:
    """Resize the centre square to `size` x `size`."""
    if image.size == (size, size):
        return image
    side = min(image.size)
    left, top = (image.width - side) / 2, (image.height - side) / 2
    return image.resize((size, size), Image.Resampling.LANCZOS, box=(left, top, left + side, top + side))


def to_rgb(image: Image.Image) -> tuple[Image.Image, int]:
    """Convert `image`, of at most 8 bits, to RGB; also return the `Conversion`, 0 if there was none."""
    if image.mode == "RGB" and "transparency" not in image.info:
        return image, 0
    conversion = _CONVERSIONS.get(image.mode, Conversion.OTHER_MODE)
    if image.has_transparency_data:
        picture = image.convert("RGBA")
        # Most images with transparency are made for a white page.
        opaque = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
        if picture.getchannel("A").getextrema() != (255, 255):
            conversion |= Conversion.ON_WHITE
        return opaque.convert("RGB"), int(conversion)
    return image.convert("RGB"), int(conversion)


_CONVERSIONS = {
    "1": Conversion.GREY,
    "L": Conversion.GREY,
    "LA": Conversion.GREY,
    "P": Conversion.PALETTE,
    "PA": Conversion.PALETTE,
    "CMYK": Conversion.CMYK,
    "RGB": Conversion(0),
    "RGBA": Conversion(0),
    "RGBX": Conversion(0),
}


def is_deep_grey(image: Image.Image) -> bool:
    """Whether the grey `image` has more than 8 bits; Pillow would clip everything above 255."""
    return image.mode.startswith("I") or image.mode == "F"


def deep_grey(image: Image.Image, size: int) -> DeepImage:
    """Convert the loaded `image` of mode "I", "I;16" or "F", whatever its byte order."""
    values = np.asarray(image)
    floating = image.mode == "F"
    planes = np.where(np.isfinite(values), values, 0).astype(np.float32) if floating else values
    low, high = float(planes.min()), float(planes.max())
    inverted = isinstance(image, TiffImagePlugin.TiffImageFile) and image.tag_v2.get(_WHITE_IS_ZERO) == 0
    return DeepImage(
        values=_fit_planes(planes.astype(np.float32)[..., None], size),
        low=low,
        high=high,
        floating=floating,
        inverted=inverted,
    )


def raw_mode(image: ImageFile.ImageFile) -> str:
    """Return Pillow's name of the layout of the bytes in the file of the unloaded `image`; "" if unknown."""
    for tile in image.tile[:1]:
        arguments = tile[3]
        return str(arguments if isinstance(arguments, str) else arguments[0] if arguments else "")
    return ""


def is_deep_colour(raw: str) -> bool:
    """Whether the layout is of colours, or grey and alpha, of 16 bits each."""
    mode, _, order = raw.partition(";16")
    return (order in _SWAPPED and mode in {"RGB", "RGBA", "RGBX"}) or raw == "LA;16B"


def deep_colour(image: ImageFile.ImageFile, again: ImageFile.ImageFile, size: int) -> DeepImage:
    """Convert an image of such a layout, of which Pillow reads the high bytes; `again` is not loaded yet."""
    raw = raw_mode(image)
    mode, _, order = raw.partition(";16")
    other = "RGBA" if mode == "LA" else f"{mode};16{_SWAPPED[order]}"
    again.tile = [
        tile._replace(args=other if isinstance(tile.args, str) else (other, *(tile.args or ())[1:]))
        for tile in again.tile
    ]
    low_bytes = np.asarray(again).astype(np.float32)
    if mode == "LA":  # its four bytes, one after the other
        planes = low_bytes[..., ::2] * 256 + low_bytes[..., 1::2]
    else:
        planes = np.asarray(image).astype(np.float32) * 256 + low_bytes
    if not mode.endswith("A"):
        return DeepImage(values=_fit_planes(planes, size), low=float(planes.min()), high=float(planes.max()))
    colours, alpha = planes[..., :-1], planes[..., -1:] / 65_535
    visible = colours[np.broadcast_to(alpha > 0, colours.shape)]
    return DeepImage(
        values=_fit_planes(np.concatenate([colours * alpha, alpha], axis=2), size),
        low=float(visible.min(initial=0)),
        high=float(visible.max(initial=0)),
        alpha=True,
    )


def _fit_planes(planes: _Plane, size: int) -> _Plane:
    return np.stack(
        [np.asarray(fit(Image.fromarray(plane), size)) for plane in np.moveaxis(planes, 2, 0)], axis=2
    )


def has_more_frames(image: Image.Image) -> bool:
    """Whether the loaded `image` is the first frame or page of several."""
    return image.format in _MULTI_FRAME and bool(getattr(image, "is_animated", False))


_Picture = TypeVar("_Picture", Pixels, _Plane)

ORIENTATIONS = range(2, 9)
"""The EXIF orientations of a picture that must be turned."""


def turn(pixels: _Picture, orientation: int) -> _Picture:
    """Turn the square `pixels`, shape (S, S, C), as the EXIF `orientation` says."""
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    flip_rows, flip_columns = _FLIPS[orientation]
    return pixels[:: -1 if flip_rows else 1, :: -1 if flip_columns else 1]


_FLIPS = {
    2: (False, True),
    3: (True, True),
    4: (True, False),
    5: (False, False),
    6: (False, True),
    7: (True, True),
    8: (True, False),
}


def shared_scale(images: list[DeepImage]) -> tuple[float, float]:
    """Return the values that black and white have in all `images`, which are all floating-point or none.

    Zero is black unless there are negative values. White is the highest value that the smallest common depth
    that holds all of them has, such as 4,095 for 12 bits; for floating-point values 1 or 255.
    """
    low = min(0.0, *(image.low for image in images))
    high = max(image.high for image in images)
    if any(image.floating for image in images):
        whites = [1.0, 255.0]
    else:
        whites = [float(2**bits - 1) for bits in _COMMON_DEPTHS]
    return low, next((white for white in whites if high <= white), high)


def to_pixels(image: DeepImage, scale: tuple[float, float]) -> Pixels:
    """Convert `image` to uint8 RGB, shape (S, S, 3), on white; `scale` is that of its folder."""
    low, high = scale
    colours = image.values[..., :-1] if image.alpha else image.values
    alpha = image.values[..., -1:] if image.alpha else np.float32(1)
    shades = (colours - low * alpha) * (255 / (high - low or 1))
    if image.inverted:
        shades = 255 * alpha - shades
    shades = np.clip(np.round(shades + 255 * (1 - alpha)), 0, 255).astype(np.uint8)
    return np.broadcast_to(shades, (*shades.shape[:2], 3))
