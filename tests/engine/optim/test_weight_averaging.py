"""Averages of the weights: golden values, and what they cover."""

import pytest
import torch
from torch import nn

from cifar_tui.engine.optim.weight_averaging import WeightAverage


def net_of(value):
    net = nn.Sequential(nn.Linear(1, 1, bias=False), nn.BatchNorm1d(1))
    with torch.no_grad():
        net[0].weight.fill_(value)
    return net


def follow(averaging, net, values, *, total_steps):
    """The average after each step, where the steps set the weight to `values`."""
    averages = []
    for step, value in enumerate(values, start=1):
        with torch.no_grad():
            net[0].weight.fill_(value)
        averaging.update(step, total_steps)
        averages.append(averaging.net[0].weight.item())
    return averages


def test_a_moving_average_forgets_its_start_soon_and_then_has_its_decay():
    net = net_of(0.0)
    averages = follow(WeightAverage(net, kind="ema", decay=0.15), net, [1.0, 1.0, 2.0], total_steps=3)
    first = 1 - 1 / 11
    second = 0.15 * first + 0.85
    assert averages == pytest.approx([first, second, 0.15 * second + 0.85 * 2], abs=1e-6)
    assert net[0].weight.item() == 2.0, "the net goes its own way"


def test_lookahead_follows_at_every_fifth_step_and_the_net_goes_on_from_there():
    net = net_of(0.0)
    averaging = WeightAverage(net, kind="lookahead", decay=0.9)
    averages = follow(averaging, net, [1.0] * 5 + [2.0] * 5, total_steps=20)
    decay = 0.9**5 * 0.5**3
    assert averages == pytest.approx([0, 0, 0, 0, 1, 1, 1, 1, 1, decay + (1 - decay) * 2], abs=1e-6)
    assert net[0].weight.item() == averages[-1]


def test_lookahead_follows_the_last_step_with_the_decay_of_those_since_the_fifth():
    net = net_of(0.0)
    averaging = WeightAverage(net, kind="lookahead", decay=0.9)
    averages = follow(averaging, net, [1.0] * 5 + [2.0] * 3, total_steps=8)
    decay = 0.9**3
    assert averages[4:] == pytest.approx([1, 1, 1, decay + (1 - decay) * 2], abs=1e-6)
    assert net[0].weight.item() == averages[-1]


@pytest.mark.parametrize("steps", [1, 3, 5])
def test_lookahead_keeps_nothing_of_the_start_where_a_training_is_short(steps):
    net = net_of(0.0)
    averaging = WeightAverage(net, kind="lookahead", decay=0.9)
    assert follow(averaging, net, [1.0] * steps, total_steps=steps)[-1] == 1.0


@pytest.mark.parametrize("kind", ["ema", "lookahead"])
def test_the_statistics_of_normalisation_are_averaged_too(kind):
    net = net_of(1.0)
    averaging = WeightAverage(net, kind=kind, decay=0.0)
    net[1].running_mean.fill_(3.0)
    net[1].num_batches_tracked.fill_(7)
    averaging.update(5, 10)
    assert averaging.net[1].running_mean.item() == 3.0
    assert averaging.net[1].num_batches_tracked.item() == 7
    assert not any(parameter.requires_grad for parameter in averaging.net.parameters())
    assert all(parameter.requires_grad for parameter in net.parameters())
