"""Many steps in one graph are the same as one after the other.

The graph itself needs a GPU; its content, and the steps that do not fill one, are the same code on a CPU.
"""

import pytest
import torch

from cifar_tui.engine.steps.backend import BackendFailedError
from cifar_tui.engine.steps.cuda_graph import STEPS_PER_GRAPH, CudaGraphSteps, InFlightLimit
from cifar_tui.engine.steps.eager import EagerSteps
from tests.engine.made_training import make_parts

DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")),
]

pytestmark = pytest.mark.usefixtures("one_thread")


def train(kind, dataset, device, *, max_steps):
    """Losses, correct images and weights after training by `kind` of steps."""
    parts = make_parts(dataset.train, device=device, learning_rate=0.01, weight_decay=0.001)
    runner = kind(parts)
    generator = torch.Generator().manual_seed(1)
    order = torch.randperm(len(dataset.train) - 2, generator=generator)  # the last batch is smaller
    results = list(runner.run(order, step=0, max_steps=lambda: max_steps))
    losses = torch.cat([result.losses for result in results]).tolist()
    correct = sum(int(result.correct) for result in results)
    images = sum(result.images for result in results)
    return losses, correct, images, parts.net.state_dict(), len(results)


@pytest.mark.parametrize("device", DEVICES)
def test_they_are_the_steps_of_the_plain_loop(noise_dataset, device):
    losses, correct, images, weights, _ = train(EagerSteps, noise_dataset, device, max_steps=1)
    graph_losses, graph_correct, graph_images, graph_weights, results = train(
        CudaGraphSteps, noise_dataset, device, max_steps=1000
    )
    assert images == graph_images == 838
    assert results < len(losses) / 5, "most steps run in graphs"
    if device == "cpu":
        assert graph_losses == losses
        assert graph_correct == correct
        assert all(torch.equal(weights[name], graph_weights[name]) for name in weights)
    else:
        assert graph_losses == pytest.approx(losses, abs=1e-4)
        for name, tensor in weights.items():
            torch.testing.assert_close(graph_weights[name], tensor, atol=1e-4, rtol=0)


def test_no_result_covers_more_steps_than_it_may(noise_dataset):
    *_, results = train(CudaGraphSteps, noise_dataset, "cpu", max_steps=STEPS_PER_GRAPH - 1)
    assert results == 210
    *_, results = train(CudaGraphSteps, noise_dataset, "cpu", max_steps=STEPS_PER_GRAPH)
    assert results == 8 + 10, "8 graphs of 25 steps, and the 10 steps that are left"


def test_a_result_stays_the_same_when_the_next_is_made(noise_dataset):
    results = CudaGraphSteps(make_parts(noise_dataset.train)).run(
        torch.arange(200), step=0, max_steps=lambda: 100
    )
    first = next(results)
    before = first.losses.clone()
    next(results)
    assert torch.equal(first.losses, before)


def fail_to_record(error):
    def record(steps):
        steps._steps()
        raise error

    return record


def test_a_failed_recording_says_why_and_changes_nothing(noise_dataset, monkeypatch):
    error = RuntimeError("not permitted\nwhen capturing")
    monkeypatch.setattr(CudaGraphSteps, "_record", fail_to_record(error))
    parts = make_parts(noise_dataset.train)
    before = {name: tensor.clone() for name, tensor in parts.net.state_dict().items()}
    with pytest.raises(BackendFailedError, match=r"^CUDA graph capture failed \(not permitted\)$"):
        CudaGraphSteps(parts).prepare(lambda: False)
    assert all(torch.equal(tensor, before[name]) for name, tensor in parts.net.state_dict().items())
    assert not any(state["momentum_buffer"].any() for state in parts.optimizer.state.values())
    assert all(parameter.grad is None for parameter in parts.net.parameters())
    plain = make_parts(noise_dataset.train)
    for some in (parts, plain):
        list(EagerSteps(some).run(torch.arange(400), step=0, max_steps=lambda: 1))
    assert all(torch.equal(a, b) for a, b in zip(parts.net.parameters(), plain.net.parameters(), strict=True))


def test_a_device_out_of_memory_while_recording_is_no_reason_to_train_without(noise_dataset, monkeypatch):
    monkeypatch.setattr(CudaGraphSteps, "_record", fail_to_record(torch.OutOfMemoryError("out of memory")))
    parts = make_parts(noise_dataset.train)
    before = parts.net.fc3.weight.clone()
    with pytest.raises(torch.OutOfMemoryError):
        CudaGraphSteps(parts).prepare(lambda: False)
    assert torch.equal(parts.net.fc3.weight, before)


def test_the_graph_is_recorded_before_the_first_step_and_only_once(noise_dataset, monkeypatch):
    recorded = []

    def record(steps):
        recorded.append(steps)
        return steps._steps

    monkeypatch.setattr(CudaGraphSteps, "_record", record)
    steps = CudaGraphSteps(make_parts(noise_dataset.train))
    steps.prepare(lambda: True)
    assert recorded == [], "a stop was requested"
    steps.prepare(lambda: False)
    assert len(recorded) == 1
    list(steps.run(torch.arange(400), step=0, max_steps=lambda: 1000))
    assert len(recorded) == 1


class Mark:
    def __init__(self, log, number):
        self.log, self.number = log, number

    def synchronize(self):
        self.log.append(f"wait for {self.number}")


def test_a_launch_waits_until_only_one_earlier_launch_is_in_flight():
    log, marks = [], iter(range(1, 9))
    limit = InFlightLimit(lambda: Mark(log, next(marks)))
    for number in range(1, 5):
        limit.launch(lambda number=number: log.append(f"launch {number}"))
    assert log == ["launch 1", "launch 2", "wait for 1", "launch 3", "wait for 2", "launch 4"]
