"""A small vision transformer: a net of your own for cifar-tui.

Copy this file, change what you like, and train it:

    cifar-tui train --set model=small_vit.py:SmallViT --set optimizer=adamw --lr 0.001 --batch-size 128

cifar-tui passes `num_classes`, and `image_size` in pixels. The inputs are float32 (N, 3, H, W) from -1 to 1,
the outputs logits (N, num_classes).
"""

import torch
from torch import Tensor, nn


class Block(nn.Module):
    """Attention between all patches, then a layer for each; both are added to what they get.

    Args:
        width: features of a patch.
        heads: of the attention; they divide `width`.
        dropout: fraction of the features that training drops.
    """

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, heads, dropout=dropout, batch_first=True)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Dropout(dropout), nn.Linear(2 * width, width)
        )

    def forward(self, patches: Tensor) -> Tensor:
        """Return features of shape (N, patches, width) for `patches` of that shape."""
        normed = self.norm1(patches)
        patches = patches + self.attention(normed, normed, normed, need_weights=False)[0]
        mixed: Tensor = patches + self.mlp(self.norm2(patches))
        return mixed


class SmallViT(nn.Module):
    """Cuts an image into patches, lets them attend to each other, and classifies their mean.

    Args:
        num_classes: logits for an image.
        image_size: height and width of the images in pixels, a multiple of `patch`.
        patch: height and width of a patch in pixels.
        width: features of a patch.
        depth: number of blocks.
    """

    def __init__(
        self, num_classes: int = 10, image_size: int = 32, patch: int = 4, width: int = 96, depth: int = 4
    ) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, patch, stride=patch)
        self.position = nn.Parameter(0.02 * torch.randn(1, (image_size // patch) ** 2, width))
        self.blocks = nn.Sequential(*(Block(width, heads=4, dropout=0.1) for _ in range(depth)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits of shape (N, num_classes) for float32 `images` of shape (N, 3, H, W)."""
        patches = self.patches(images).flatten(2).transpose(1, 2) + self.position
        features = self.norm(self.blocks(patches)).mean(dim=1)
        logits: Tensor = self.head(features)
        return logits
