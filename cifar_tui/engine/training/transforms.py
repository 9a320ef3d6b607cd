"""Torchvision's random transforms of training images, and its mixing of batches, all seeded.

The transforms draw from torch's global generator of the CPU, which is put back: the order of the images and a
net's dropout stay those of a training without them. Imports torchvision only where one is set.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from cifar_tui.engine.training.batch_transforms import jittered, resized_crops

_ASPECT = (3 / 4, 4 / 3)
_HUE_SHARE = 1 / 4
_OPERATIONS = 2

Mix = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""Takes inputs, float (B, C, H, W), and classes, int64 (B,); returns mixed inputs and float (B, classes)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Transforms:
    """Random changes of single images, in this order; 0 for none.

    Attributes:
        random_resized_crop: least share of the image's area that is cropped, and resized to the whole.
            Source: Szegedy et al., https://arxiv.org/abs/1409.4842.
        rand_augment: magnitude, 1 to 30, of two random operations. Source: Cubuk et al.,
            https://arxiv.org/abs/1909.13719.
        color_jitter: strength, up to 1, of random brightness, contrast and saturation; a quarter for the hue.
    """

    random_resized_crop: float = 0.0
    rand_augment: int = 0
    color_jitter: float = 0.0

    def __bool__(self) -> bool:
        return bool(self.random_resized_crop or self.rand_augment or self.color_jitter)

    def apply(self, images: Tensor, seeds: Tensor) -> Tensor:
        """Change each of `images`, uint8 (B, 3, S, S), as torchvision does after seeding with its own seed.

        RandAugment is to the bit, crop and jitter within the tolerance of `batch_transforms`.

        Args:
            images: on any device.
            seeds: int64 (B,), on any device.
        """
        from torchvision import transforms
        from torchvision.transforms import v2

        draws = _Draws(seeds)
        if self.random_resized_crop:
            crop, scale = transforms.RandomResizedCrop.get_params, [self.random_resized_crop, 1.0]
            boxes = torch.tensor([crop(images[0], scale, list(_ASPECT)) for _ in draws])
            images = resized_crops(images, boxes)
        if self.rand_augment:
            augment = v2.RandAugment(_OPERATIONS, self.rand_augment)
            images = torch.stack([augment(images[index]) for index in draws])
        if self.color_jitter:
            jitter, (factors, hues) = transforms.ColorJitter.get_params, self._jitter_ranges()
            drawn = [jitter(factors, factors, factors, hues) for _ in draws]
            orders = torch.stack([order for order, *_ in drawn])
            images = jittered(images, orders, torch.tensor([values for _, *values in drawn]))
        return images

    def _jitter_ranges(self) -> tuple[list[float], list[float]]:
        """The least and the largest factor of brightness, contrast and saturation, and turn of the hue."""
        hue = self.color_jitter * _HUE_SHARE
        return [1 - self.color_jitter, 1 + self.color_jitter], [-hue, hue]


def mixing(*, mixup: float, cutmix: float, num_classes: int) -> Mix | None:
    """What mixes the images of a batch with each other, and their classes; None if both settings are 0.

    With both, each batch takes either, equally often. Sources: Zhang et al., https://arxiv.org/abs/1710.09412;
    Yun et al., https://arxiv.org/abs/1905.04899.

    Args:
        mixup: alpha of MixUp, the sum of two images; 0 for none.
        cutmix: alpha of CutMix, a rectangle of another image; 0 for none.
        num_classes: number of classes.
    """
    if not mixup and not cutmix:
        return None
    from torchvision.transforms import v2

    kinds = [(v2.MixUp, mixup), (v2.CutMix, cutmix)]
    mixes = [kind(alpha=alpha, num_classes=num_classes) for kind, alpha in kinds if alpha]
    mix: Mix = mixes[0] if len(mixes) == 1 else v2.RandomChoice(mixes)
    return mix


def mixed_batches(
    batches: Iterable[tuple[Tensor, Tensor]], mix: Mix, seeds: Tensor
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield `batches` of inputs and classes mixed by `mix`, each as its own of `seeds`, int64, says."""
    for (inputs, targets), seed in zip(batches, seeds.tolist(), strict=False):
        with _seeded(seed):
            mixed = mix(inputs, targets)
        yield mixed


def dominant(targets: Tensor) -> Tensor:
    """The class of each image, int64 (B,): of mixed ones that with the larger share."""
    return targets.argmax(dim=1) if targets.is_floating_point() else targets


class _Draws:
    """The random numbers of each image: one transform after the other continues to draw from them."""

    def __init__(self, seeds: Tensor) -> None:
        self._states = [torch.Generator().manual_seed(seed).get_state() for seed in seeds.tolist()]

    def __iter__(self) -> Iterator[int]:
        """Yield the index of each image, while torch's global generator draws its numbers."""
        before = torch.get_rng_state()
        try:
            for index, state in enumerate(self._states):
                torch.set_rng_state(state)
                yield index
                self._states[index] = torch.get_rng_state()
        finally:
            torch.set_rng_state(before)


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    state = torch.get_rng_state()
    torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed the GPUs as well
    try:
        yield
    finally:
        torch.set_rng_state(state)
