"""Test-time views: what a net is shown, and how its answers are put together."""

from contextlib import nullcontext

import pytest
import torch
from torch import nn

from cifar_tui.engine.views import Views


class FirstPixel(nn.Module):
    """Answers with the first pixel, so that the views it was shown can be told from its answers."""

    def forward(self, inputs):
        return inputs[:, :, 0, 0]


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
    expected = sum(weight * inputs[:, :, row, column] for (row, column), weight in pixels.items())
    assert torch.allclose(Views(FirstPixel(), views, nullcontext)(inputs), expected)


def test_evaluating_leaves_the_net_in_its_mode():
    net = nn.Dropout()
    views = Views(net, "mirror", nullcontext)
    views.eval()
    assert not net.training
    views.train()
    assert net.training
