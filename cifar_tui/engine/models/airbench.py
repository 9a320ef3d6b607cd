"""The networks of the CIFAR-10 speed records, by width.

Source: Keller Jordan, 94 % on CIFAR-10 in 3.29 Seconds on a Single GPU, https://arxiv.org/abs/2404.00498,
which names what it builds on: David Page's "How to train your ResNet" and tysam-code's hlb-CIFAR10.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from cifar_tui.engine.training.batches import normalize

_PATCH = 2
_WHITENING_CHANNELS = 2 * 3 * _PATCH * _PATCH
_WHITENING_IMAGES = 5000
_WHITENING_EPSILON = 5e-4
_LOGIT_SCALE = 1 / 9


class AirbenchNorm(nn.BatchNorm2d):
    """Batch normalisation that learns where to shift to but keeps its scale of 1."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=1e-12, momentum=0.4)
        self.weight.requires_grad = False


class AirbenchBlock(nn.Module):
    """Convolutions of 3x3, each normalised and activated; the first halves height and width by pooling.

    With three convolutions the last one is beside a shortcut from the first.
    """

    def __init__(
        self, channels_in: int, channels: int, convolutions: int, activation: Callable[[], nn.Module]
    ) -> None:
        super().__init__()
        sizes = [channels_in] + [channels] * (convolutions - 1)
        self.convs = nn.ModuleList(nn.Conv2d(size, channels, 3, padding=1, bias=False) for size in sizes)
        self.norms = nn.ModuleList(AirbenchNorm(channels) for _ in range(convolutions))
        self.activation = activation()
        for conv in self.convs:
            # the first filters hand the channels on as they are, or as many of them as there are filters
            nn.init.dirac_(conv.weight[: conv.weight.shape[1]])  # type: ignore[index]  # a Conv2d's

    def forward(self, inputs: Tensor) -> Tensor:
        """Features of shape (N, channels, H // 2, W // 2) for `inputs` of shape (N, channels_in, H, W)."""
        features = functional.max_pool2d(self.convs[0](inputs), 2)
        first = features = self.activation(self.norms[0](features))
        if len(self.convs) > 1:
            features = self.activation(self.norms[1](self.convs[1](features)))
        if len(self.convs) > 2:
            features = self.activation(self.norms[2](self.convs[2](features)) + first)
        return features  # type: ignore[no-any-return]  # modules of a list have no types


class AirbenchNet(nn.Module):
    """A whitening layer, three blocks, and a linear layer on the largest value of each channel.

    The whitening layer is random until `init_whitening` was called; its weight is never trained.

    Args:
        widths: channels of the three blocks.
        num_classes: number of logits.
        convolutions: to a block, 2 or 3.
        activation: makes the activation of the blocks.
    """

    def __init__(
        self,
        widths: tuple[int, int, int],
        num_classes: int = 10,
        *,
        convolutions: int = 2,
        activation: Callable[[], nn.Module] = nn.GELU,
    ) -> None:
        super().__init__()
        self.whitening = nn.Conv2d(3, _WHITENING_CHANNELS, _PATCH)
        self.whitening.weight.requires_grad = False
        sizes = (_WHITENING_CHANNELS, *widths)
        self.activation = activation()
        self.blocks = nn.ModuleList(
            AirbenchBlock(size, width, convolutions, activation)
            for size, width in zip(sizes, widths, strict=False)
        )
        self.head = nn.Linear(widths[-1], num_classes, bias=False)

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits of shape (N, num_classes) for float `inputs` of shape (N, 3, 32, 32)."""
        features = self.activation(self.whitening(inputs))
        for block in self.blocks:
            features = block(features)
        logits: Tensor = self.head(features.amax(dim=(2, 3)))
        return logits * _LOGIT_SCALE


@torch.no_grad()
def init_whitening(net: AirbenchNet, images: Tensor) -> None:
    """Let the first layer of `net` decorrelate the 2x2 patches of `images`, in both signs.

    Its filters are the eigenvectors of the uncentred covariance of the patches, scaled by 1/sqrt(λ + ε), and
    their negations. ε is 5e-4 of the mean square of the normalised images, whatever their contrast.

    Args:
        net: as it was made.
        images: uint8 (N, 3, 32, 32), training images; some 5,000 of them, evenly spread, are looked at.
    """
    inputs = normalize(images[:: max(1, len(images) // _WHITENING_IMAGES)])
    patches = inputs.unfold(2, _PATCH, 1).unfold(3, _PATCH, 1).permute(0, 2, 3, 1, 4, 5).reshape(-1, 12)
    covariance = (patches.T @ patches) / len(patches)
    values, vectors = torch.linalg.eigh(covariance.cpu().double())
    epsilon = _WHITENING_EPSILON * float(inputs.square().mean())
    filters = (vectors / (values + epsilon).sqrt()).T.reshape(-1, 3, _PATCH, _PATCH).flip(0)
    weight = net.whitening.weight
    weight.copy_(torch.cat([filters, -filters]).to(weight))
    if net.whitening.bias is not None:
        net.whitening.bias.zero_()
