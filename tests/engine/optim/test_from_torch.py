"""Optimizers of torch by their names."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

from cifar_tui.engine.checkpoint.state import check_optimizer, hyperparameters
from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.errors import ConfigError
from cifar_tui.engine.optim.build import create_optimizer
from cifar_tui.engine.optim.registry import optimizer_problem, parse_options, torch_optimizers

USABLE = sorted(set(torch_optimizers()) - {"LBFGS", "SparseAdam", "Muon"})


def trained(net, optimizer, steps=3):
    """The weights after some steps on the same random images."""
    generator = torch.Generator().manual_seed(1)
    for _ in range(steps):
        inputs, targets = torch.randn(8, 6, generator=generator), torch.arange(8) % 3
        optimizer.zero_grad()
        functional.cross_entropy(net(inputs), targets).backward()
        optimizer.step()
    return torch.cat([parameter.detach().flatten() for parameter in net.parameters()])


def some_net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))


def test_the_names_are_those_that_torch_exports():
    exported = {
        name
        for name, value in vars(torch.optim).items()
        if isinstance(value, type) and issubclass(value, torch.optim.Optimizer)
    } - {"Optimizer"}
    assert set(torch_optimizers()) == exported


@pytest.mark.parametrize("name", USABLE)
def test_each_steps_as_torch_does_with_its_own_defaults(name):
    config = TrainConfig(optimizer=f"torch:{name}", learning_rate=0.01, momentum=0.0)
    ours, plain = some_net(), some_net()
    # where torch's own default decays the weights, that is the setting's, too
    decay = {} if name == "Rprop" else {"weight_decay": 0.0}
    expected = trained(plain, getattr(torch.optim, name)(plain.parameters(), lr=0.01, **decay))
    assert torch.equal(trained(ours, create_optimizer(ours, config)), expected)


@pytest.mark.parametrize("name", USABLE)
def test_each_is_saved_and_continues(name, tmp_path):
    config = TrainConfig(optimizer=f"torch:{name}", learning_rate=0.01)
    net = some_net()
    optimizer = create_optimizer(net, config)
    trained(net, optimizer)
    torch.save(optimizer.state_dict(), tmp_path / "state.pt")
    other = copy.deepcopy(net)
    resumed = create_optimizer(other, config)
    expected = hyperparameters(resumed, with_lr=True)
    resumed.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    check_optimizer(resumed, expected)
    assert torch.equal(trained(other, resumed), trained(net, optimizer))


def test_options_momentum_and_weight_decay_get_there():
    config = TrainConfig(
        optimizer="torch:RMSprop",
        optimizer_options="alpha=0.9, eps=1e-6, centered=True",
        learning_rate=0.01,
        momentum=0.5,
        weight_decay=0.1,
        bias_lr=0.1,
    )
    optimizer = create_optimizer(some_net(), config)
    weights, biases = optimizer.param_groups
    for group in (weights, biases):
        assert (group["alpha"], group["eps"], group["centered"], group["momentum"]) == (0.9, 1e-6, True, 0.5)
    assert (weights["lr"], weights["weight_decay"]) == (0.01, 0.1)
    assert biases["lr"] == 0.1
    assert biases["weight_decay"] == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"optimizer_options": "beta=(0.9, 0.9)"}, "torch:Adam has no option 'beta'; did you mean 'betas'?"),
        ({"optimizer_options": "lr=1"}, "optimizer_options has lr: set learning_rate instead"),
        (
            {"optimizer_options": "eps=-1"},
            "torch:Adam refuses its options (Invalid epsilon value: -1)",
        ),
        ({"optimizer_options": "betas=3"}, "torch:Adam refuses its options ("),
        (
            {"optimizer": "torch:Rprop", "weight_decay": 0.1},
            "torch:Rprop has no weight decay: set weight",
        ),
    ],
)
def test_what_torch_does_not_take_is_one_sentence(settings, sentence):
    config = TrainConfig(**{"optimizer": "torch:Adam", **settings})
    with pytest.raises(ConfigError) as refused:
        create_optimizer(some_net(), config)
    assert str(refused.value).startswith(sentence)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("adam", "must be one of sgd, nesterov, adamw, muon, or torch:NAME; did you mean 'adamw'?"),
        ("torch:Adan", "is not in torch.optim; did you mean 'Adam'?"),
        ("torch:LBFGS", "computes the loss several times a step, which no step here does"),
        ("torch:Muon", "takes matrices only: set optimizer to muon, which takes convolution filters as well"),
    ],
)
def test_a_name_that_cannot_be_used_is_refused_with_the_reason(name, reason):
    assert optimizer_problem(name) == reason
    with pytest.raises(ConfigError, match="optimizer"):
        TrainConfig(optimizer=name)


def test_options_are_literal_values_of_a_call():
    assert parse_options("betas=(0.9, 0.95), eps=1e-6, amsgrad=True") == {
        "betas": (0.9, 0.95),
        "eps": 1e-6,
        "amsgrad": True,
    }
    assert parse_options("") == {}
    for text in ("x", "1", "a=b", "**{}", "a=1)", "a=1).f(b=2", "a=open('x')", "a=1, a=2", "a="):
        with pytest.raises(ConfigError, match="must be options as in a call in Python"):
            TrainConfig(optimizer="torch:Adam", optimizer_options=text)


def test_options_need_an_optimizer_of_torch():
    with pytest.raises(ConfigError, match="needs optimizer torch:NAME, not sgd"):
        TrainConfig(optimizer_options="eps=1")
