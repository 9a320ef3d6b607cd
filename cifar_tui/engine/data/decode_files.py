"""Decode many image files in parallel; those of more than 8 bits on one scale."""

import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image

from cifar_tui.engine.data.convert import SIDE, DeepImage, Pixels, shared_scale, to_pixels
from cifar_tui.engine.data.decode import UnreadableImageError, decode_image
from cifar_tui.engine.data.registry import Progress
from cifar_tui.engine.data.scales import DEEP, FLOATING, Scales
from cifar_tui.engine.device.cores import available_threads

_FILES_PER_TASK = 64
_MAXIMUM_THREADS = 16
# Below this mean size (about 64x64 pixels) decoding is mostly Python, and threads contend for the GIL: on two
# cores, two threads took 1.5 times as long as one for 32x32 JPEGs, and 0.6 times for 96x96 images.
_SMALL_MEAN_BYTES = 4_096
_POLL_SECONDS = 0.1

_CountedScales = dict[str, tuple[int, float, float]]
_NO_VALUES = np.zeros((0, 0, 1), np.float32)


class ImageRows(Protocol):
    """Takes images by their index, from several threads."""

    def __setitem__(self, index: int, pixels: Pixels, /) -> None:
        """Keep an image, uint8, shape (3, S, S)."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class DecodedFiles:
    """What became of some files.

    Attributes:
        pixels: uint8, shape (N, 3, S, S), RGB; arbitrary for unreadable files; empty if they went elsewhere.
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
    paths: Sequence[Path],
    *,
    threads: int,
    progress: Progress,
    scales: Scales | None = None,
    image_size: int = SIDE,
    into: ImageRows | None = None,
) -> DecodedFiles:
    """Decode `paths` in parallel; those of more than 8 bits share one scale.

    Args:
        paths: the files.
        threads: number of threads; see `thread_count`.
        progress: its stage counts images.
        scales: what is black and white; a kind without one gets that of its images.
        image_size: height and width of the images, in pixels.
        into: takes each image, shape (3, S, S), by its index, for they may not fit into memory; None to
            return them. Files of more than 8 bits are then decoded twice.

    Raises:
        CancelledError: the user requested a stop.
    """
    pixels = np.zeros((len(paths) if into is None else 0, 3, image_size, image_size), dtype=np.uint8)
    rows: ImageRows = pixels if into is None else into
    sizes = np.zeros((len(paths), 2), dtype=np.int32)
    conversions = np.zeros(len(paths), dtype=np.uint8)
    errors: dict[int, UnreadableImageError] = {}
    deep: dict[int, DeepImage] = {}

    def decode_one(index: int) -> None:
        try:
            image = decode_image(paths[index], image_size)
        except UnreadableImageError as error:
            # a copy, as the raised one holds the file's content
            errors[index] = UnreadableImageError(str(error), passing=error.passing, missing=error.missing)
            return
        sizes[index] = image.size
        conversions[index] = image.conversion
        if not isinstance(image.pixels, DeepImage):
            rows[index] = image.pixels.transpose(2, 0, 1)
        elif into is None:
            deep[index] = image.pixels
        else:
            deep[index] = replace(image.pixels, values=_NO_VALUES)

    _in_parallel(decode_one, range(len(paths)), threads, progress)
    applied, fitting, chosen = _choose_scales(deep, scales or {})

    def decode_again(index: int) -> None:
        try:
            image = decode_image(paths[index], image_size).pixels
        except UnreadableImageError as error:
            errors[index] = UnreadableImageError(str(error), passing=True)
            return
        if isinstance(image, DeepImage):
            rows[index] = to_pixels(image, chosen[index]).transpose(2, 0, 1)
        else:
            errors[index] = UnreadableImageError("changed while it was read", passing=True)

    if into is None:
        for index, image in deep.items():
            rows[index] = to_pixels(image, chosen[index]).transpose(2, 0, 1)
    elif deep:
        progress.begin("decoding images of more than 8 bits", "images", total=len(deep))
        _in_parallel(decode_again, list(deep), threads, progress)
    return DecodedFiles(
        pixels=pixels,
        sizes=sizes,
        conversions=conversions,
        errors=errors,
        scales=applied,
        fitting=fitting,
    )


def _in_parallel(
    work: Callable[[int], None], indices: Sequence[int], threads: int, progress: Progress
) -> None:
    """Do `work` for each of `indices`, of which `progress` counts those that are done.

    Raises:
        CancelledError: the user requested a stop.
    """
    done: list[int] = []  # indices; appending is atomic, incrementing is not
    stop = threading.Event()

    def task(start: int) -> None:
        for index in indices[start : start + _FILES_PER_TASK]:
            if stop.is_set():
                break
            work(index)
            done.append(index)

    Image.init()  # registers the readers, which is not thread-safe
    with warnings.catch_warnings(), ThreadPoolExecutor(threads, thread_name_prefix="decode") as executor:
        # Pillow warns about odd metadata and large images; on stderr that would garble the dashboard.
        warnings.simplefilter("ignore")
        futures = [executor.submit(task, start) for start in range(0, len(indices), _FILES_PER_TASK)]
        try:
            for future in futures:
                while not future.done():
                    wait([future], timeout=_POLL_SECONDS)
                    progress.update(len(done))
                future.result()
            progress.update(len(done))
        finally:
            stop.set()


def _choose_scales(
    deep: Mapping[int, DeepImage], scales: Scales
) -> tuple[_CountedScales, _CountedScales, dict[int, tuple[float, float]]]:
    """Return `DecodedFiles.scales` and `fitting` of images of more than 8 bits, and the scale of each."""
    applied: _CountedScales = {}
    fitting: _CountedScales = {}
    chosen: dict[int, tuple[float, float]] = {}
    for kind in (DEEP, FLOATING):
        images = {index: image for index, image in deep.items() if image.floating == (kind == FLOATING)}
        if not images:
            continue
        own = shared_scale(list(images.values()))
        scale = scales.get(kind) or own
        chosen |= dict.fromkeys(images, scale)
        applied[kind], fitting[kind] = (len(images), *scale), (len(images), *own)
    return applied, fitting, chosen
