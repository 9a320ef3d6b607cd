"""Augmentation of training images: translation, flip, cutout and lower resolution, batched on tensors.

Torchvision's transforms and the mixing of batches are in `transforms`; here they get their seeds.

What is sampled for an image depends on seed, epoch and image only (of an epoch that repeats images, on its
place instead of the image), so a run that resumes within an epoch samples the same again.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional

from cifar_tui.engine.data.dataset import ImageSplit
from cifar_tui.engine.training.transforms import Transforms

_SEED_STRIDE = 1_000_003
_SEEDS = 2**63


@dataclass(frozen=True, kw_only=True, slots=True)
class Augmentation:
    """How training images are augmented.

    Attributes:
        translate: largest shift in each direction, in pixels; the image is reflected at its edges.
        flip: "none"; "random", half of the images of an epoch; or "alternating", a random half of the images
            in the first epoch, the other half in the second, and so on.
        cutout: side of a square at a random place in the image that is set to 0, in pixels; 0 for none.
        transforms: further changes of each image.
        mixes: whether the images of a batch are mixed.
    """

    translate: int = 0
    flip: str = "none"
    cutout: int = 0
    transforms: Transforms = field(default_factory=Transforms)
    mixes: bool = False


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class AugmentParams:
    """What an epoch does to each of N images; None where it does nothing.

    Attributes:
        offsets: int64 (N, 2), first row and column of the window, from 0 to twice the largest shift.
        flips: bool (N,), which images are mirrored left to right.
        corners: int64 (N, 2), first row and column of the square that is cut out.
        image_seeds: int64 (N,), of the random transforms of each image.
        batch_seeds: int64 (N,), of the mixing of each batch of the epoch, of which there are at most N.
    """

    offsets: Tensor | None
    flips: Tensor | None
    corners: Tensor | None
    image_seeds: Tensor | None
    batch_seeds: Tensor | None


def sample_augmentation(
    augmentation: Augmentation, count: int, *, size: int, seed: int, epoch: int, device: torch.device
) -> AugmentParams:
    """Sample what `epoch`, counted from 0, does to `count` images of `size` x `size` pixels.

    Source of the alternating flip: Jordan, https://arxiv.org/abs/2404.00498, section 3.6.
    """
    generator = torch.Generator().manual_seed((seed * _SEED_STRIDE + epoch + 1) % _SEEDS)
    offsets = flips = corners = image_seeds = batch_seeds = None
    if augmentation.translate:
        offsets = torch.randint(2 * augmentation.translate + 1, (count, 2), generator=generator).to(device)
    if augmentation.cutout:
        corners = torch.randint(size - augmentation.cutout + 1, (count, 2), generator=generator).to(device)
    if augmentation.flip == "random":
        flips = torch.randint(2, (count,), generator=generator).bool().to(device)
    elif augmentation.flip == "alternating":
        generator.manual_seed(seed * _SEED_STRIDE % _SEEDS)
        first = torch.randint(2, (count,), generator=generator).bool()
        flips = (first ^ bool(epoch % 2)).to(device)
    if augmentation.transforms or augmentation.mixes:  # from another generator: the draws above stay
        generator.manual_seed((~(seed * _SEED_STRIDE) - epoch) % _SEEDS)
        image_seeds, batch_seeds = torch.randint(_SEEDS - 1, (2, count), generator=generator)
    return AugmentParams(
        offsets=offsets, flips=flips, corners=corners, image_seeds=image_seeds, batch_seeds=batch_seeds
    )


def augment(
    train: ImageSplit,
    indices: Tensor,
    params: AugmentParams,
    augmentation: Augmentation,
    *,
    draws: Tensor | None = None,
) -> Tensor:
    """Augment and normalize the images at `indices`.

    Args:
        train: N images of S x S pixels.
        indices: int64 (B,), on the device of `train`.
        params: of this epoch, for the N images.
        augmentation: that `params` were sampled for.
        draws: int64 (B,), whose `params` each image has, except that it alternates its own flip; None: its
            own. In an epoch with an image twice, the two differ.

    Returns:
        float32 (B, 3, S, S); a square that is cut out is 0.
    """
    size = train.image_size
    draws = indices if draws is None else draws
    changed = train.take(indices)
    if params.offsets is not None or params.flips is not None:
        flipped = indices if augmentation.flip == "alternating" else draws
        sources = _source_pixels(draws, flipped, params, size, augmentation.translate)
        changed = changed.flatten(2).gather(2, sources.expand(-1, changed.shape[1], -1)).view_as(changed)
    if augmentation.transforms and params.image_seeds is not None:
        changed = augmentation.transforms.apply(changed, params.image_seeds[draws.cpu()])
    inputs = train.normalization.apply(changed)
    if params.corners is not None:
        distances = torch.arange(size, device=inputs.device) - params.corners[draws].unsqueeze(2)
        inside = (distances >= 0) & (distances < augmentation.cutout)
        inputs.masked_fill_((inside[:, 0, :, None] & inside[:, 1, None, :]).unsqueeze(1), 0)
    return inputs


def downscale(inputs: Tensor) -> Tensor:
    """Resize `inputs`, float (B, C, S, S), to 3/4 of their height and width."""
    size = inputs.shape[-1] * 3 // 4
    return functional.interpolate(inputs, size=size, mode="bilinear", antialias=True)


def _source_pixels(
    shifted: Tensor, flipped: Tensor, params: AugmentParams, size: int, translate: int
) -> Tensor:
    """Flat source index of each augmented pixel, of shape (B, 1, S * S).

    One gather takes a third of the time of separate flips and shifts on a CPU.
    """
    rows = columns = torch.arange(size, device=shifted.device).expand(len(shifted), size)
    if params.flips is not None:
        columns = torch.where(params.flips[flipped].unsqueeze(1), columns.flip(1), columns)
    if params.offsets is not None:
        shifts = params.offsets[shifted] - translate
        rows = _reflected(rows + shifts[:, :1], size)
        columns = _reflected(columns + shifts[:, 1:], size)
    return (rows.unsqueeze(2) * size + columns.unsqueeze(1)).flatten(1).unsqueeze(1)


def _reflected(positions: Tensor, size: int) -> Tensor:
    """Reflect `positions` outside of 0 to `size` - 1 at the first and the last."""
    positions = positions.abs()
    return torch.where(positions >= size, 2 * (size - 1) - positions, positions)
