"""How pixels become the inputs of a network: minus a mean, over a deviation, channel by channel."""

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeGuard

import torch
from torch import Tensor

_WHITE = 255
_CHANNELS = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Normalization:
    """Means and standard deviations of red, green and blue, where black is 0 and white is 1."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def apply(self, images: Tensor) -> Tensor:
        """Convert `images`, uint8 (N, 3, H, W), to float32.

        Bit for bit torchvision's `ToTensor` and `Normalize(mean, std)`.
        """
        shades = images.to(torch.float32).div_(_WHITE)
        if self == TUTORIAL:  # the same bits, and for any shape
            return shades.sub_(0.5).div_(0.5)
        mean, std = _constants(self, images.device)
        return shades.sub_(mean).div_(std)

    @property
    def words(self) -> str:
        """What the inputs are, in words that go on."""
        if self == TUTORIAL:
            return "inputs from -1 to 1"
        mean, std = (" ".join(f"{value:.3f}" for value in values) for values in (self.mean, self.std))
        return f"inputs less mean {mean}, divided by deviation {std}"

    def to_dict(self) -> dict[str, list[float]]:
        """Return what `normalization_in` reads, for a checkpoint."""
        return {"mean": list(self.mean), "std": list(self.std)}


TUTORIAL = Normalization(mean=(0.5,) * _CHANNELS, std=(0.5,) * _CHANNELS)
"""Inputs from -1 to 1."""

IMAGENET = Normalization(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
"""What the published weights of torchvision's models were trained with."""


_NAMED = {"auto": TUTORIAL, "tutorial": TUTORIAL, "imagenet": IMAGENET}


def named_normalization(name: str) -> Normalization | None:
    """Return what the setting `normalization` names; None if that depends on the training images."""
    return _NAMED.get(name)


def normalization_in(value: object) -> Normalization | None:
    """Return the `Normalization` in `value`, which anybody may have written; None if it is none."""
    if not isinstance(value, Mapping):
        return None
    mean, std = value.get("mean"), value.get("std")
    if not _are_numbers(mean) or not _are_numbers(std) or min(std) <= 0:
        return None
    return Normalization(mean=tuple(mean), std=tuple(std))


def _are_numbers(value: object) -> TypeGuard[Sequence[float]]:
    return (
        isinstance(value, list | tuple)
        and len(value) == _CHANNELS
        and all(type(number) is float and math.isfinite(number) for number in value)
    )


@functools.lru_cache(maxsize=8)
def _constants(normalization: Normalization, device: torch.device) -> tuple[Tensor, Tensor]:
    """Mean and deviation, float32 (3, 1, 1), on `device`: a copy in each step would wait for a GPU."""
    mean, std = (
        torch.tensor(values, dtype=torch.float32, device=device).view(-1, 1, 1)
        for values in (normalization.mean, normalization.std)
    )
    return mean, std
