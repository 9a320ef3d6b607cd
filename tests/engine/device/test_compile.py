"""Compiling: the model computes the same, is unchanged before its first step, and a failure is explained."""

import pytest
import torch
from torch import nn

from cifar_tui.engine.device.compile import CompilationError, compile_model


@pytest.mark.parametrize(
    ("memory_format", "sizes"), [(torch.contiguous_format, {6, 2}), (torch.channels_last, {6})]
)
def test_a_compiled_model_trains_as_before_and_starts_unchanged(memory_format, sizes):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4 * 36, 3))
    inputs = torch.randn(4, 3, 8, 8).contiguous(memory_format=memory_format)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    fast = compile_model(net, [inputs], sizes, "fp32")
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
            nn.Sequential(nn.Flatten(), nn.Linear(12, 3)), [torch.randn(1, 3, 2, 2)], {size}, "fp32"
        )
        assert counters["unique_graphs"] == count + 1


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
        compile_model(net, [torch.randn(1, 3, 4, 4)], [6, 2], "fp32")
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
    assert all(parameter.grad is None for parameter in net.parameters())
