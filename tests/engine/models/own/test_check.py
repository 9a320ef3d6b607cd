"""Trying a net before the training: nothing of it stays."""

import random

import numpy as np
import torch

from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.device.random_state import seed_everything
from cifar_tui.engine.models.own.check import check_net, count_logits
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
