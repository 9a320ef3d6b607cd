"""Steps in a CUDA graph: one launch for many, for nets so small that launching is what takes the time.

Images, order, losses and counts stay on the device; the host is asked for nothing until somebody reads a
result. Source: https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs
"""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from cifar_tui.engine.data.dataset import ImageSplit
from cifar_tui.engine.steps.eager import EagerSteps, StepResult
from cifar_tui.engine.training.batches import normalize

STEPS_PER_GRAPH = 25
"""So few that a pause is served within milliseconds, so many that launching costs next to nothing."""

_WARM_UP_STEPS = 3
_LAUNCHES_AHEAD = 2


class _Launched(Protocol):
    """Work that the device was given."""

    def synchronize(self) -> object:
        """Wait until it is done."""


class InFlightLimit:
    """Launches with no more than two of the launches before on their way.

    The host is ahead of the device by many graphs otherwise, and a pause waits for all of them; with one that
    waits while another runs, the device is never idle.

    Args:
        mark: marks the end of what was launched so far.
    """

    def __init__(self, mark: Callable[[], _Launched]) -> None:
        self._mark = mark
        self._ahead: deque[_Launched] = deque()

    def launch(self, replay: Callable[[], object]) -> None:
        """Give the device what `replay` launches, once there is room for it."""
        if len(self._ahead) == _LAUNCHES_AHEAD:
            self._ahead.popleft().synchronize()
        replay()
        self._ahead.append(self._mark())


class CudaGraphSteps(EagerSteps):
    """The same steps, with a constant learning rate, many to a launch.

    What does not fill a graph, such as the end of an epoch, is made one step at a time. On a CPU there are
    no graphs: the same steps are made, by the same code, as they come.

    Args:
        net: on the device of `train`; without layers that draw random numbers.
        optimizer: SGD over the parameters of `net`.
        train: the training images.
        batch_size: images to a step.

    Attributes:
        failure: why no graph can be recorded here, after which all steps are made one at a time; None if one
            can, or before that was tried.
    """

    def __init__(self, *, net: nn.Module, optimizer: Optimizer, train: ImageSplit, batch_size: int) -> None:
        super().__init__(net=net, optimizer=optimizer, train=train, batch_size=batch_size)
        device = train.targets.device
        self._indices = torch.zeros(STEPS_PER_GRAPH * batch_size, dtype=torch.int64, device=device)
        self._losses = torch.zeros(STEPS_PER_GRAPH, device=device)
        self._correct = torch.zeros((), dtype=torch.int64, device=device)
        self._replay: Callable[[], object] | None = None
        self._recorded: list[int] = []
        self.failure: str | None = None
        self._limit = InFlightLimit(_mark_on_cuda)

    def prepare(self, cancelled: Callable[[], bool]) -> None:
        """Record the graph; where that fails, `failure` says why and net and optimizer are as they were."""
        if cancelled():
            return
        try:
            self._recorded_replay()
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            self.failure = (str(error).strip().splitlines() or ["no reason given"])[0]

    def over(self, order: Tensor, *, at_most: Callable[[], int]) -> Iterator[StepResult]:
        """Train on the images in `order`, a graph to a result wherever `at_most` has room for one."""
        order = order.to(self._train.targets.device)
        size, done = self._batch_size, 0
        while done < len(order):
            room = self.failure is None and at_most() >= STEPS_PER_GRAPH
            if room and len(order) - done >= len(self._indices):
                part = order[done : done + len(self._indices)]
                yield self._graph(part)
            else:
                part = order[done : done + size]
                yield from super().over(part, at_most=at_most)
            done += len(part)

    def _graph(self, indices: Tensor) -> StepResult:
        replay = self._recorded_replay()
        self._indices.copy_(indices)
        if self._train.targets.is_cuda:
            self._limit.launch(replay)
        else:
            replay()
        # copied, for the next graph writes to the same place
        return StepResult(
            losses=self._losses.clone(), correct=self._correct.clone(), images=len(self._indices)
        )

    def _steps(self) -> None:
        """The steps of a graph, on whatever `_indices` holds."""
        self._correct.zero_()
        inputs = torch.split(normalize(self._train.images[self._indices]), self._batch_size)
        targets = torch.split(self._train.targets[self._indices], self._batch_size)
        for number, (batch_inputs, batch_targets) in enumerate(zip(inputs, targets, strict=True)):
            loss, logits = self.train_step(batch_inputs, batch_targets)
            self._losses[number].copy_(loss)
            self._correct.add_((logits.argmax(dim=1) == batch_targets).sum())

    def _recorded_replay(self) -> Callable[[], object]:
        """What makes the steps of a graph, recorded anew where a checkpoint was loaded."""
        if self._replay is None or self._recorded != self._addresses():
            self._make_momentum_buffers()
            with self._left_as_they_were():
                self._replay = self._record()
            self._recorded = self._addresses()
        return self._replay

    def _record(self) -> Callable[[], object]:
        if not self._train.targets.is_cuda:
            return self._steps
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]  # torch has no types for it
        stream.wait_stream(torch.cuda.current_stream())
        try:
            with torch.cuda.stream(stream):
                for _ in range(_WARM_UP_STEPS):
                    self._steps()
        finally:  # also where it failed: what was changed is restored after what was begun
            torch.cuda.current_stream().wait_stream(stream)
        self._optimizer.zero_grad()
        graph = torch.cuda.CUDAGraph()
        # another thread may use the device meanwhile
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            self._steps()
        return graph.replay

    @contextmanager
    def _left_as_they_were(self) -> Iterator[None]:
        """Run a block that makes steps, and have net and optimizer as before it, however it ends."""
        before = [tensor.clone() for tensor in self._state()]
        try:
            yield
        finally:
            for tensor, value in zip(self._state(), before, strict=True):
                tensor.copy_(value)
            self._optimizer.zero_grad()

    def _make_momentum_buffers(self) -> None:
        """Buffers of zeros: the first update is then momentum * 0 + gradient, as without any."""
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

    def _addresses(self) -> list[int]:
        """Where a graph finds what it changes: it is recorded anew when a checkpoint was loaded."""
        return [tensor.data_ptr() for tensor in self._state()] if self._train.targets.is_cuda else []


def _mark_on_cuda() -> _Launched:
    # blocking: who waits leaves the processor to others
    mark = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]  # torch has no types for it
    mark.record()
    return mark
