"""Test-time augmentation: average the logits over several views of an image."""

from collections.abc import Callable
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn
from torch.nn import functional

from cifar_tui.engine.models.classifier import logits_in


class TestTimeAugmentation(nn.Module):
    """Averages the logits of `net` over views of each image.

    "mirror" averages the image and its mirror image. "mirror+translate" adds both of these moved by one pixel
    up and left, and down and right, with half the weight: six views. Source: Jordan,
    https://arxiv.org/abs/2404.00498, section 3.5.

    Args:
        net: returns logits (N, C).
        views: none, mirror or mirror+translate.
        autocast: creates the context in which `net` runs.
    """

    __test__ = False  # pytest takes a class named Test… for tests

    def __init__(
        self, net: nn.Module, views: str, autocast: Callable[[], AbstractContextManager[object]]
    ) -> None:
        super().__init__()
        self.net = net
        self._views = views
        self._autocast = autocast

    def forward(self, inputs: Tensor) -> Tensor:
        """Return float32 logits (N, C) for `inputs` of shape (N, 3, 32, 32)."""
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
            output: object = self.net(inputs)
        return logits_in(output)
