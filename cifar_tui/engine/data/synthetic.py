"""Synthetic images: ten classes of shapes and textures, drawn without a network.

The same seed gives bit-identical images on every machine. The random numbers are the raw output of PCG64,
whose stream numpy guarantees; everything else is elementwise float32 arithmetic with +, -, *, /, square root,
floor, minimum and maximum, whose results IEEE 754 defines exactly.
"""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from cifar_tui.engine.data.arrays import new_images
from cifar_tui.engine.data.convert import SIDE
from cifar_tui.engine.data.dataset import Dataset, ImageSplit
from cifar_tui.engine.data.file_images import select
from cifar_tui.engine.data.registry import Progress

TITLE = "synthetic shapes, not CIFAR-10"
TRAIN_IMAGES = 30_000
TEST_IMAGES = 6_000

_IMAGES_PER_BLOCK = 40  # of one class; the arrays of a block stay in the CPU cache
_ANGLES = 256
_WORDS_PER_IMAGE = 16

Plane = npt.NDArray[np.float32]

# Rounded to 1/16384, because the last bit of a cosine depends on the machine.
_COSINES = np.array(
    [round(math.cos(2 * math.pi * k / _ANGLES) * 16_384) / 16_384 for k in range(_ANGLES)], dtype=np.float32
)


class _Dice:
    """Draws one random value per image from 16-bit words, shape (N, words)."""

    def __init__(self, words: npt.NDArray[np.uint16]) -> None:
        self._words = words
        self._next = 0

    def word(self) -> npt.NDArray[np.uint16]:
        """Draw integers from 0 to 65,535, shape (N, 1, 1)."""
        self._next += 1
        return self._words[:, self._next - 1, None, None]

    def between(self, low: float, high: float) -> Plane:
        """Draw multiples of (high - low) / 65,536 in [low, high), shape (N, 1, 1)."""
        values: Plane = self.word().astype(np.float32) * ((high - low) / 65_536) + low
        return values


def _radius(u: Plane, v: Plane) -> Plane:
    radius: Plane = np.sqrt(u * u + v * v)
    return radius


def _wave(position: Plane, period: Plane) -> Plane:
    """Return a triangle wave between -period / 4 and period / 4."""
    cycles = position / period
    wave: Plane = (np.abs(cycles - np.floor(cycles) - 0.5) - 0.25) * period
    return wave


def _dots(u: Plane, v: Plane, size: Plane) -> Plane:
    period = size * 0.9
    first, second = _wave(u, period) + period * 0.25, _wave(v, period) + period * 0.25
    inside: Plane = period * 0.3 - _radius(first, second)
    return inside


def _cross(u: Plane, v: Plane, size: Plane) -> Plane:
    long, short = np.maximum(np.abs(u), np.abs(v)), np.minimum(np.abs(u), np.abs(v))
    inside: Plane = np.minimum(size * 1.05 - long, size * 0.3 - short)
    return inside


# A shape is a signed distance: from pixel coordinates (relative to the shape's centre and turned with it) and
# the shape's size to how far inside (positive) or outside the shape a pixel lies; all in pixels.
_SHAPES: dict[str, Callable[[Plane, Plane, Plane], Plane]] = {
    "disc": lambda u, v, size: size - _radius(u, v),
    "ring": lambda u, v, size: size * 0.26 - np.abs(_radius(u, v) - size * 0.8),
    "square": lambda u, v, size: size * 0.85 - np.maximum(np.abs(u), np.abs(v)),
    "triangle": lambda u, v, size: size * 0.6 - np.maximum(np.abs(u) * 0.866 - v * 0.5, v),
    "cross": _cross,
    "crescent": lambda u, v, size: np.minimum(
        size * 1.1 - _radius(u, v), _radius(u - size * 0.55, v) - size * 0.8
    ),
    "stripes": lambda u, v, size: _wave(u, size),  # noqa: ARG005 - the same for every v
    "checks": lambda u, v, size: _wave(u, size * 1.7) * _wave(v, size * 1.7) * 4 / size,
    "dots": _dots,
    "zigzag": lambda u, v, size: _wave(u + _wave(v, size * 1.6) * 1.4, size),
}

CLASS_NAMES = tuple(_SHAPES)


def load_synthetic(
    *,
    data_dir: Path,
    seed: int,
    progress: Progress,
    image_size: int = SIDE,
    train_images: int = TRAIN_IMAGES,
    test_images: int = TEST_IMAGES,
) -> Dataset:
    """Draw the synthetic dataset; `train_images` and `test_images` are multiples of ten.

    The classes take turns, so that any ten images in a row show all of them. Larger images have
    larger shapes.

    Raises:
        DataUnavailableError: there is no room for images of another size than 32x32.
        CancelledError: the user requested a stop.
    """
    count = train_images + test_images
    classes = len(CLASS_NAMES)
    progress.begin("generating images", "images", total=count)
    images, rows = new_images(count, image_size, data_dir)
    generator = np.random.PCG64(seed)
    done = 0
    for target, shape in enumerate(_SHAPES.values()):
        for start in range(0, count // classes, _IMAGES_PER_BLOCK):
            end = min(start + _IMAGES_PER_BLOCK, count // classes)
            for number, pixels in enumerate(_draw(shape, end - start, image_size, generator), start=start):
                rows[target + number * classes] = pixels
            done += end - start
            progress.update(done)
    targets = torch.arange(count) % classes
    train, test = (
        ImageSplit(images=select(images, part), targets=targets[part])
        for part in (slice(train_images), slice(train_images, None))
    )
    return Dataset(
        title=TITLE,
        synthetic=True,
        class_names=CLASS_NAMES,
        train=train,
        test=test,
    )


def _draw(
    shape: Callable[[Plane, Plane, Plane], Plane], count: int, size: int, generator: np.random.PCG64
) -> npt.NDArray[np.uint8]:
    """Draw `count` images of one class: uint8, shape (count, 3, size, size); shapes are measured in 1/32."""
    scale = np.float32(size / SIDE)
    dice = _Dice(_words(generator, count * _WORDS_PER_IMAGE).reshape(count, _WORDS_PER_IMAGE))
    places = (np.arange(size, dtype=np.float32) - np.float32((size - 1) / 2)) / scale
    x, y = places.reshape(1, 1, size), places.reshape(1, size, 1)

    angle = dice.word() % _ANGLES
    cosine, sine = _COSINES[angle], _COSINES[(angle + 3 * _ANGLES // 4) % _ANGLES]
    left, top = x - dice.between(-5, 5), y - dice.between(-5, 5)
    u, v = left * cosine + top * sine, top * cosine - left * sine
    inside = shape(u, v, dice.between(5, 12))
    coverage = np.minimum(np.maximum(inside * scale + 0.5, 0), 1)

    # The background is a gradient in a random direction.
    slope_x, slope_y = dice.between(-1, 1), dice.between(-1, 1)
    ramp = x * slope_x + y * slope_y
    noise_level = dice.between(0.05, 0.6)
    values = count * 3 * size * size
    noise = _words(generator, -(-values // 8) * 4).view(np.uint8)[:values].reshape(count, 3, size, size)

    images = np.empty((count, 3, size, size), dtype=np.uint8)
    for channel in range(3):
        background = dice.between(0, 256)
        # 56 to 200 away, modulo 256: a visible contrast in every channel.
        foreground = background + dice.between(56, 200)
        foreground = foreground - np.floor(foreground / 256) * 256
        shade = ramp * dice.between(-1.5, 1.5) + background
        value = shade + (foreground - shade) * coverage
        value += (noise[:, channel].astype(np.float32) - 127.5) * noise_level
        images[:, channel] = np.minimum(np.maximum(value, 0), 255)
    return images


def _words(generator: np.random.PCG64, count: int) -> npt.NDArray[np.uint16]:
    """Draw `count` random 16-bit words, a multiple of four; the same ones for either byte order."""
    return generator.random_raw(count // 4).astype("<u8").view("<u2")
