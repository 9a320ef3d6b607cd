"""The networks of the CIFAR-10 speed records (airbench), by width.

Source: Keller Jordan, 94 % on CIFAR-10 in 3.29 Seconds on a Single GPU, https://arxiv.org/abs/2404.00498,
which credits David Page's "How to train your ResNet" and tysam-code's hlb-CIFAR10.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from cifar_tui.engine.data.dataset import ImageSplit, images_at_a_time
from cifar_tui.engine.models.classifier import Classifier

_PATCH = 2
_WHITENING_CHANNELS = 2 * 3 * _PATCH * _PATCH
_WHITENING_IMAGES = 5000
_WHITENING_EPSILON = 5e-4
_WHITENING_BIAS_EPOCHS = 3
_LOGIT_SCALE = 1 / 9


class AirbenchNorm(nn.BatchNorm2d):
    """Batch normalization with a learned bias and a fixed weight of 1."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=1e-12, momentum=0.4)
        self.weight.requires_grad = False


class AirbenchBlock(nn.Module):
    """3x3 convolutions, each followed by normalization and activation; max pooling after the first one.

    With three convolutions, a skip connection leads from the first one's output to the last one's.
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
            # Dirac: the first filters pass their input channels through
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


class AirbenchNet(Classifier):
    """A whitening convolution, three blocks, global max pooling and a linear layer.

    The weight of the whitening convolution is random until `init_from_images` and never trained; its bias
    learns for three epochs.

    Args:
        widths: channels of the three blocks.
        num_classes: number of logits per image.
        convolutions: per block, 2 or 3.
        activation: builds the activation.
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
    def init_from_images(self, train: ImageSplit) -> None:
        """Make the first layer whiten 2x2 patches of the training images, of which it uses 5,000.

        Of images larger than 32x32 it uses fewer, for about as many patches.

        The filters are the eigenvectors of the uncentred patch covariance, scaled by 1/sqrt(λ + ε), and their
        negations. ε is 5e-4 of the mean square of the normalized images.
        """
        used = images_at_a_time(_WHITENING_IMAGES, train.image_size)
        inputs = train.inputs(slice(None, None, max(1, len(train) // used)))
        patches = inputs.unfold(2, _PATCH, 1).unfold(3, _PATCH, 1).permute(0, 2, 3, 1, 4, 5).reshape(-1, 12)
        covariance = (patches.T @ patches) / len(patches)
        values, vectors = torch.linalg.eigh(covariance.cpu().double())
        epsilon = _WHITENING_EPSILON * float(inputs.square().mean())
        filters = (vectors / (values + epsilon).sqrt()).T.reshape(-1, 3, _PATCH, _PATCH).flip(0)
        weight = self.whitening.weight
        weight.copy_(torch.cat([filters, -filters]).to(weight))
        self._whitening_bias().zero_()

    def frozen_parameters(self, epoch: int) -> list[nn.Parameter]:
        """The whitening bias after three epochs: its gradient is the most expensive one."""
        return [self._whitening_bias()] if epoch >= _WHITENING_BIAS_EPOCHS else []

    def base_lr_biases(self, optimizer: str) -> list[nn.Parameter]:
        """The whitening bias, except with Muon, as published."""
        return [] if optimizer == "muon" else [self._whitening_bias()]

    def _whitening_bias(self) -> nn.Parameter:
        return self.get_parameter("whitening.bias")


airbench_tiny = partial(AirbenchNet, (16, 64, 96), activation=nn.ReLU)
airbench_small = partial(AirbenchNet, (32, 128, 192), activation=nn.ReLU)
airbench94 = partial(AirbenchNet, (64, 256, 256))
airbench95 = partial(AirbenchNet, (128, 384, 384))
airbench96 = partial(AirbenchNet, (128, 384, 512), convolutions=3)
