"""Arrays of pictures, as other programs save them, as images of 32x32 RGB pixels."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from cifar_tui.engine.data.convert import SIDE, Conversion, Pixels, fit
from cifar_tui.engine.data.notes import conversion_notes, resizing
from cifar_tui.engine.data.registry import Progress
from cifar_tui.engine.errors import DataUnavailableError

_IMAGES_BETWEEN_REPORTS = 256
_CHANNELS = 3


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ArrayImages:
    """Pictures of one size in one array.

    Attributes:
        pixels: uint8, shape (N, H, W) if grey, or (N, H, W, 3), a view of the array.
        notes: what was assumed.
    """

    pixels: Pixels
    notes: tuple[str, ...] = ()


def as_pictures(array: npt.NDArray[Any], name: str) -> ArrayImages:
    """Find the axes of `array`, uint8, and view it as pictures.

    Args:
        array: shape (N, H, W), (N, H, W, 1), (N, H, W, 3), or with the channels before the rows.
        name: what to call it in an error.

    Raises:
        DataUnavailableError: it has another shape, or no pictures.
    """
    shape = array.shape
    notes: tuple[str, ...] = ()
    if len(shape) == 4 and shape[3] not in {1, _CHANNELS} and shape[1] in {1, _CHANNELS}:
        array = np.moveaxis(array, 1, 3)
        notes = (f"{name} has its channels before its rows: {shape_text(shape)}",)
    if array.ndim == 4 and array.shape[3] == 1:
        array = array[..., 0]
    if array.size == 0 or array.ndim not in {3, 4} or (array.ndim == 4 and array.shape[3] != _CHANNELS):
        raise DataUnavailableError(
            f"{name} has the shape {shape_text(shape)}: it must be N × H × W, N × H × W × 3 or N × 3 × H × W"
        )
    return ArrayImages(pixels=array, notes=notes)


def shape_text(shape: tuple[int, ...]) -> str:
    """Write a shape as `100 × 32 × 32`."""
    return " × ".join(map(str, shape)) or "()"


def fit_pictures(parts: Sequence[Pixels], progress: Progress) -> tuple[list[Tensor], list[str]]:
    """Resize pictures as those of a folder are, and make grey ones RGB.

    Args:
        parts: uint8, shape (N, H, W) or (N, H, W, 3) each.
        progress: its stage counts images.

    Returns:
        Of each part uint8 (N, 3, 32, 32), and what was resized and converted, in sentences.

    Raises:
        CancelledError: the user requested a stop.
    """
    total, done = sum(map(len, parts)), 0
    progress.begin("converting images", "images", total=total)
    fitted, sizes = [], np.zeros((total, 2), np.int32)
    conversions = np.zeros(total, np.uint8)
    for part in parts:
        images = torch.empty((len(part), 3, SIDE, SIDE), dtype=torch.uint8)
        target = images.permute(0, 2, 3, 1).numpy()
        sizes[done : done + len(part)] = part.shape[2], part.shape[1]
        if part.ndim == 3:
            conversions[done : done + len(part)] = Conversion.GREY
        for start in range(0, len(part), _IMAGES_BETWEEN_REPORTS):
            block = part[start : start + _IMAGES_BETWEEN_REPORTS]
            pictures = block if block.shape[1:3] == (SIDE, SIDE) else np.stack([_fit(one) for one in block])
            target[start : start + len(block)] = pictures[..., None] if part.ndim == 3 else pictures
            progress.update(done + start + len(block))
        done += len(part)
        fitted.append(images)
    notes = [note for note in (resizing(sizes),) if note]
    return fitted, [*notes, *conversion_notes(sizes, conversions)]


def _fit(picture: Pixels) -> Pixels:
    return np.asarray(fit(Image.fromarray(np.ascontiguousarray(picture))))
