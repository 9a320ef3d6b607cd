"""The optimizers: golden values, and what each does to which parameters."""

import copy

import pytest
import torch
from torch import nn

from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.models.registry import create_model
from cifar_tui.engine.optim.build import create_optimizer
from cifar_tui.engine.optim.muon import Muon, newton_schulz


def run(optimizer, parameter, gradients):
    """The parameter after each step."""
    values = []
    for gradient in gradients:
        parameter.grad = torch.full_like(parameter, gradient)
        optimizer.step()
        values.append(parameter.detach().flatten()[0].item())
    return values


def optimized(values, **settings):
    """A layer of one weight, 1, that gets `values` as gradients."""
    net = nn.Linear(1, 1, bias=False)
    nn.init.ones_(net.weight)
    return run(create_optimizer(net, TrainConfig(**settings)), net.weight, values)


def test_sgd():
    # v = 0.5 v + g + 0.1 w; w = w - 0.1 v
    values = optimized([1.0, 1.0], learning_rate=0.1, momentum=0.5, weight_decay=0.1)
    assert values == pytest.approx([0.89, 0.7261], abs=1e-6)


def test_nesterov():
    # v = 0.5 v + g; w = w - 0.1 (g + 0.5 v)
    values = optimized([1.0, 1.0], optimizer="nesterov", learning_rate=0.1, momentum=0.5)
    assert values == pytest.approx([0.85, 0.675], abs=1e-6)


def test_adamw():
    # the first steps are the learning rate in size; 0.1 · 0.5 of the weight decays before each
    values = optimized([1.0, 1.0], optimizer="adamw", learning_rate=0.1, momentum=0.9, weight_decay=0.5)
    assert values == pytest.approx([0.85, 0.7075], abs=1e-5)


def test_muon_is_nesterov_for_what_is_no_filter():
    values = optimized([1.0, 1.0], optimizer="muon", learning_rate=0.1, momentum=0.5)
    # v = 0.85 v + g; w = w - 0.1 (g + 0.85 v)
    assert values == pytest.approx([1 - 0.185, 1 - 0.185 - 0.25725], abs=1e-6)


def test_orthogonalizing_brings_singular_values_near_one_and_keeps_directions():
    torch.manual_seed(0)
    for shape in ((16, 40), (40, 16)):
        matrix = torch.randn(shape)
        left, values, right = torch.linalg.svd(matrix, full_matrices=False)
        result = newton_schulz(matrix)
        a, b, c = 3.4445, -4.7750, 2.0315
        x = values / values.norm()
        for _ in range(3):
            x = a * x + b * x**3 + c * x**5
        assert torch.allclose(result, left @ torch.diag(x) @ right, atol=1e-5)
        assert 0.3 < x.min() < x.max() < 1.3


def test_a_step_of_muon_is_an_orthogonal_one_from_filters_of_a_fixed_size():
    torch.manual_seed(0)
    weight = nn.Parameter(torch.randn(8, 4, 3, 3))
    optimizer = Muon([{"params": [weight], "lr": 0.1, "momentum": 0.6, "orthogonal": True}])
    momentum = torch.zeros(8, 36)
    for _ in range(3):
        before = weight.detach().clone()
        gradient = torch.randn(8, 36)
        weight.grad = gradient.view_as(weight)
        optimizer.step()
        momentum = 0.6 * momentum + gradient
        update = newton_schulz(gradient + 0.6 * momentum).view_as(weight)
        expected = before * (8**0.5 / before.norm()) - 0.1 * update
        assert torch.allclose(weight, expected, atol=1e-6)


def test_muon_trains_a_filter_of_zeros_and_one_without_a_slope():
    filters = [nn.Parameter(torch.zeros(2, 1, 1, 1)), nn.Parameter(torch.ones(2, 1, 1, 1))]
    optimizer = Muon([{"params": filters, "lr": 0.1, "momentum": 0.5, "orthogonal": True}])
    filters[0].grad, filters[1].grad = torch.ones(2, 1, 1, 1), torch.zeros(2, 1, 1, 1)
    optimizer.step()
    assert bool((filters[0] < 0).all())
    assert torch.allclose(filters[1], torch.ones(2, 1, 1, 1))


def test_parameters_without_a_gradient_stay():
    weight = nn.Parameter(torch.ones(8, 4, 3, 3))
    Muon([{"params": [weight], "lr": 0.1, "momentum": 0.6, "orthogonal": True}]).step()
    assert bool((weight == 1).all())


def names_by_rate(net, **settings):
    optimizer = create_optimizer(net, TrainConfig(**settings))
    names = {parameter: name for name, parameter in net.named_parameters()}
    return {
        group["lr"]: (group["weight_decay"], {names[parameter] for parameter in group["params"]})
        for group in optimizer.param_groups
    }


def test_biases_and_the_last_layer_may_have_their_own_rates_and_decay_at_the_same_pace():
    groups = names_by_rate(
        create_model("airbench-tiny", num_classes=10),
        optimizer="nesterov",
        learning_rate=2.0,
        bias_lr=100.0,
        head_lr=4.0,
        weight_decay=0.01,
    )
    pairs = [(block, layer) for block in range(3) for layer in range(2)]
    convs = {f"blocks.{block}.convs.{layer}.weight" for block, layer in pairs}
    assert groups[2.0] == (0.01, convs | {"whitening.bias"})
    norms = {f"blocks.{block}.norms.{layer}.bias" for block, layer in pairs}
    assert groups[100.0] == (pytest.approx(0.0002), norms)
    assert groups[4.0] == (pytest.approx(0.005), {"head.weight"})
    assert len(groups) == 3


def test_beside_muon_the_bias_of_the_whitening_layer_has_the_rate_of_biases():
    net = create_model("airbench-tiny", num_classes=10)
    groups = names_by_rate(net, optimizer="muon", learning_rate=0.24, bias_lr=100.0)
    norms = {f"blocks.{block}.norms.{layer}.bias" for block in range(3) for layer in range(2)}
    assert groups[100.0][1] == norms | {"whitening.bias"}


def test_muon_takes_the_filters_of_any_net_and_comes_first():
    for name in ("net", "resnet18", "airbench-tiny"):
        net = create_model(name, num_classes=10)
        optimizer = create_optimizer(net, TrainConfig(optimizer="muon", learning_rate=0.24))
        first, *rest = optimizer.param_groups
        assert first["orthogonal"]
        assert {parameter.ndim for parameter in first["params"]} == {4}
        assert {parameter.ndim for group in rest for parameter in group["params"]} <= {1, 2}
        trained = sum(parameter.requires_grad for parameter in net.parameters())
        assert sum(len(group["params"]) for group in optimizer.param_groups) == trained


def test_a_state_that_was_saved_makes_the_same_steps():
    torch.manual_seed(0)
    nets = [create_model("net", num_classes=10) for _ in range(2)]
    nets[1].load_state_dict(nets[0].state_dict())
    optimizers = [create_optimizer(net, TrainConfig(optimizer="muon", learning_rate=0.1)) for net in nets]

    def step(net, optimizer, seed):
        torch.manual_seed(seed)
        for parameter in net.parameters():
            parameter.grad = torch.randn_like(parameter)
        optimizer.step()

    step(nets[0], optimizers[0], 1)
    nets[1].load_state_dict(nets[0].state_dict())
    optimizers[1].load_state_dict(copy.deepcopy(optimizers[0].state_dict()))
    for net, optimizer in zip(nets, optimizers, strict=True):
        step(net, optimizer, 2)
    assert all(torch.equal(a, b) for a, b in zip(nets[0].parameters(), nets[1].parameters(), strict=True))


def test_sgd_updates_all_parameters_in_one_call():
    net = create_model("net", num_classes=10)
    for name in ("sgd", "nesterov"):
        optimizer = create_optimizer(net, TrainConfig(optimizer=name))
        assert [group["foreach"] for group in optimizer.param_groups] == [True]


def test_without_learning_rates_of_their_own_biases_and_head_have_the_base_one():
    net = create_model("airbench-tiny", num_classes=10)
    groups = names_by_rate(net, optimizer="nesterov", learning_rate=2.0)
    assert groups.keys() == {2.0}
    trained = {name for name, parameter in net.named_parameters() if parameter.requires_grad}
    assert groups[2.0] == (0.0, trained)


@pytest.mark.parametrize(("native", "dtype"), [(True, torch.bfloat16), (False, torch.float32)])
def test_muon_rounds_to_bf16_only_where_a_gpu_has_it(monkeypatch, native, dtype):
    monkeypatch.setattr("cifar_tui.engine.optim.muon.has_native_bf16", lambda device: native)
    found = []
    monkeypatch.setattr(
        "cifar_tui.engine.optim.muon.newton_schulz",
        lambda matrix, dtype: found.append(dtype) or newton_schulz(matrix, dtype),
    )
    weight = nn.Parameter(torch.randn(8, 3, 3, 3))
    weight.grad = torch.randn_like(weight)
    Muon([{"params": [weight], "lr": 0.1, "momentum": 0.6, "orthogonal": True}]).step()
    assert found == [dtype]
    assert weight.dtype == torch.float32
