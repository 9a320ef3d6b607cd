"""Compiling: the net computes the same, and nothing of it has changed when its first step comes."""

import pytest
import torch
from torch import nn

from cifar_tui.engine.compilation import compiled


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
