"""Trying a net before the training: nothing of it stays."""

import collections
import random

import numpy as np
import torch

from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.device.random_state import seed_everything
from cifar_tui.engine.models.check import check_net, count_logits
from cifar_tui.engine.models.own.own_net import load_own_net
from tests.engine.made_training import first_images
from tests.engine.models.own.nets import RANDOM, write_net


def test_the_net_and_all_random_numbers_are_as_without_it(tmp_path, noise_dataset):
    own, _ = load_own_net(f"{write_net(tmp_path, RANDOM)}:Net", kept_in=None, seed=0, say=print)
    train = first_images(noise_dataset, 10).train

    def drawn():
        return torch.rand(1).item(), random.random(), np.random.rand()  # noqa: NPY002 - what a net draws from

    seed_everything(3)
    own.build(num_classes=10, image_size=32)
    expected = drawn()
    seed_everything(3)
    net = own.build(num_classes=10, image_size=32)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    check_net(own, net, train, TrainConfig(), num_classes=10, precision="bf16")
    assert count_logits(own, net, 32) == 10
    assert drawn() == expected
    assert net.training
    for name, tensor in net.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    assert all(parameter.grad is None for parameter in net.parameters())


MEMORIES = """
    import collections
    import random

    import numpy as np
    import torch
    from torch import nn


    class Schedule:
        def __init__(self):
            self.calls = 0


    class Net(nn.Linear):
        def __init__(self, num_classes):
            super().__init__(3, num_classes)
            self.calls, self.seen, self.schedule = 0, {"sizes": [], "last": collections.deque()}, Schedule()
            self.running, self.noise = torch.zeros(3), torch.Generator().manual_seed(1)
            self.python, self.numpy = random.Random(1), np.random.default_rng(1)
            self.register_buffer("calls_buffer", torch.zeros(()), persistent=False)

        def forward(self, x):
            self.calls += 1
            self.schedule.calls += 1
            self.calls_buffer += 1
            self.running += 1
            self.seen["sizes"].append(len(x))
            self.seen["last"].append(x)
            self.seen["new"] = self.later = x
            drawn = torch.rand(1, generator=self.noise) + self.python.random() + self.numpy.random()
            self.weight.requires_grad_(self.calls < 2)
            return super().forward(x.mean((2, 3)) * drawn)
"""


def test_what_a_net_remembers_outside_its_state_dict_is_as_without_it(tmp_path, noise_dataset):
    own, _ = load_own_net(f"{write_net(tmp_path, MEMORIES)}:Net", kept_in=None, seed=0, say=print)
    net, fresh = (own.build(num_classes=10, image_size=32) for _ in range(2))
    check_net(
        own, net, first_images(noise_dataset, 10).train, TrainConfig(), num_classes=10, precision="fp32"
    )
    assert (net.calls, net.schedule.calls, net.calls_buffer.item()) == (0, 0, 0)
    assert net.seen == {"sizes": [], "last": collections.deque()}
    assert not net.running.any()
    assert not hasattr(net, "later")
    assert net.weight.requires_grad
    assert torch.equal(net.noise.get_state(), fresh.noise.get_state())
    assert net.python.getstate() == fresh.python.getstate()
    assert net.numpy.bit_generator.state == fresh.numpy.bit_generator.state
