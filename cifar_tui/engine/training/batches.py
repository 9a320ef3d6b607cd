"""From uint8 images in memory to normalised batches, in the order the tutorial's DataLoader gives them."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from cifar_tui.engine.data.dataset import ImageSplit

_PREPARED_IMAGES = 1024
_SMALLEST_LAST_BATCH = 0.25


@dataclass(frozen=True, kw_only=True, slots=True)
class EpochSize:
    """How many images an epoch trains on, and in how many steps."""

    images: int
    steps: int


def epoch_size(net: nn.Module, count: int, batch_size: int) -> EpochSize:
    """What an epoch of `net` over `count` images is: all of them, but for a last batch that would spoil it.

    Batch normalisation goes by the mean and the variance of a batch, and of what it keeps of them for
    evaluating a tenth, in a airbench four, is the last batch's. So a net that has it does without a last
    batch smaller than a quarter of the others; which images those are is drawn anew in every epoch.
    """
    rest = count % batch_size
    spoils = any(isinstance(module, nn.BatchNorm2d) for module in net.modules())
    left_out = rest if spoils and rest < min(count, _SMALLEST_LAST_BATCH * batch_size) else 0
    return EpochSize(images=count - left_out, steps=math.ceil((count - left_out) / batch_size))


def normalize(images: Tensor) -> Tensor:
    """`images`, uint8 (N, 3, 32, 32), as float32 in [-1, 1].

    The same bits as torchvision's `ToTensor` and `Normalize((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))`.
    """
    return images.to(torch.float32).div_(255).sub_(0.5).div_(0.5)


def shuffled_order(count: int) -> Tensor:
    """The order, int64 (count,), in which `DataLoader(shuffle=True)` visits `count` images in its next epoch.

    Draws from torch's global generator just what the DataLoader draws: first the base seed of its workers,
    which nothing uses here, then the seed of the permutation.
    """
    _draw_seed()
    generator = torch.Generator()
    generator.manual_seed(_draw_seed())
    return torch.randperm(count, generator=generator)


def reshuffled_order(count: int, rng_state: Tensor) -> Tensor:
    """The order that `shuffled_order` gave from `rng_state`; torch's global generator stays as it is."""
    now = torch.get_rng_state()
    torch.set_rng_state(rng_state)
    order = shuffled_order(count)
    torch.set_rng_state(now)
    return order


def _draw_seed() -> int:
    return int(torch.empty((), dtype=torch.int64).random_().item())


def batches(split: ImageSplit, order: Tensor, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """The images of `split` in `order`, as (inputs, targets) of `batch_size`; the last batch may be smaller.

    Inputs are normalised float32 (N, 3, 32, 32), targets int64 (N,), both on the device of `split`. Images
    are gathered and normalised for many small batches at once: the same bits in fewer calls.
    """
    prepared = max(1, _PREPARED_IMAGES // batch_size) * batch_size
    for indices in torch.split(order.to(split.targets.device), prepared):
        inputs = normalize(split.images[indices])
        targets = split.targets[indices]
        yield from zip(torch.split(inputs, batch_size), torch.split(targets, batch_size), strict=True)
