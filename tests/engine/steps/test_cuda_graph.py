"""Steps made many at a time are the steps made one at a time.

The graph itself needs a GPU; what goes into it, and what is made beside it, is the same code on a CPU.
"""

import pytest
import torch

from cifar_tui.engine.device.select import intra_op_threads
from cifar_tui.engine.models import create_model
from cifar_tui.engine.steps.cuda_graph import STEPS_PER_GRAPH, CudaGraphSteps, InFlightLimit
from cifar_tui.engine.steps.eager import EagerSteps

DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")),
]


def train(kind, dataset, device, *, room, epochs=2):
    """Losses, right answers and weights after training by `kind` of steps, `room` to a result."""
    torch.manual_seed(0)
    net = create_model("net", num_classes=10).to(device)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9, weight_decay=0.001)
    split = type(dataset.train)(
        images=dataset.train.images.to(device), targets=dataset.train.targets.to(device)
    )
    steps = kind(net=net, optimizer=optimizer, train=split, batch_size=4)
    generator = torch.Generator().manual_seed(1)
    results = []
    with intra_op_threads(1):
        for _ in range(epochs):
            order = torch.randperm(len(split) - 2, generator=generator)  # the last batch is smaller
            results += steps.over(order, at_most=lambda: room)
    losses = torch.cat([result.losses for result in results]).tolist()
    correct = sum(int(result.correct) for result in results)
    images = sum(result.images for result in results)
    return losses, correct, images, net.state_dict(), len(results)


@pytest.mark.parametrize("device", DEVICES)
def test_they_are_the_steps_of_the_plain_loop(noise_dataset, device):
    losses, correct, images, weights, _ = train(EagerSteps, noise_dataset, device, room=1)
    graph_losses, graph_correct, graph_images, graph_weights, results = train(
        CudaGraphSteps, noise_dataset, device, room=1000
    )
    assert images == graph_images == 2 * 838
    assert results < len(losses) / 5, "most steps were made many at a time"
    if device == "cpu":
        assert graph_losses == losses
        assert graph_correct == correct
        assert all(torch.equal(weights[name], graph_weights[name]) for name in weights)
    else:
        assert graph_losses == pytest.approx(losses, abs=1e-4)
        for name, tensor in weights.items():
            torch.testing.assert_close(graph_weights[name], tensor, atol=1e-4, rtol=0)


def test_no_result_stands_for_more_steps_than_there_is_room_for(noise_dataset):
    *_, results = train(CudaGraphSteps, noise_dataset, "cpu", room=STEPS_PER_GRAPH - 1, epochs=1)
    assert results == 210
    *_, results = train(CudaGraphSteps, noise_dataset, "cpu", room=STEPS_PER_GRAPH, epochs=1)
    assert results == 8 + 10, "8 graphs of 25 steps, and the 10 steps that are left"


def test_a_result_stays_what_it_was_when_the_next_is_made(noise_dataset):
    torch.manual_seed(0)
    net = create_model("net", num_classes=10)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
    steps = CudaGraphSteps(net=net, optimizer=optimizer, train=noise_dataset.train, batch_size=4)
    results = steps.over(torch.arange(200), at_most=lambda: 100)
    first = next(results)
    before = first.losses.clone()
    next(results)
    assert torch.equal(first.losses, before)


def momentum_steps(dataset, kind):
    torch.manual_seed(0)
    net = create_model("net", num_classes=10)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
    return net, optimizer, kind(net=net, optimizer=optimizer, train=dataset.train, batch_size=4)


def fail_to_record(error):
    def record(steps):
        steps._steps()
        raise error

    return record


def test_recording_that_fails_leaves_everything_as_it_was_and_steps_are_made_one_at_a_time(
    noise_dataset, monkeypatch
):
    monkeypatch.setattr(
        CudaGraphSteps, "_record", fail_to_record(RuntimeError("not permitted\nwhen capturing"))
    )
    net, optimizer, steps = momentum_steps(noise_dataset, CudaGraphSteps)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    steps.prepare(lambda: False)
    assert steps.failure == "not permitted"
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
    assert not any(state["momentum_buffer"].any() for state in optimizer.state.values())
    assert all(parameter.grad is None for parameter in net.parameters())
    results = list(steps.over(torch.arange(400), at_most=lambda: 1000))
    assert len(results) == 100
    plain_net, _, plain = momentum_steps(noise_dataset, EagerSteps)
    list(plain.over(torch.arange(400), at_most=lambda: 1))
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), plain_net.parameters(), strict=True))


def test_a_device_out_of_memory_while_recording_is_no_reason_to_go_on_without(noise_dataset, monkeypatch):
    monkeypatch.setattr(CudaGraphSteps, "_record", fail_to_record(torch.OutOfMemoryError("out of memory")))
    net, _, steps = momentum_steps(noise_dataset, CudaGraphSteps)
    before = net.fc3.weight.clone()
    with pytest.raises(torch.OutOfMemoryError):
        steps.prepare(lambda: False)
    assert torch.equal(net.fc3.weight, before)


def test_recording_is_done_before_the_first_step_and_only_once(noise_dataset, monkeypatch):
    recorded = []

    def record(steps):
        recorded.append(steps)
        return steps._steps

    monkeypatch.setattr(CudaGraphSteps, "_record", record)
    _, _, steps = momentum_steps(noise_dataset, CudaGraphSteps)
    steps.prepare(lambda: True)
    assert recorded == [], "a stop was asked for"
    steps.prepare(lambda: False)
    assert len(recorded) == 1
    list(steps.over(torch.arange(400), at_most=lambda: 1000))
    assert len(recorded) == 1
    assert steps.failure is None


class Mark:
    def __init__(self, log, number):
        self.log, self.number = log, number

    def synchronize(self):
        self.log.append(f"wait for {self.number}")


def test_a_launch_waits_until_only_one_of_those_before_it_is_on_its_way():
    log, marks = [], iter(range(1, 9))
    limit = InFlightLimit(lambda: Mark(log, next(marks)))
    for number in range(1, 5):
        limit.launch(lambda number=number: log.append(f"launch {number}"))
    assert log == ["launch 1", "launch 2", "wait for 1", "launch 3", "wait for 2", "launch 4"]
