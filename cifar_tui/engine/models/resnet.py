"""ResNet-18 as commonly trained on CIFAR-10, with a stem for small images.

Source: He et al., Deep Residual Learning for Image Recognition, https://arxiv.org/abs/1512.03385, table 1,
with a 3x3 stem of stride 1 and without the first max pooling.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

_STAGES = ((64, 1), (128, 2), (256, 2), (512, 2))
_BLOCKS_PER_STAGE = 2


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with a skip connection, a 1x1 convolution where the shape changes."""

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample = nn.Sequential()
        if stride != 1 or channels_in != channels:
            self.downsample = nn.Sequential(
                nn.Conv2d(channels_in, channels, 1, stride=stride, bias=False), nn.BatchNorm2d(channels)
            )

    def forward(self, inputs: Tensor) -> Tensor:
        """Features of shape (N, channels, H / stride, W / stride) for `inputs` of (N, channels_in, H, W)."""
        features = functional.relu(self.bn1(self.conv1(inputs)))
        features = self.bn2(self.conv2(features))
        return functional.relu(features + self.downsample(inputs))


class ResNet18(nn.Module):
    """The 18-layer residual network with a stem for small images.

    Its `state_dict` has the names of torchvision's `resnet18`; the first convolution is 3x3 here.
    """

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        channels = _STAGES[0][0]
        self.conv1 = nn.Conv2d(3, channels, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        for number, (width, stride) in enumerate(_STAGES, start=1):
            first = BasicBlock(channels, width, stride)
            rest = [BasicBlock(width, width, 1) for _ in range(_BLOCKS_PER_STAGE - 1)]
            self.add_module(f"layer{number}", nn.Sequential(first, *rest))
            channels = width
        self.fc = nn.Linear(channels, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits of shape (N, num_classes) for float `inputs` of shape (N, 3, 32, 32)."""
        features = functional.relu(self.bn1(self.conv1(inputs)))
        for number in range(1, len(_STAGES) + 1):
            features = self.get_submodule(f"layer{number}")(features)
        logits: Tensor = self.fc(torch.flatten(functional.adaptive_avg_pool2d(features, 1), 1))
        return logits
