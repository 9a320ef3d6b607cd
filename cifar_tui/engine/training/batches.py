"""Shuffling and normalization as in the tutorial's DataLoader, and the size of an epoch."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

_SMALLEST_LAST_BATCH = 0.25
_ROUNDING = 1e-9


@dataclass(frozen=True, kw_only=True, slots=True)
class EpochSize:
    """Training images and steps of an epoch."""

    images: int
    steps: int


def epoch_size(net: nn.Module, count: int, batch_size: int) -> EpochSize:
    """The size of an epoch of `net` over `count` images: all, except a last batch that would spoil it.

    The last batch makes up a tenth or more of the running statistics of batch normalization, so a model with
    such layers leaves out a last batch smaller than a quarter of the others; every epoch draws other images.
    """
    rest = count % batch_size
    spoils = any(isinstance(module, nn.BatchNorm2d) for module in net.modules())
    left_out = rest if spoils and rest < min(count, _SMALLEST_LAST_BATCH * batch_size) else 0
    return EpochSize(images=count - left_out, steps=math.ceil((count - left_out) / batch_size))


def normalize(images: Tensor) -> Tensor:
    """Convert `images`, uint8 (N, 3, H, W), to float32 in [-1, 1].

    Bit for bit torchvision's `ToTensor` and `Normalize((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))`.
    """
    return images.to(torch.float32).div_(255).sub_(0.5).div_(0.5)


def shuffled_order(count: int) -> Tensor:
    """The order, int64 (count,), in which `DataLoader(shuffle=True)` visits `count` images in its next epoch.

    Draws from torch's global generator what the DataLoader draws: the base seed of its workers, unused here,
    and the seed of the permutation.
    """
    _draw_seed()
    generator = torch.Generator()
    generator.manual_seed(_draw_seed())
    return torch.randperm(count, generator=generator)


def reshuffled_order(count: int, rng_state: Tensor) -> Tensor:
    """The order that `shuffled_order` drew from `rng_state`; leaves torch's global generator alone."""
    now = torch.get_rng_state()
    torch.set_rng_state(rng_state)
    order = shuffled_order(count)
    torch.set_rng_state(now)
    return order


def _draw_seed() -> int:
    return int(torch.empty((), dtype=torch.int64).random_().item())


def low_res_epochs(fraction: float, epochs: int) -> int:
    """How many of `epochs`, from the first, train on images of 3/4 the size."""
    return int(fraction * epochs + _ROUNDING)
