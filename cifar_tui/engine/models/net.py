"""The network of the PyTorch CIFAR-10 tutorial."""

import torch
from torch import Tensor, nn
from torch.nn import functional


class Net(nn.Module):
    """The small convolutional network of the PyTorch CIFAR-10 tutorial.

    The attribute names are the tutorial's, so either program loads the other's `state_dict`. Source:
    https://docs.pytorch.org/tutorials/beginner/blitz/cifar10_tutorial.html
    """

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 5)
        self.pool = nn.MaxPool2d(2, 2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(16 * 5 * 5, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, num_classes)

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits of shape (N, num_classes) for float32 `inputs` of shape (N, 3, 32, 32)."""
        features = self.pool(functional.relu(self.conv1(inputs)))
        features = self.pool(functional.relu(self.conv2(features)))
        features = torch.flatten(features, 1)
        features = functional.relu(self.fc1(features))
        features = functional.relu(self.fc2(features))
        logits: Tensor = self.fc3(features)
        return logits
