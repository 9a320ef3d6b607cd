"""Precision: what is selected on a CPU, that selecting leaves no trace, and what a block computes in."""

import contextlib

import pytest
import torch
from torch import nn

from cifar_tui.engine.device import precision
from cifar_tui.engine.device.precision import (
    autocast,
    evaluation_precision,
    loss_scale,
    matrix_precision,
    precision_of,
    select_precision,
)
from cifar_tui.engine.models.registry import create_model

CPU = torch.device("cpu")


@pytest.fixture
def images():
    return torch.randn(8, 3, 32, 32)


@pytest.fixture
def net():
    return nn.Sequential(nn.Flatten(), nn.Linear(3072, 10))


def test_full_precision_needs_no_probe(images, net):
    assert select_precision("fp32", net, images) == ("fp32", None)


@pytest.mark.parametrize(
    ("wanted", "gain", "chosen"),
    [("auto", 0.5, "fp32"), ("auto", 1.05, "fp32"), ("auto", 2.0, "bf16"), ("bf16", 0.5, "fp32")],
)
def test_a_cpu_trains_in_bf16_only_if_it_is_faster(images, net, monkeypatch, wanted, gain, chosen):
    now = [0.0]
    enter = precision.autocast

    @contextlib.contextmanager
    def slow(name, device):
        now[0] += {"fp32": 1.0, "bf16": 1.0 / gain}[name]
        with enter(name, device):
            yield

    monkeypatch.setattr(precision.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(precision, "autocast", slow)
    name, reason = select_precision(wanted, net, images)
    assert name == chosen
    verdict = {"bf16": "faster", "fp32": "not 1.1 times as fast"}[chosen]
    assert (
        reason == f"training in {chosen}: bf16 is {verdict} on this CPU ({8 * gain:,.0f} against 8 images/s)"
    )


@pytest.mark.parametrize(("seconds", "turns"), [(9.0, 3), (0.2, 6), (0.01, 9)])
def test_the_probe_alternates_the_precisions_for_about_a_second(images, net, monkeypatch, seconds, turns):
    now, tried = [0.0], []

    def step(name, device):
        now[0] += seconds / 2
        tried.append(name)
        return contextlib.nullcontext()

    monkeypatch.setattr(precision.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(precision, "autocast", step)
    select_precision("auto", net, images)
    assert tried == ["fp32", "bf16"] * turns


@pytest.mark.parametrize("steps", [{}, {"precision": "fp4"}, {"precision": ["bf16"]}])
def test_a_checkpoint_may_have_no_precision(steps):
    assert precision_of(steps) is None


def test_the_precision_of_a_checkpoint():
    assert precision_of({"step": 3, "precision": "tf32"}) == "tf32"


def test_the_probe_changes_neither_the_net_nor_the_random_state(images, monkeypatch):
    monkeypatch.setattr(precision, "_MAX_PROBES", 1)
    net = create_model("airbench-tiny", num_classes=10)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    state = torch.get_rng_state()
    select_precision("auto", net, images)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
    assert all(parameter.grad is None for parameter in net.parameters())


def test_autocast_applies_inside_the_block_only():
    matrix = torch.ones(2, 2)
    with autocast("bf16", CPU):
        assert (matrix @ matrix).dtype == torch.bfloat16
    for name in ("fp32", "tf32"):
        with autocast(name, CPU):
            assert (matrix @ matrix).dtype == torch.float32


def test_only_fp16_scales_the_loss():
    assert [loss_scale(name, 2000) for name in ("fp32", "tf32", "bf16", "fp16")] == [1, 1, 1, 1024]
    assert [loss_scale("fp16", size) for size in (1, 4, 500, 1024)] == [1, 4, 256, 1024]


@pytest.mark.parametrize(
    ("name", "inside"), [("fp32", "ieee"), ("bf16", "ieee"), ("fp16", "ieee"), ("tf32", "tf32")]
)
def test_tf32_is_used_for_tf32_only_and_restored(name, inside):
    before = torch.backends.cudnn.conv.fp32_precision
    with matrix_precision(name):
        assert torch.backends.cudnn.conv.fp32_precision == inside
        assert torch.backends.cuda.matmul.fp32_precision == inside
    assert torch.backends.cudnn.conv.fp32_precision == before


@pytest.mark.parametrize("wanted", ["auto", "bf16", "fp32"])
def test_a_gpu_without_bf16_evaluates_in_full_precision(monkeypatch, wanted):
    monkeypatch.setattr(precision, "has_native_bf16", lambda device: False)
    entered = []
    monkeypatch.setattr(
        precision, "autocast", lambda name, device: contextlib.nullcontext(entered.append(name))
    )
    with evaluation_precision(wanted, torch.device("cuda")):
        assert torch.backends.cudnn.conv.fp32_precision == "ieee"
    assert entered == ["fp32"]
