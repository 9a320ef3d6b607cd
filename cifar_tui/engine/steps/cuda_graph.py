"""Training steps in CUDA graphs: many steps per launch, for models dominated by launch overhead.

Images, order, losses and counts stay on the device; no host sync until a result is read.
Source: https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.device.memory import is_out_of_memory
from cifar_tui.engine.steps.backend import BackendFailedError, StepBackend, StepParts, StepResult
from cifar_tui.engine.steps.eager import EagerSteps

STEPS_PER_GRAPH = 25
"""Few enough for a pause within milliseconds, many enough for launching to cost next to nothing."""

_WARMUP_STEPS = 3
_MAX_BATCH_SIZE = 64
_FAILURES: list[str] = []
"""Why recording failed in this process: PyTorch's allocator may still believe that it records."""


class CudaGraphSteps(EagerSteps):
    """The steps of `EagerSteps` with a constant learning rate, many per launch.

    What does not fill a graph, such as the end of an epoch, runs eagerly. On a CPU the same steps run without
    a graph.
    """

    def __init__(self, parts: StepParts) -> None:
        super().__init__(parts)
        self._indices = torch.zeros(
            STEPS_PER_GRAPH * self._batch_size, dtype=torch.int64, device=self._device
        )
        self._losses = torch.zeros(STEPS_PER_GRAPH, device=self._device)
        self._correct = torch.zeros((), dtype=torch.int64, device=self._device)
        self._replay: Callable[[], object] | None = None

    def prepare(self, cancelled: Callable[[], bool]) -> None:
        """Record the graph.

        Raises:
            BackendFailedError: it cannot be recorded here; model and optimizer are unchanged.
        """
        if cancelled():
            return
        try:
            self._recorded_replay()
        except RuntimeError as error:
            reason = (str(error).strip().splitlines() or ["no reason given"])[0]
            _FAILURES.append(f"CUDA graph capture failed ({reason})")
            if is_out_of_memory(error):
                raise
            raise BackendFailedError(_FAILURES[-1]) from error

    def run(self, order: Tensor, *, step: int, max_steps: Callable[[], int]) -> Iterator[StepResult]:
        """Train on the images in `order`, a graph per result wherever `max_steps` has room for one."""
        order = order.to(self._device)
        size, done = self._batch_size, 0
        while done < len(order):
            if max_steps() >= STEPS_PER_GRAPH and len(order) - done >= len(self._indices):
                part = order[done : done + len(self._indices)]
                yield self._launch(part)
            else:
                part = order[done : done + size]
                yield from super().run(part, step=step + done // size, max_steps=max_steps)
            done += len(part)

    def _launch(self, indices: Tensor) -> StepResult:
        replay = self._recorded_replay()
        self._indices.copy_(indices)
        with self._limit:
            replay()
        # copied, because the next graph writes to the same place
        return StepResult(
            losses=self._losses.clone(), correct=self._correct.clone(), images=len(self._indices)
        )

    def _steps(self) -> None:
        """The steps of a graph, on whatever `_indices` holds."""
        inputs = torch.split(self._train.inputs(self._indices), self._batch_size)
        targets = self._train.targets[self._indices]
        steps = map(self.train_step, inputs, torch.split(targets, self._batch_size))
        losses, logits = zip(*steps, strict=True)
        # once for all steps: on a GPU each call takes as long as one of a step
        torch.stack(losses, out=self._losses)
        self._correct.copy_((torch.cat(logits).argmax(dim=1) == targets).sum())

    def _recorded_replay(self) -> Callable[[], object]:
        """What replays the graph, recorded the first time: a checkpoint must be loaded before."""
        if self._replay is None:
            self._make_momentum_buffers()
            with self._unchanged():
                self._replay = self._record()
        return self._replay

    def _record(self) -> Callable[[], object]:
        return self._steps if self._device.type != "cuda" else self._capture()

    def _capture(self) -> Callable[[], object]:
        """Record a graph on the current CUDA device; the steps that this runs change the model."""
        before = torch.cuda.current_stream()
        # given to the capture too: its default stream is that of the first device of the process
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]  # torch has no types for it
        stream.wait_stream(before)
        try:
            with torch.cuda.stream(stream):
                for _ in range(_WARMUP_STEPS):
                    self._steps()
        finally:  # on failure too: the warm-up must finish before the state is restored
            before.wait_stream(stream)
        self._optimizer.zero_grad()
        graph = torch.cuda.CUDAGraph()
        try:
            # thread_local: another thread may use the device meanwhile
            with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
                self._steps()
        finally:
            torch.cuda.set_stream(before)  # a capture that fails leaves its own
        self._losses.fill_(math.nan)
        graph.replay()
        # later losses are not finite if the learning rate is too high
        if not bool(self._losses[0].isfinite()):
            raise RuntimeError("a trial replay computed no loss")
        return graph.replay

    @contextmanager
    def _unchanged(self) -> Iterator[None]:
        """Restore model and optimizer after a block that runs steps, however it ends."""
        before = [tensor.clone() for tensor in self._state()]
        try:
            yield
        finally:
            for tensor, value in zip(self._state(), before, strict=True):
                tensor.copy_(value)
            self._optimizer.zero_grad()

    def _make_momentum_buffers(self) -> None:
        """Start momentum at zero: the first update is momentum · 0 + gradient, as without a buffer."""
        for group in self._optimizer.param_groups:
            for parameter in group["params"] if group["momentum"] else []:
                state = self._optimizer.state[parameter]
                if state.get("momentum_buffer") is None:
                    state["momentum_buffer"] = torch.zeros_like(parameter)

    def _state(self) -> list[Tensor]:
        """Everything that a step changes."""
        buffers = [
            value
            for state in self._optimizer.state.values()
            for value in state.values()
            if isinstance(value, Tensor)
        ]
        return [*(tensor.detach() for tensor in self._net.state_dict().values()), *buffers]


def _obstacle(config: TrainConfig) -> str | None:
    if _FAILURES:
        return f"{_FAILURES[0]} earlier in this process"
    for name, value in (("chart_every", config.chart_every), ("log_every", config.log_every)):
        if 0 < value < STEPS_PER_GRAPH:
            return f"CUDA graphs run {STEPS_PER_GRAPH} steps at a time: {name} is only {value}"
    if config.batch_size > _MAX_BATCH_SIZE:
        return f"CUDA graphs take batch sizes up to {_MAX_BATCH_SIZE}"
    return None


BACKEND = StepBackend(
    name="cuda_graph",
    label="CUDA graphs",
    create=CudaGraphSteps,
    device_type="cuda",
    supports=frozenset({"batch_size", "learning_rate", "momentum", "weight_decay"}),
    min_images=10_000,  # recording takes a second at most
    obstacle=_obstacle,
)
