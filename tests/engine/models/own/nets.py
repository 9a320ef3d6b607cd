"""Files with nets of a user's."""

import textwrap

TUTORIAL = """
    import torch
    from torch import nn
    from torch.nn import functional as F


    class Net(nn.Module):
        def __init__(self, num_classes):
            super().__init__()
            self.conv1 = nn.Conv2d(3, 6, 5)
            self.pool = nn.MaxPool2d(2, 2)
            self.conv2 = nn.Conv2d(6, 16, 5)
            self.fc1 = nn.Linear(16 * 5 * 5, 120)
            self.fc2 = nn.Linear(120, 84)
            self.fc3 = nn.Linear(84, num_classes)

        def forward(self, x):
            x = self.pool(F.relu(self.conv1(x)))
            x = self.pool(F.relu(self.conv2(x)))
            x = torch.flatten(x, 1)
            x = F.relu(self.fc1(x))
            x = F.relu(self.fc2(x))
            return self.fc3(x)
"""

RANDOM = '''
    """Batch normalization, dropout, and every generator of random numbers, even in evaluation mode."""
    import random

    import numpy as np
    import torch
    from torch import nn

    SCALE = 1 + 0.1 * torch.rand(1).item() + random.random() + np.random.rand()


    class Net(nn.Module):
        def __init__(self, num_classes):
            super().__init__()
            self.features = nn.Sequential(
                nn.Conv2d(3, 8, 3, stride=4), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Dropout(0.3)
            )
            self.head = nn.Linear(8 * 64, num_classes)
            with torch.no_grad():
                self.head.bias += random.random() + np.random.randn()
            self.register_buffer("calls", torch.zeros((), dtype=torch.int64))

        def forward(self, x):
            self.calls += 1
            noise = random.gauss(0, 1) + np.random.normal() + torch.randn(())
            return self.head(self.features(x)) * (SCALE + 0.1 * noise)
'''

VIT = """
    import torch
    from torch import nn


    class Block(nn.Module):
        def __init__(self, width, heads):
            super().__init__()
            self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
            self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
            self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

        def forward(self, x):
            y = self.norm1(x)
            x = x + self.attention(y, y, y, need_weights=False)[0]
            return x + self.mlp(self.norm2(x))


    class ViT(nn.Module):
        def __init__(self, num_classes, image_size, patch=8, width=32, depth=2):
            super().__init__()
            self.patches = nn.Conv2d(3, width, patch, stride=patch)
            self.position = nn.Parameter(0.02 * torch.randn(1, (image_size // patch) ** 2, width))
            self.blocks = nn.Sequential(*(Block(width, 4) for _ in range(depth)))
            self.head = nn.Linear(width, num_classes)

        def forward(self, x):
            x = self.patches(x).flatten(2).transpose(1, 2)
            return self.head(self.blocks(x + self.position).mean(dim=1))
"""

FUNCTION = """
    from torch import nn


    def make_net(num_classes: int = 10) -> nn.Module:
        return nn.Sequential(
            nn.LazyConv2d(8, 3, stride=2),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.LazyLinear(num_classes),
        )
"""


def write_net(folder, source, name="my_net.py"):
    """Write `source` to a file in `folder`, and return its path."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(source))
    return path
