"""Changes to training images: random shifts, flips and cut-out squares, and size; batched on tensors.

What is drawn for an image is a function of seed, epoch and image alone, so that a training that goes on in
the middle of an epoch draws the same again.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from cifar_tui.engine.training.batches import normalize

_SEED_STRIDE = 1_000_003
_SEEDS = 2**63


@dataclass(frozen=True, kw_only=True, slots=True)
class Augmentation:
    """What is done to training images.

    Attributes:
        translate: pixels by which an image is moved at most, in each direction; its reflection comes in.
        flip: "none"; "random", each image at every epoch with a chance of one half; or "alternating", a
            random half of the images in the first epoch, the others in the second, and so on.
        cutout: side in pixels of a square at a random place inside the image that is made grey; 0 for none.
    """

    translate: int = 0
    flip: str = "none"
    cutout: int = 0


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class AugmentParams:
    """What an epoch does to each of N images; None where nothing is done.

    Attributes:
        shifts: int64 (N, 2), the first row and column of the window, from 0 to twice the largest shift.
        flips: bool (N,), which images are mirrored left to right.
        corners: int64 (N, 2), the first row and column of the square that is cut out.
    """

    shifts: Tensor | None
    flips: Tensor | None
    corners: Tensor | None


def draw(
    augmentation: Augmentation, count: int, *, size: int, seed: int, epoch: int, device: torch.device
) -> AugmentParams:
    """What epoch `epoch`, counted from 0, does to `count` images of `size` x `size` pixels.

    Source of the alternating flip: Jordan, https://arxiv.org/abs/2404.00498, section 3.6.
    """
    generator = torch.Generator().manual_seed((seed * _SEED_STRIDE + epoch + 1) % _SEEDS)
    shifts = flips = corners = None
    if augmentation.translate:
        shifts = torch.randint(2 * augmentation.translate + 1, (count, 2), generator=generator).to(device)
    if augmentation.cutout:
        corners = torch.randint(size - augmentation.cutout + 1, (count, 2), generator=generator).to(device)
    if augmentation.flip == "random":
        flips = torch.randint(2, (count,), generator=generator).bool().to(device)
    elif augmentation.flip == "alternating":
        generator.manual_seed(seed * _SEED_STRIDE % _SEEDS)
        first = torch.randint(2, (count,), generator=generator).bool()
        flips = (first ^ bool(epoch % 2)).to(device)
    return AugmentParams(shifts=shifts, flips=flips, corners=corners)


def augment(images: Tensor, indices: Tensor, draws: AugmentParams, augmentation: Augmentation) -> Tensor:
    """The images at `indices`, changed as `draws` says, and normalised.

    Args:
        images: uint8 (N, 3, S, S), of which `draws` has N.
        indices: int64 (B,), on the device of `images`.
        draws: of this epoch.
        augmentation: that `draws` were drawn for.

    Returns:
        float32 (B, 3, S, S) in [-1, 1]; a square that is cut out is 0.
    """
    size = images.shape[-1]
    changed = images[indices]
    if draws.shifts is not None or draws.flips is not None:
        sources = _sources(indices, draws, size, augmentation.translate)
        changed = changed.flatten(2).gather(2, sources.expand(-1, changed.shape[1], -1)).view_as(changed)
    inputs = normalize(changed)
    if draws.corners is not None:
        offsets = torch.arange(size, device=images.device) - draws.corners[indices].unsqueeze(2)
        inside = (offsets >= 0) & (offsets < augmentation.cutout)
        inputs.masked_fill_((inside[:, 0, :, None] & inside[:, 1, None, :]).unsqueeze(1), 0)
    return inputs


def downscale(inputs: Tensor) -> Tensor:
    """`inputs`, float (B, C, S, S), at three quarters of their height and width."""
    size = inputs.shape[-1] * 3 // 4
    return functional.interpolate(inputs, size=size, mode="bilinear", antialias=True)


def _sources(indices: Tensor, draws: AugmentParams, size: int, shift: int) -> Tensor:
    """Which pixel of its image, counted row by row, each pixel of a shifted and mirrored one is.

    Of shape (B, 1, S * S). On a CPU, to take every pixel once takes a third of the time of one change after
    the other.
    """
    rows = columns = torch.arange(size, device=indices.device).expand(len(indices), size)
    if draws.flips is not None:
        columns = torch.where(draws.flips[indices].unsqueeze(1), columns.flip(1), columns)
    if draws.shifts is not None:
        moved = draws.shifts[indices] - shift
        rows = _reflected(rows + moved[:, :1], size)
        columns = _reflected(columns + moved[:, 1:], size)
    return (rows.unsqueeze(2) * size + columns.unsqueeze(1)).flatten(1).unsqueeze(1)


def _reflected(places: Tensor, size: int) -> Tensor:
    """`places` outside of 0 to `size` - 1, reflected at the first and the last."""
    places = places.abs()
    return torch.where(places >= size, 2 * (size - 1) - places, places)
