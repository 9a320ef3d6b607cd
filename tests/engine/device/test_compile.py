"""Compiling: the net computes the same, and nothing of it has changed when its first step comes."""

import pytest
import torch
from torch import nn

from cifar_tui.engine.device.compile import CompilationError, compiled


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_a_compiled_net_trains_as_before_and_starts_as_it_was(memory_format):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4 * 36, 3))
    inputs = torch.randn(4, 3, 8, 8).contiguous(memory_format=memory_format)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    fast = compiled(net, [inputs], {6, 2}, "fp32")
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
def test_a_net_is_compiled_however_many_were_before_it():
    counters = torch._dynamo.utils.counters["stats"]
    for size in (2, 3, 4):
        count = counters["unique_graphs"]
        compiled(nn.Sequential(nn.Flatten(), nn.Linear(12, 3)), [torch.randn(1, 3, 2, 2)], {size}, "fp32")
        assert counters["unique_graphs"] == count + 1


class NoPairs(nn.Sequential):
    """Computes with batches of any size but two."""

    def forward(self, inputs):
        if len(inputs) == 2:
            raise ValueError("two are a pair\nand a pair is not computed")
        return super().forward(inputs)


def test_a_net_that_cannot_be_compiled_is_as_it_was():
    net = NoPairs(nn.BatchNorm2d(3), nn.Flatten())
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    with pytest.raises(CompilationError, match=r"^two are a pair$"):
        compiled(net, [torch.randn(1, 3, 4, 4)], [6, 2], "fp32")
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
    assert all(parameter.grad is None for parameter in net.parameters())
