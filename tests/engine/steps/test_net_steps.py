"""`NetSteps` beside `EagerSteps`: the same losses, weights and momenta to the bit."""

import pytest
import torch
from torch import nn

from cifar_tui.engine.device.select import intra_op_threads, training_threads
from cifar_tui.engine.models import Net, create_model
from cifar_tui.engine.steps.eager import EagerSteps
from cifar_tui.engine.steps.net_steps import NetSteps

IMAGES = 103


class Side:
    """A net that is trained one way or the other."""

    def __init__(self, kind, split, *, classes=10, batch_size=4, **settings):
        torch.manual_seed(5)
        self.net = create_model("net", num_classes=classes)
        self.optimizer = torch.optim.SGD(self.net.parameters(), **{"lr": 0.01, "momentum": 0.9, **settings})
        assert NetSteps.fits(self.net, self.optimizer)
        self.steps = kind(net=self.net, optimizer=self.optimizer, train=split, batch_size=batch_size)
        self.batch_size, self.losses, self.correct = batch_size, [], 0

    def train(self, order):
        with intra_op_threads(training_threads(torch.device("cpu"), self.batch_size)):
            for result in self.steps.over(order, at_most=lambda: 10):
                self.losses += result.losses.tolist()
                self.correct += int(result.correct)
        return self

    def momenta(self):
        return [self.optimizer.state[parameter].get("momentum_buffer") for parameter in self.net.parameters()]


def assert_same(side, reference):
    assert side.losses == reference.losses
    assert side.correct == reference.correct
    weights = zip(side.net.parameters(), reference.net.parameters(), strict=True)
    assert all(torch.equal(*pair) for pair in weights)
    for momentum, expected in zip(side.momenta(), reference.momenta(), strict=True):
        assert momentum is expected is None or torch.equal(momentum, expected)


@pytest.mark.parametrize("batch_size", [1, 3, 4, 32, 200])
def test_the_bits_are_the_same_with_any_batch_and_its_last_one(noise_dataset, batch_size):
    order = torch.arange(IMAGES).repeat(3)
    sides = [Side(kind, noise_dataset.train, batch_size=batch_size) for kind in (NetSteps, EagerSteps)]
    assert_same(*[side.train(order) for side in sides])


@pytest.mark.parametrize(
    "settings",
    [{"momentum": 0.0}, {"weight_decay": 0.05}, {"momentum": 0.0, "weight_decay": 0.05}, {"lr": 0.1}],
)
def test_the_bits_are_the_same_with_any_settings_of_sgd(noise_dataset, settings):
    sides = [Side(kind, noise_dataset.train, **settings) for kind in (NetSteps, EagerSteps)]
    assert_same(*[side.train(torch.arange(IMAGES)) for side in sides])


@pytest.mark.parametrize("classes", [11, 17, 100])
def test_the_bits_are_the_same_with_any_number_of_classes(noise_dataset, classes):
    sides = [Side(kind, noise_dataset.train, classes=classes) for kind in (NetSteps, EagerSteps)]
    assert_same(*[side.train(torch.arange(IMAGES)) for side in sides])


def test_a_learning_rate_that_is_changed_counts_from_the_next_step_on(noise_dataset):
    sides = [Side(kind, noise_dataset.train) for kind in (NetSteps, EagerSteps)]
    for side in sides:
        side.train(torch.arange(40))
        side.optimizer.param_groups[0]["lr"] = 0.002
        side.train(torch.arange(40, IMAGES))
    assert_same(*sides)


@pytest.mark.parametrize("first", [EagerSteps, NetSteps])
def test_a_training_may_go_on_the_other_way(noise_dataset, first):
    reference = Side(EagerSteps, noise_dataset.train).train(torch.arange(IMAGES))
    side = Side(first, noise_dataset.train).train(torch.arange(40))
    other = Side({EagerSteps: NetSteps, NetSteps: EagerSteps}[first], noise_dataset.train)
    other.net.load_state_dict(side.net.state_dict())
    other.optimizer.load_state_dict(side.optimizer.state_dict())
    other.losses, other.correct = side.losses, side.correct
    assert_same(other.train(torch.arange(40, IMAGES)), reference)


def test_what_is_loaded_into_a_net_that_was_trained_counts(noise_dataset):
    sides = [Side(kind, noise_dataset.train).train(torch.arange(8)) for kind in (NetSteps, EagerSteps)]
    saved = Side(EagerSteps, noise_dataset.train).train(torch.arange(40, 60))
    for side in sides:
        side.net.load_state_dict(saved.net.state_dict())
        side.optimizer.load_state_dict(saved.optimizer.state_dict())
        side.train(torch.arange(60, IMAGES))
    assert_same(*sides)


def test_a_state_that_was_kept_is_not_written_to(noise_dataset):
    side = Side(NetSteps, noise_dataset.train).train(torch.arange(8))
    other = Side(NetSteps, noise_dataset.train)
    other.optimizer.load_state_dict(side.optimizer.state_dict())
    before = [momentum.clone() for momentum in side.momenta()]
    other.train(torch.arange(8, 16))
    assert all(map(torch.equal, side.momenta(), before))


@pytest.mark.parametrize(
    ("model", "optimizer"),
    [
        ("resnet18", lambda net: torch.optim.SGD(net.parameters(), lr=0.1)),
        ("net", lambda net: torch.optim.AdamW(net.parameters())),
        ("net", lambda net: torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, nesterov=True)),
        ("net", lambda net: torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, dampening=0.1)),
        ("net", lambda net: torch.optim.SGD(net.parameters(), lr=0.1, maximize=True)),
        ("net", lambda net: torch.optim.SGD([{"params": [p]} for p in net.parameters()], lr=0.1)),
        ("net", lambda net: torch.optim.SGD(list(net.parameters())[::-1], lr=0.1)),
    ],
)
def test_other_nets_and_optimizers_do_not_fit(model, optimizer):
    net = create_model(model, num_classes=10)
    assert not NetSteps.fits(net, optimizer(net))


def test_a_net_that_computes_otherwise_does_not_fit():
    class Other(Net):
        def forward(self, inputs):
            return nn.functional.dropout(super().forward(inputs))

    net = Other()
    assert not NetSteps.fits(net, torch.optim.SGD(net.parameters(), lr=0.1))
