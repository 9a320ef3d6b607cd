"""Many steps in one graph are the same as one after the other.

The graph itself needs a GPU; its content, and the steps that do not fill one, are the same code on a CPU.
"""

from contextlib import contextmanager
from types import SimpleNamespace

import pytest
import torch

from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.errors import ConfigError
from cifar_tui.engine.steps.backend import BackendFailedError
from cifar_tui.engine.steps.cuda_graph import STEPS_PER_GRAPH, CudaGraphSteps
from cifar_tui.engine.steps.eager import EagerSteps
from cifar_tui.engine.steps.select import resolve_backend
from tests.engine.made_training import MadeTraining, make_parts

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


class FakeCuda:
    """What recording needs of torch.cuda, on a CPU: the current stream, and a graph that replays `replay`.

    As torch's, a capture whose end fails leaves its stream as the current one.
    """

    def __init__(self, monkeypatch):
        self.current = self.first = FakeStream()
        self.captures = []
        self.replay = lambda: None
        self.error = None
        for name in ("current_stream", "set_stream", "stream", "graph"):
            monkeypatch.setattr(torch.cuda, name, getattr(self, name))
        monkeypatch.setattr(torch.cuda, "Stream", FakeStream)
        monkeypatch.setattr(torch.cuda, "CUDAGraph", lambda: SimpleNamespace(replay=lambda: self.replay()))
        monkeypatch.setattr(CudaGraphSteps, "_record", CudaGraphSteps._capture)

    def current_stream(self):
        return self.current

    def set_stream(self, stream):
        self.current = stream

    @contextmanager
    def stream(self, stream):
        before, self.current = self.current, stream
        yield
        self.current = before

    @contextmanager
    def graph(self, graph, *, stream, capture_error_mode):
        self.captures.append((stream, capture_error_mode))
        self.current = stream
        yield
        if self.error is not None:
            raise self.error
        self.current = self.first


class FakeStream:
    def wait_stream(self, other):
        assert other is not self


@pytest.fixture
def cuda(monkeypatch):
    return FakeCuda(monkeypatch)


def test_a_graph_is_captured_on_a_stream_of_its_own(noise_dataset, cuda):
    for number in (1, 2):  # a second run of the process
        steps = CudaGraphSteps(make_parts(noise_dataset.train))
        cuda.replay = steps._steps
        steps.prepare(lambda: False)
        assert len(cuda.captures) == number
        assert cuda.current is cuda.first
    (one, mode), (other, _) = cuda.captures
    assert mode == "thread_local"
    assert one is not other
    assert None not in (one, other)


def test_an_empty_graph_is_refused(noise_dataset, cuda):
    parts = make_parts(noise_dataset.train)
    before = parts.net.fc3.weight.clone()
    with pytest.raises(BackendFailedError, match=r"\(a trial replay computed no loss\)$"):
        CudaGraphSteps(parts).prepare(lambda: False)
    assert torch.equal(parts.net.fc3.weight, before)


def test_a_capture_that_failed_gives_the_stream_back_and_none_is_tried_again(noise_dataset, cuda):
    cuda.error = torch.AcceleratorError(
        "CUDA error: operation failed due to a previous error during capture\nSearch for "
        "`cudaErrorStreamCaptureInvalidated' in https://docs.nvidia.com/cuda/ for more information."
    )
    device, config = torch.device("cuda", 0), TrainConfig()
    assert resolve_backend(config, device, images=10**6).backend.name == "cuda_graph"
    with pytest.raises(BackendFailedError, match="operation failed due to a previous error"):
        CudaGraphSteps(make_parts(noise_dataset.train)).prepare(lambda: False)
    assert cuda.current is cuda.first
    choice = resolve_backend(config, device, images=10**6)
    assert choice.sentence() == (
        "backend eager: CUDA graph capture failed (CUDA error: operation failed due to a previous error "
        "during capture) earlier in this process"
    )
    with pytest.raises(ConfigError, match="earlier in this process; set backend to auto"):
        resolve_backend(config.replace(backend="cuda_graph"), device, images=10**6)


def test_a_capture_that_ran_out_of_memory_is_no_reason_to_train_without(noise_dataset, cuda):
    cuda.error = torch.AcceleratorError("CUDA error: operation failed due to a previous error during capture")
    cuda.error.__context__ = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 MiB.")
    with pytest.raises(torch.AcceleratorError):
        CudaGraphSteps(make_parts(noise_dataset.train)).prepare(lambda: False)
    assert cuda.current is cuda.first


def test_the_graph_of_a_resumed_run_is_recorded_once_with_what_was_loaded(
    noise_dataset, tmp_path, monkeypatch
):
    """On a GPU a graph has the addresses of the loaded momentum."""
    recorded = []

    def record(steps):
        recorded.append([tensor.clone() for tensor in steps._state()])
        return steps._steps

    monkeypatch.setattr(CudaGraphSteps, "_record", record)
    settings = {"backend": "cuda_graph", "learning_rate": 0.01, "chart_every": 100}
    first = MadeTraining(noise_dataset, tmp_path, **settings)
    first.trainer.fit()
    assert len(recorded) == 1
    state = torch.load(tmp_path / "last.pt", weights_only=True)
    again = MadeTraining(noise_dataset, tmp_path, **settings, epochs=2, state=state)
    assert again.trainer.fit().step == 420
    assert len(recorded) == 2
    assert all(map(torch.equal, recorded[1], first.setup.runner._state()))
