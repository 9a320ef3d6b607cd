"""The batches of an epoch: how many, in which order (that of PyTorch's DataLoader), augmented."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from cifar_tui.engine.data.dataset import ImageSplit, images_at_a_time
from cifar_tui.engine.training.augment import Augmentation, AugmentParams, augment, downscale
from cifar_tui.engine.training.class_balance import image_weights

_SMALLEST_LAST_BATCH = 0.25
_ROUNDING = 1e-9
_PREPARED_IMAGES = 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class EpochSize:
    """Training images and steps of an epoch."""

    images: int
    steps: int


def epoch_size(net: nn.Module, count: int, batch_size: int) -> EpochSize:
    """The size of an epoch of `net` over `count` images; drops a last batch too small for batch norm.

    The last batch makes up a tenth or more of the running statistics of batch normalization, so a model with
    such layers leaves out a last batch smaller than a quarter of the others; every epoch draws other images.
    """
    rest = count % batch_size
    spoils = any(isinstance(module, nn.BatchNorm2d | nn.SyncBatchNorm) for module in net.modules())
    left_out = rest if spoils and rest < min(count, _SMALLEST_LAST_BATCH * batch_size) else 0
    return EpochSize(images=count - left_out, steps=math.ceil((count - left_out) / batch_size))


def shuffled_order(count: int) -> Tensor:
    """The order, int64 (count,), in which `DataLoader(shuffle=True)` visits `count` images in its next epoch.

    Draws from torch's global generator what the DataLoader draws: the base seed of its workers, unused here,
    and the seed of the permutation.
    """
    _draw_seed()
    generator = torch.Generator()
    generator.manual_seed(_draw_seed())
    return torch.randperm(count, generator=generator)


def weighted_order(weights: Tensor) -> Tensor:
    """The images, int64 (N,), that `DataLoader(sampler=WeightedRandomSampler(weights, N))` draws next.

    Draws from torch's global generator what the DataLoader draws: the base seed of its workers, unused here,
    and the images, with replacement.

    Args:
        weights: float64 (N,), how likely each image is drawn.
    """
    _draw_seed()
    return torch.multinomial(weights, len(weights), replacement=True)


def epoch_sampler(sampler: str, targets: Tensor) -> Callable[[], Tensor]:
    """What draws the order of the next epoch, int64 (N,), as the setting `sampler` says.

    Args:
        sampler: "shuffle" or "weighted".
        targets: int64 (N,), the classes of the training images.
    """
    if sampler == "weighted":
        return partial(weighted_order, image_weights(targets))
    return partial(shuffled_order, len(targets))


def redrawn(draw: Callable[[], Tensor], rng_state: Tensor) -> Tensor:
    """The order that `draw` drew from `rng_state`; leaves torch's global generator alone."""
    now = torch.get_rng_state()
    torch.set_rng_state(rng_state)
    order = draw()
    torch.set_rng_state(now)
    return order


def _draw_seed() -> int:
    return int(torch.empty((), dtype=torch.int64).random_().item())


def low_res_epochs(fraction: float, epochs: int) -> int:
    """How many of `epochs`, from the first, train on images of 3/4 the size."""
    return int(fraction * epochs + _ROUNDING)


def augmented_batches(
    train: ImageSplit,
    order: Tensor,
    batch_size: int,
    augmentation: Augmentation,
    params: AugmentParams,
    *,
    draws: Tensor | None = None,
    low_res: bool,
    memory_format: torch.memory_format,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the images of `train` in `order`, augmented and normalized; the last batch may be smaller.

    Many small batches are prepared together: the same bits in fewer calls. Other backends make their own
    batches: a setting that acts here must not be in their `supports`.

    Args:
        train: the training images.
        order: int64 (N,), indices of images.
        batch_size: images per batch.
        augmentation: how they are augmented.
        params: sampled for it, in this epoch.
        draws: int64 (N,), the place in the epoch of each image of `order`, if that has images several
            times, which then differ in their augmentation; None if it has each only once.
        low_res: whether images are downscaled to 3/4 of their size.
        memory_format: of the inputs.

    Yields:
        Inputs, float32 (B, 3, H, W), and targets, int64 (B,), on the device of `train`.
    """
    prepared = max(1, images_at_a_time(_PREPARED_IMAGES, train.image_size) // batch_size) * batch_size
    order = order.to(train.targets.device)
    draws = order if draws is None else draws.to(order.device)
    for indices, rows in zip(torch.split(order, prepared), torch.split(draws, prepared), strict=True):
        inputs = augment(train, indices, params, augmentation, draws=rows)
        if low_res:
            inputs = downscale(inputs)
        inputs, targets = inputs.contiguous(memory_format=memory_format), train.targets[indices]
        yield from zip(torch.split(inputs, batch_size), torch.split(targets, batch_size), strict=True)
