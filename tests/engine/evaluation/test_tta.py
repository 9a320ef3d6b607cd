"""Test-time augmentation: the views of an image, and how their logits are averaged."""

from contextlib import nullcontext

import pytest
import torch
from torch import nn

from cifar_tui.engine.evaluation.tta import TestTimeAugmentation


class OnePixel(nn.Module):
    """Returns one pixel as the logits, which shows what views it got."""

    def __init__(self, row, column):
        super().__init__()
        self.row, self.column = row, column

    def forward(self, inputs):
        return inputs[:, :, self.row, self.column]


@pytest.fixture
def inputs():
    return torch.arange(3 * 32 * 32, dtype=torch.float32).reshape(1, 3, 32, 32)


@pytest.mark.parametrize(
    ("views", "pixels"),
    [
        ("none", {(0, 0): 1.0}),
        ("mirror", {(0, 0): 0.5, (0, 31): 0.5}),
        # moved down and right, the first pixel is a reflection of the second
        ("mirror+translate", {(0, 0): 0.25, (0, 31): 0.25, (1, 1): 0.25, (1, 30): 0.25}),
    ],
)
def test_views_are_averaged_with_their_weights(inputs, views, pixels):
    assert torch.allclose(
        TestTimeAugmentation(OnePixel(0, 0), views, nullcontext)(inputs), weighted(inputs, pixels)
    )


def test_translated_views_are_moved_both_ways(inputs):
    # An inner pixel, whose neighbours differ; squared, because on a ramp the two moves cancel out.
    pixels = {(5, 9): 0.25, (5, 22): 0.25}
    pixels |= {(4, 8): 0.125, (4, 21): 0.125, (6, 10): 0.125, (6, 23): 0.125}
    inputs = (inputs / 1000).square()
    assert torch.allclose(
        TestTimeAugmentation(OnePixel(5, 9), "mirror+translate", nullcontext)(inputs),
        weighted(inputs, pixels),
    )


def weighted(inputs, pixels):
    """Sum `pixels` with their weights."""
    return sum(weight * inputs[:, :, row, column] for (row, column), weight in pixels.items())


def test_the_mode_applies_to_the_net_inside():
    net = nn.Dropout()
    views = TestTimeAugmentation(net, "mirror", nullcontext)
    views.eval()
    assert not net.training
    views.train()
    assert net.training
