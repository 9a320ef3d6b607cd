"""Torchvision's random transforms of training images, one by one, and its mixing of batches, all seeded.

The transforms draw from torch's global generator of the CPU, which is put back: the order of the images and a
net's dropout stay those of a training without them. Imports torchvision only where one is set.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

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

        Args:
            images: on any device.
            seeds: int64 (B,), on any device.
        """
        from torchvision.transforms import v2

        steps: list[torch.nn.Module] = []
        if self.random_resized_crop:
            scale = (self.random_resized_crop, 1.0)
            steps.append(v2.RandomResizedCrop(images.shape[-1], scale=scale, ratio=_ASPECT))
        if self.rand_augment:
            steps.append(v2.RandAugment(_OPERATIONS, self.rand_augment))
        if self.color_jitter:
            strength = self.color_jitter
            steps.append(v2.ColorJitter(strength, strength, strength, strength * _HUE_SHARE))
        change = v2.Compose(steps)
        changed = []
        for image, seed in zip(images, seeds.tolist(), strict=True):
            with _seeded(seed):
                changed.append(change(image))
        return torch.stack(changed)


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


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    state = torch.get_rng_state()
    torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed the GPUs as well
    try:
        yield
    finally:
        torch.set_rng_state(state)
