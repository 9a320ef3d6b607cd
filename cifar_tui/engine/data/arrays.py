"""Arrays of pictures, as other programs save them, as square RGB images."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from cifar_tui.engine.data.cache import cache_folder
from cifar_tui.engine.data.convert import SIDE, Conversion, Pixels, fit
from cifar_tui.engine.data.dataset import Dataset
from cifar_tui.engine.data.decode_files import ImageRows
from cifar_tui.engine.data.file_images import FileImages, Images, PixelFile, select
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


def fit_pictures(
    parts: Sequence[Pixels], progress: Progress, *, image_size: int, data_dir: Path
) -> tuple[list[Images], list[str]]:
    """Resize pictures as those of a folder are, and make grey ones RGB.

    Args:
        parts: uint8, shape (N, H, W) or (N, H, W, 3) each.
        progress: its stage counts images.
        image_size: height and width that they shall have.
        data_dir: where images of another size than 32x32 are in a file, until the process ends.

    Returns:
        Of each part uint8 (N, 3, S, S), and what was resized and converted, in sentences.

    Raises:
        DataUnavailableError: there is no room for the file.
        CancelledError: the user requested a stop.
    """
    total = sum(map(len, parts))
    progress.begin("converting images", "images", total=total)
    images, rows = new_images(total, image_size, data_dir)
    sizes, conversions = np.zeros((total, 2), np.int32), np.zeros(total, np.uint8)
    fitted, done = [], 0
    for part in parts:
        fitted.append(select(images, slice(done, done + len(part))))
        sizes[done : done + len(part)] = part.shape[2], part.shape[1]
        if part.ndim == 3:
            conversions[done : done + len(part)] = Conversion.GREY
        for index, picture in enumerate(part, start=done):
            pixels = _fit(picture, image_size)
            rows[index] = pixels.transpose(2, 0, 1) if pixels.ndim == 3 else np.stack([pixels] * _CHANNELS)
            if index % _IMAGES_BETWEEN_REPORTS == 0:
                progress.update(index)
        done += len(part)
    progress.update(done)
    notes = [note for note in (resizing(sizes, image_size),) if note]
    return fitted, [*notes, *conversion_notes(sizes, conversions)]


def resized(dataset: Dataset, progress: Progress, *, image_size: int, data_dir: Path) -> Dataset:
    """Return `dataset`, of images in memory and without a validation split, with images of `image_size`.

    Raises:
        DataUnavailableError: there is no room for them.
        CancelledError: the user requested a stop.
    """
    splits = (dataset.train, dataset.test)
    if dataset.train.image_size == image_size:
        return dataset
    pictures = [split.take(slice(None)).permute(0, 2, 3, 1).numpy() for split in splits]
    images, notes = fit_pictures(pictures, progress, image_size=image_size, data_dir=data_dir)
    train, test = (replace(split, images=part) for split, part in zip(splits, images, strict=True))
    return replace(dataset, train=train, test=test, notes=(*dataset.notes, *notes))


def new_images(count: int, image_size: int, data_dir: Path) -> tuple[Images, ImageRows]:
    """Return room for images, which may be written in any order, and what writes them.

    Of 32x32 pixels they are in memory, where the fastest steps read them. Of another size they are in a file
    in `data_dir` that nothing is left of after the process.

    Raises:
        DataUnavailableError: there is no room for the file.
    """
    if image_size == SIDE:
        images = torch.zeros((count, _CHANNELS, SIDE, SIDE), dtype=torch.uint8)
        return images, images.numpy()
    file = PixelFile.temporary(cache_folder(data_dir), count=count, size=image_size)
    return FileImages(file, np.arange(count)), file


def _fit(picture: Pixels, size: int) -> Pixels:
    if picture.shape[:2] == (size, size):
        return picture
    return np.asarray(fit(Image.fromarray(np.ascontiguousarray(picture)), size))
