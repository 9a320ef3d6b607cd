"""Compiling: the model computes the same, is unchanged before its first step, and a failure is explained."""

import threading
import time
from functools import partial

import pytest
import torch
from torch import nn

from cifar_tui.engine.device.compile import CompilationError, compile_model
from cifar_tui.engine.device.memory import is_out_of_memory
from cifar_tui.engine.errors import CancelledError
from cifar_tui.engine.models.freezing import Frozen


@pytest.mark.parametrize(
    ("memory_format", "sizes"), [(torch.contiguous_format, {6, 2}), (torch.channels_last, {6})]
)
def test_a_compiled_model_trains_as_before_and_starts_unchanged(memory_format, sizes):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4 * 36, 3))
    inputs = torch.randn(4, 3, 8, 8).contiguous(memory_format=memory_format)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    fast = compile_model(net, [(inputs, Frozen())], sizes, "fp32")
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
    assert all(parameter.grad is None for parameter in net.parameters())
    count = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    logits = fast(torch.cat([inputs, inputs[:2]]).contiguous(memory_format=memory_format))
    logits.sum().backward()
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == count, "no step waits for the compiler"
    gradient = net[0].weight.grad.clone()
    net.zero_grad()
    net.load_state_dict(before)
    expected = net(torch.cat([inputs, inputs[:2]]))
    expected.sum().backward()
    assert torch.allclose(logits, expected, atol=1e-5)
    assert torch.allclose(gradient, net[0].weight.grad, atol=1e-4)


@torch._dynamo.config.patch(recompile_limit=1)
def test_a_model_is_compiled_even_beyond_the_recompile_limit():
    counters = torch._dynamo.utils.counters["stats"]
    for size in (2, 3):
        count = counters["unique_graphs"]
        compile_model(
            nn.Sequential(nn.Flatten(), nn.Linear(12, 3)),
            [(torch.randn(1, 3, 2, 2), Frozen())],
            {size},
            "fp32",
        )
        assert counters["unique_graphs"] == count + 1


def test_a_frozen_parameter_is_compiled_for_too():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 36, 3))
    inputs = torch.randn(4, 3, 8, 8)
    fast = compile_model(net, [(inputs, Frozen()), (inputs, Frozen(parameters=(net[0].bias,)))], {4}, "fp32")
    assert net[0].bias.requires_grad
    count = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    fast(inputs).sum().backward()
    assert net[0].bias.grad is not None
    net.zero_grad()
    net[0].bias.requires_grad = False
    fast(inputs).sum().backward()
    assert net[0].bias.grad is None
    assert net[0].weight.grad is not None
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == count, "no step waits for the compiler"


def test_compiling_ends_soon_after_a_stop_and_a_model_can_be_compiled_afterwards():
    net = nn.Sequential(nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(3 * 64, 3))
    inputs = torch.randn(2, 3, 8, 8)
    begun, asked = threading.Event(), []

    def backend(graph, examples):
        begun.set()
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:  # a compiler that does not look up
            pass
        raise AssertionError("it was not interrupted")

    def cancelled():
        if begun.is_set() and not asked:
            asked.append(time.monotonic())
        return bool(asked)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "compile", partial(torch.compile, backend=backend))
        before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
        with pytest.raises(CancelledError):
            compile_model(net, [(inputs, Frozen())], {2}, "fp32", cancelled=cancelled)
    assert time.monotonic() - asked[0] < 10
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
    assert not [thread for thread in threading.enumerate() if thread.name == "cifar-tui-interrupt"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
        fast = compile_model(net, [(inputs, Frozen())], {2}, "fp32")
    assert torch.allclose(fast(inputs), net(inputs))


class TooLarge(nn.Sequential):
    """Runs out of memory."""

    def forward(self, inputs):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")


def test_running_out_of_memory_while_compiling_is_no_reason_to_train_without():
    with pytest.raises(Exception) as failed:
        compile_model(TooLarge(nn.Flatten()), [(torch.randn(1, 3, 4, 4), Frozen())], [6], "fp32")
    assert not isinstance(failed.value, CompilationError)
    assert is_out_of_memory(failed.value)


class NoPairs(nn.Sequential):
    """Fails for a batch of two."""

    def forward(self, inputs):
        if len(inputs) == 2:
            raise ValueError("two are a pair\nand a pair is not computed")
        return super().forward(inputs)


def test_a_model_that_cannot_be_compiled_is_unchanged():
    net = NoPairs(nn.BatchNorm2d(3), nn.Flatten())
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    with pytest.raises(CompilationError, match=r"^two are a pair$"):
        compile_model(net, [(torch.randn(1, 3, 4, 4), Frozen())], [6, 2], "fp32")
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
    assert all(parameter.grad is None for parameter in net.parameters())
