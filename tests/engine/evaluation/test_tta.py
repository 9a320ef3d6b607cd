"""Test-time views: what a net is shown, and how its answers are put together."""

from contextlib import nullcontext

import pytest
import torch
from torch import nn

from cifar_tui.engine.evaluation.tta import TestTimeAugmentation


class OnePixel(nn.Module):
    """Answers with one pixel, so that the views it was shown can be told from its answers."""

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
        # the first pixel of an image that was moved comes in by reflection where it moved down and right
        ("six", {(0, 0): 0.25, (0, 31): 0.25, (1, 1): 0.25, (1, 30): 0.25}),
    ],
)
def test_views_are_averaged_with_their_weights(inputs, views, pixels):
    assert torch.allclose(
        TestTimeAugmentation(OnePixel(0, 0), views, nullcontext)(inputs), weighted(inputs, pixels)
    )


def test_six_views_are_of_the_image_and_of_it_moved_both_ways(inputs):
    # a pixel inside, where what comes from above and left is not what comes from below and right; squared,
    # for on a ramp the one move makes up for the other
    pixels = {(5, 9): 0.25, (5, 22): 0.25}
    pixels |= {(4, 8): 0.125, (4, 21): 0.125, (6, 10): 0.125, (6, 23): 0.125}
    inputs = (inputs / 1000).square()
    assert torch.allclose(
        TestTimeAugmentation(OnePixel(5, 9), "six", nullcontext)(inputs), weighted(inputs, pixels)
    )


def weighted(inputs, pixels):
    """The sum of `pixels` with their weights."""
    return sum(weight * inputs[:, :, row, column] for (row, column), weight in pixels.items())


def test_evaluating_leaves_the_net_in_its_mode():
    net = nn.Dropout()
    views = TestTimeAugmentation(net, "mirror", nullcontext)
    views.eval()
    assert not net.training
    views.train()
    assert net.training
