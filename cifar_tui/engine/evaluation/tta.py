"""Test-time views: a net that is asked about several views of an image and answers with the mean."""

from contextlib import AbstractContextManager
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional


class _Autocast(Protocol):
    def __call__(self) -> AbstractContextManager[object]: ...


class TestTimeAugmentation(nn.Module):
    """Logits of `net`, averaged over views of each image.

    "mirror" is the image and its mirror image. "six" is these two, each also moved by a pixel up and left,
    and down and right, with half the weight of the unmoved ones. Source: Jordan,
    https://arxiv.org/abs/2404.00498, section 3.5.

    Args:
        net: gives logits (N, C).
        views: none, mirror or six.
        autocast: makes the context in which `net` is run.
    """

    def __init__(self, net: nn.Module, views: str, autocast: _Autocast) -> None:
        super().__init__()
        self.net = net
        self._views = views
        self._autocast = autocast

    def forward(self, inputs: Tensor) -> Tensor:
        """Float32 logits (N, C) for `inputs` of shape (N, 3, 32, 32)."""
        if self._views == "none":
            return self._logits(inputs)
        if self._views == "mirror":
            return self._mirrored(inputs)
        size = inputs.shape[-1]
        padded = functional.pad(inputs, (1, 1, 1, 1), mode="reflect")
        corners = (padded[:, :, :size, :size], padded[:, :, 2:, 2:])
        moved = torch.stack([self._mirrored(corner) for corner in corners]).mean(dim=0)
        return (self._mirrored(inputs) + moved) / 2

    def _mirrored(self, inputs: Tensor) -> Tensor:
        return (self._logits(inputs) + self._logits(inputs.flip(3))) / 2

    def _logits(self, inputs: Tensor) -> Tensor:
        with self._autocast():
            logits: Tensor = self.net(inputs)
        return logits.float()
