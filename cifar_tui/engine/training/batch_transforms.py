"""Crops and colours of a batch of images, each image with its own numbers, in few calls.

The formulas are those of `torchvision.transforms.v2.functional`, which takes one number for all images. A
pixel is at most one of 255 levels away from theirs: often after a crop, which torchvision rounds twice,
seldom after a saturation or a hue. The result for an image depends neither on its batch nor on the number of
threads: a resumed run equals the uninterrupted one.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.nn import functional

_LEVELS = 255
_GRAY = (0.2989, 0.587, 0.114)
_JUST_BELOW_256 = (256 - 1e-3) / _LEVELS
"""What torchvision multiplies levels with before it cuts their fraction off."""
_CACHED_PIXELS = 2**16
"""A CPU computes on so many at a time: what is between two steps stays in its cache."""


def resized_crops(images: Tensor, boxes: Tensor) -> Tensor:
    """Crop each of `images` to its box, and resize it to the size of the whole.

    Args:
        images: uint8 (B, 3, S, S).
        boxes: int64 (B, 4), on the CPU: first row and column, height and width.

    Returns:
        uint8 (B, 3, S, S).
    """
    size, boxes = images.shape[-1], boxes.to(images.device)
    centres = torch.arange(size, device=images.device) + 0.5

    def places(first: Tensor, length: Tensor) -> Tensor:
        """The place in the image, from -1 to 1, of each row or column of the crops, (B, S)."""
        inside = (centres * (length / size) - 0.5).clamp(min=0).minimum(length - 1)
        return (inside + first + 0.5) * (2 / size) - 1

    top, left, height, width = boxes.float().unsqueeze(1).unbind(2)
    rows, columns = places(top, height), places(left, width)
    across = columns.unsqueeze(1).expand(-1, size, -1)
    grid = torch.stack((across, rows.unsqueeze(2).expand_as(across)), dim=3)
    crops = [
        functional.grid_sample(images[some].float(), grid[some], padding_mode="border", align_corners=False)
        .round_()
        .to(torch.uint8)
        for some in _parts(images)
    ]
    return torch.cat(crops)


def jittered(images: Tensor, orders: Tensor, factors: Tensor) -> Tensor:
    """Change brightness, contrast, saturation and hue of each of `images`.

    Args:
        images: uint8 (B, 3, S, S).
        orders: int64 (B, 4), on the CPU: which of the four, counted from 0 as above, comes first, second…
        factors: float32 (B, 4), on the CPU: the factor of each; of the hue the turn, from -0.5 to 0.5.

    Returns:
        uint8 (B, 3, S, S).
    """
    return torch.cat([_jittered(images[some], orders[some], factors[some]) for some in _parts(images)])


def _parts(images: Tensor) -> Iterator[slice]:
    count, size = len(images), images.shape[-1]
    length = max(1, _CACHED_PIXELS // size**2) if images.device.type == "cpu" else count
    return (slice(first, first + length) for first in range(0, count, length))


def _jittered(images: Tensor, orders: Tensor, factors: Tensor) -> Tensor:
    levels = images.float()
    on_device = factors.to(images.device)[:, :, None, None, None]
    for chosen in orders.unbind(1):
        for index, change in enumerate(_CHANGES):
            rows = (chosen == index).nonzero().flatten().to(images.device)
            if len(rows):
                levels[rows] = change(levels[rows], on_device[rows, index])
    return levels.to(torch.uint8)


# Each takes levels, float32 (B, 3, S, S) of whole numbers, which it may overwrite, and factors (B, 1, 1, 1).


def _brightness(levels: Tensor, factor: Tensor) -> Tensor:
    return levels.mul_(factor).clamp_(0, _LEVELS).floor_()


def _contrast(levels: Tensor, factor: Tensor) -> Tensor:
    gray = _gray(levels)
    total = gray.sum(dim=(1, 2, 3), keepdim=True, dtype=torch.int64)  # exact in any order
    return _blended(levels, total / gray[0].numel(), factor)


def _saturation(levels: Tensor, factor: Tensor) -> Tensor:
    return _blended(levels, _gray(levels), factor)


def _hue(levels: Tensor, turn: Tensor) -> Tensor:
    low, high = torch.aminmax(levels, dim=1, keepdim=True)
    chroma = high - low
    divisor = chroma.clamp(min=1)
    red, green, blue = (levels[:, channel, None] for channel in range(3))
    hue = torch.where(  # in sixths of a turn
        high == red,
        (green - blue).div_(divisor),
        torch.where(high == green, (blue - red).div_(divisor).add_(2), (red - green).div_(divisor).add_(4)),
    )
    hue = hue.add_(6 * turn).remainder_(6)
    # red is |hue - 3| - 1, green 2 - |hue - 2|, blue 2 - |hue - 4|, each from 0 to 1
    middle, sign, offset = levels.new_tensor([[3, 2, 4], [1, -1, -1], [-1, 2, 2]]).view(3, 3, 1, 1).unbind()
    shares = (hue - middle).abs_().mul_(sign).add_(offset).clamp_(0, 1)
    return shares.mul_(chroma).add_(low).mul_(_JUST_BELOW_256).floor_()


_CHANGES: tuple[Callable[[Tensor, Tensor], Tensor], ...] = (_brightness, _contrast, _saturation, _hue)


def _gray(levels: Tensor) -> Tensor:
    # not `add(alpha=…)`: whether it rounds the product depends on how threads and vectors split the pixels
    red, green, blue = (levels[:, channel, None].mul(weight) for channel, weight in enumerate(_GRAY))
    return red.add_(green).add_(blue).floor_()


def _blended(levels: Tensor, other: Tensor, factor: Tensor) -> Tensor:
    """`factor` of the levels, and the rest of `other`."""
    return levels.mul_(factor).add_(other * (1 - factor)).clamp_(0, _LEVELS).floor_()
