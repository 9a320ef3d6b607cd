"""The built-in images: ten classes of shapes and textures, drawn by this program without a network.

The same seed gives the same bits on every machine. The random numbers are the raw output of PCG64, whose
stream numpy guarantees; everything else is elementwise float32 arithmetic with +, -, *, /, square root,
floor, minimum and maximum, which IEEE 754 defines to the last bit, one operation at a time.
"""

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch

from cifar_tui.engine.data.dataset import Dataset, ImageSplit
from cifar_tui.engine.data.progress import Progress
from cifar_tui.engine.events import LoadingProgress

TITLE = "synthetic shapes, not CIFAR-10"
TRAIN_IMAGES = 30_000
TEST_IMAGES = 6_000

_SIDE = 32
_IMAGES_PER_BLOCK = 40  # of one class; small enough for the arrays of a block to stay in the cache
_ANGLES = 256
_WORDS_PER_IMAGE = 16

Plane = npt.NDArray[np.float32]

# Rounded to 1/16384, so that the last bit of a machine's cosine does not matter.
_COSINES = np.array(
    [round(math.cos(2 * math.pi * k / _ANGLES) * 16_384) / 16_384 for k in range(_ANGLES)], dtype=np.float32
)


class _Dice:
    """Random fields, one value per image, taken from 16-bit words."""

    def __init__(self, words: npt.NDArray[np.uint16]) -> None:
        self._words = words
        self._next = 0

    def word(self) -> npt.NDArray[np.uint16]:
        """Whole numbers from 0 to 65,535, shape (N, 1, 1)."""
        self._next += 1
        return self._words[:, self._next - 1, None, None]

    def between(self, low: float, high: float) -> Plane:
        """Multiples of (high - low) / 65,536 from `low` on, below `high`; shape (N, 1, 1)."""
        values: Plane = self.word().astype(np.float32) * ((high - low) / 65_536) + low
        return values


# Every drawing below takes the coordinates of the pixels in the shape's own frame, in pixels from its centre,
# and its size in pixels; it returns how far, in pixels, a pixel lies inside (above 0) or outside.


def _disc(u: Plane, v: Plane, size: Plane) -> Plane:
    inside: Plane = size - np.sqrt(u * u + v * v)
    return inside


def _ring(u: Plane, v: Plane, size: Plane) -> Plane:
    inside: Plane = size * 0.26 - np.abs(np.sqrt(u * u + v * v) - size * 0.8)
    return inside


def _square(u: Plane, v: Plane, size: Plane) -> Plane:
    inside: Plane = size * 0.85 - np.maximum(np.abs(u), np.abs(v))
    return inside


def _triangle(u: Plane, v: Plane, size: Plane) -> Plane:
    slanted = np.abs(u) * 0.866 - v * 0.5
    inside: Plane = size * 0.6 - np.maximum(slanted, v)
    return inside


def _cross(u: Plane, v: Plane, size: Plane) -> Plane:
    long, short = np.maximum(np.abs(u), np.abs(v)), np.minimum(np.abs(u), np.abs(v))
    inside: Plane = np.minimum(size * 1.05 - long, size * 0.3 - short)
    return inside


def _crescent(u: Plane, v: Plane, size: Plane) -> Plane:
    shifted = u - size * 0.55
    hole = np.sqrt(shifted * shifted + v * v) - size * 0.8
    inside: Plane = np.minimum(size * 1.1 - np.sqrt(u * u + v * v), hole)
    return inside


def _wave(position: Plane, period: Plane) -> Plane:
    """A triangle wave: from -period / 4 to period / 4 and back over every `period` pixels."""
    cycles = position / period
    wave: Plane = (np.abs(cycles - np.floor(cycles) - 0.5) - 0.25) * period
    return wave


def _stripes(u: Plane, v: Plane, size: Plane) -> Plane:  # noqa: ARG001 - drawn alike along v
    return _wave(u, size)


def _checks(u: Plane, v: Plane, size: Plane) -> Plane:
    first, second = _wave(u, size * 1.7), _wave(v, size * 1.7)
    return first * second * 4 / size


def _dots(u: Plane, v: Plane, size: Plane) -> Plane:
    period = size * 0.9
    first, second = _wave(u, period) + period / 4, _wave(v, period) + period / 4
    inside: Plane = period * 0.3 - np.sqrt(first * first + second * second)
    return inside


def _zigzag(u: Plane, v: Plane, size: Plane) -> Plane:
    return _wave(u + _wave(v, size * 1.6) * 1.4, size)


_DRAWINGS: dict[str, Callable[[Plane, Plane, Plane], Plane]] = {
    "disc": _disc,
    "ring": _ring,
    "square": _square,
    "triangle": _triangle,
    "cross": _cross,
    "crescent": _crescent,
    "stripes": _stripes,
    "checks": _checks,
    "dots": _dots,
    "zigzag": _zigzag,
}

CLASS_NAMES = tuple(_DRAWINGS)


def draw_dataset(
    *,
    seed: int,
    report: Callable[[LoadingProgress], None],
    cancelled: Callable[[], bool],
    train_images: int = TRAIN_IMAGES,
    test_images: int = TEST_IMAGES,
) -> Dataset:
    """Draw the built-in set.

    Class k is every tenth image from image k on, in both parts, so that any ten in a row show every class.

    Args:
        seed: of everything random; the same seed gives the same bits.
        report: takes the progress.
        cancelled: whether the user asked to stop.
        train_images: how many images to draw for training, a multiple of ten.
        test_images: the same for testing.

    Raises:
        CancelledError: the user asked to stop.
    """
    count = train_images + test_images
    classes = len(CLASS_NAMES)
    progress = Progress("drawing images", "images", report=report, cancelled=cancelled, total=count)
    images = np.empty((count, 3, _SIDE, _SIDE), dtype=np.uint8)
    generator = np.random.PCG64(seed)
    done = 0
    for target, drawing in enumerate(_DRAWINGS.values()):
        for start in range(0, count // classes, _IMAGES_PER_BLOCK):
            end = min(start + _IMAGES_PER_BLOCK, count // classes)
            images[target + start * classes : target + (end - 1) * classes + 1 : classes] = _draw(
                drawing, end - start, generator
            )
            done += end - start
            progress.update(done)
    targets = torch.arange(count) % classes
    pixels = torch.from_numpy(images)
    return Dataset(
        title=TITLE,
        synthetic=True,
        class_names=CLASS_NAMES,
        train=ImageSplit(images=pixels[:train_images], targets=targets[:train_images]),
        test=ImageSplit(images=pixels[train_images:], targets=targets[train_images:]),
    )


def _draw(
    drawing: Callable[[Plane, Plane, Plane], Plane], count: int, generator: np.random.PCG64
) -> npt.NDArray[np.uint8]:
    """Draw `count` images of one class: uint8, shape (count, 3, 32, 32)."""
    dice = _Dice(_words(generator, count * _WORDS_PER_IMAGE).reshape(count, _WORDS_PER_IMAGE))
    x = np.arange(_SIDE, dtype=np.float32).reshape(1, 1, _SIDE) - 15.5
    y = np.arange(_SIDE, dtype=np.float32).reshape(1, _SIDE, 1) - 15.5

    angle = dice.word() % _ANGLES
    cosine, sine = _COSINES[angle], _COSINES[(angle + 3 * _ANGLES // 4) % _ANGLES]
    left, top = x - dice.between(-5, 5), y - dice.between(-5, 5)
    u, v = left * cosine + top * sine, top * cosine - left * sine
    inside = drawing(u, v, dice.between(5, 12))
    coverage = np.minimum(np.maximum(inside + 0.5, 0), 1)

    # The ground: a gradient in a random direction.
    slope_x, slope_y = dice.between(-1, 1), dice.between(-1, 1)
    ramp = x * slope_x + y * slope_y
    noise_level = dice.between(0.05, 0.6)
    noise = _words(generator, count * 3 * _SIDE * _SIDE // 2).view(np.uint8).reshape(count, 3, _SIDE, _SIDE)

    images = np.empty((count, 3, _SIDE, _SIDE), dtype=np.uint8)
    for channel in range(3):
        ground = dice.between(0, 256)
        # 56 to 200 steps away on a circle of 256: far enough in every channel, brighter or darker.
        figure = ground + dice.between(56, 200)
        figure = figure - np.floor(figure / 256) * 256
        shade = ramp * dice.between(-1.5, 1.5) + ground
        value = shade + (figure - shade) * coverage
        value += (noise[:, channel].astype(np.float32) - 127.5) * noise_level
        images[:, channel] = np.minimum(np.maximum(value, 0), 255)
    return images


def _words(generator: np.random.PCG64, count: int) -> npt.NDArray[np.uint16]:
    """`count` random 16-bit words, a multiple of four; in the same order on machines of either byte order."""
    return generator.random_raw(count // 4).astype("<u8").view("<u2")
