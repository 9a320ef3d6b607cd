"""Frozen parts of a net: no gradients, no updates, no new statistics; and thawed as they were."""

import dataclasses

import pytest
import torch
from torch import nn

from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.errors import ConfigError
from cifar_tui.engine.models.freezing import Freezing, check_head, freezing_sentence
from cifar_tui.engine.models.registry import create_model
from cifar_tui.engine.optim.build import create_optimizer
from cifar_tui.engine.steps.eager import EagerSteps
from tests.engine.made_training import make_parts

BATCH = 8


class Counting(nn.Module):
    """Has batch normalization, dropout, and a buffer that every call in training mode changes."""

    def __init__(self, classes=10):
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))
        self.body = nn.Sequential(
            nn.Conv2d(3, 4, 3, stride=4), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.Flatten()
        )
        self.head = nn.Linear(4 * 64, classes)

    def forward(self, x):
        if self.training:
            self.calls += 1
        return self.head(self.body(x))


def config(**settings):
    return TrainConfig(freeze="backbone", epochs=4, **settings)


def begun(epoch, **settings):
    """A net as it is in `epoch`."""
    net = Counting().train()
    freezing = Freezing(net, config(**settings))
    for before in range(epoch + 1):
        freezing.begin(before)
    return net


def trained(net):
    return [name for name, parameter in net.named_parameters() if parameter.requires_grad]


def test_a_frozen_backbone_leaves_the_head_and_keeps_dropout_but_no_statistics():
    net = begun(0)
    assert trained(net) == ["head.weight", "head.bias"]
    assert [name for name, module in net.named_modules() if not module.training] == ["", "body.1"]
    assert net.body[2].training


@pytest.mark.parametrize(("freeze_epochs", "epoch", "frozen"), [(0, 3, True), (2, 1, True), (2, 2, False)])
def test_it_is_thawed_after_its_epochs_and_never_without_a_number(freeze_epochs, epoch, frozen):
    net = begun(epoch, freeze_epochs=freeze_epochs)
    assert (trained(net) == ["head.weight", "head.bias"]) is frozen
    assert net.body[1].training is not frozen


def test_what_the_net_itself_never_trains_stays_so_when_it_is_thawed():
    net = Counting()
    net.body[0].bias.requires_grad = False
    freezing = Freezing(net, config(freeze_epochs=1))
    freezing.begin(0)
    freezing.begin(1)
    assert "body.0.bias" not in trained(net)
    assert "body.0.weight" in trained(net)


def test_a_net_that_freezes_parts_by_itself_does_so_too():
    net = create_model("airbench-tiny", num_classes=10)
    freezing = Freezing(net, config(freeze_epochs=1))
    expected = {0: ["head.weight"], 3: [name for name in trained(net) if name != "whitening.bias"]}
    for epoch, names in expected.items():
        freezing.begin(epoch)
        assert trained(net) == names


@pytest.mark.parametrize(
    "settings",
    [
        {"momentum": 0.9, "weight_decay": 0.1},
        {"optimizer": "adamw", "weight_decay": 0.1},
        {"optimizer": "muon", "weight_decay": 0.1, "bias_lr": 0.5, "head_lr": 0.1},
    ],
    ids=["sgd", "adamw", "muon"],
)
def test_no_optimizer_moves_what_is_frozen_also_after_it_has_trained(noise_dataset, settings):
    parts = make_parts(
        noise_dataset.train, model="airbench-tiny", batch_size=BATCH, freeze="backbone", epochs=1, **settings
    )
    runner, net = EagerSteps(parts), parts.net
    for parameter in net.parameters():  # as if it had trained before
        parameter.grad = torch.ones_like(parameter) if parameter.requires_grad else None
    parts.optimizer.step()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    for _ in runner.run(torch.arange(3 * BATCH), step=0, max_steps=lambda: 1):
        assert all(parameter.grad is None for parameter in net.blocks.parameters())
    changed = {name for name, tensor in net.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed == {"head.weight"}


def test_all_of_it_trains_again_once_it_is_thawed(noise_dataset):
    parts = make_parts(
        noise_dataset.train,
        model="airbench-tiny",
        batch_size=BATCH,
        freeze="backbone",
        freeze_epochs=1,
        epochs=2,
        learning_rate=0.1,
    )
    runner, net, steps = EagerSteps(parts), parts.net, len(noise_dataset.train) // BATCH
    order = torch.arange(2 * BATCH)
    list(runner.run(order, step=0, max_steps=lambda: 1))
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    list(runner.run(order, step=steps, max_steps=lambda: 1))
    kept = {name for name, tensor in net.state_dict().items() if torch.equal(tensor, before[name])}
    assert kept == {"whitening.weight", *(name for name in before if name.endswith("norms.0.weight"))} | {
        name for name in before if name.endswith("norms.1.weight")
    }


def test_the_sentence_counts_what_trains_in_each_phase():
    net = Counting()
    head, everything = 4 * 64 * 10 + 10, sum(parameter.numel() for parameter in net.parameters())
    alone = f"the last layer head trains alone, {head:,} of {everything:,} parameters"
    assert freezing_sentence(net, config()) == f"freeze backbone: {alone}"
    assert freezing_sentence(net, config(freeze_epochs=4)) == f"freeze backbone: {alone}"
    assert freezing_sentence(net, config(freeze_epochs=1)) == (
        f"freeze backbone: the last layer head trains alone in epoch 1, {head:,} of {everything:,} "
        f"parameters; from epoch 2 all {everything:,}"
    )
    assert "in epochs 1 to 3, " in freezing_sentence(net, config(freeze_epochs=3))
    assert freezing_sentence(net, TrainConfig()) == ""


def test_a_net_whose_last_layer_gives_no_logits_is_refused():
    with pytest.raises(ConfigError, match=r"needs a net with a linear layer or a convolution") as refused:
        check_head(nn.ReLU(), 10)
    assert refused.value.field == "freeze"
    with pytest.raises(
        ConfigError, match=r"takes 1 for the last layer, which has 3 outputs for 10 classes: define the last"
    ):
        check_head(nn.Sequential(nn.Linear(2, 10), nn.Linear(10, 3)), 10)
    check_head(Counting(), 10)


@pytest.mark.first
def test_both_phases_are_compiled_before_the_first_step(noise_dataset, monkeypatch):
    settings = {"compile": "yes", "freeze": "backbone", "freeze_epochs": 1, "epochs": 2}
    parts = make_parts(noise_dataset.train, batch_size=BATCH, **settings)
    net = Counting().train()
    optimizer = create_optimizer(net, parts.config)
    runner = EagerSteps(dataclasses.replace(parts, net=net, optimizer=optimizer))
    steps = len(noise_dataset.train) // BATCH
    runner.prepare(lambda: False)
    monkeypatch.setattr("torch._dynamo.config.error_on_recompile", True)
    for step in (0, steps):
        list(runner.run(torch.arange(BATCH), step=step, max_steps=lambda: 1))
