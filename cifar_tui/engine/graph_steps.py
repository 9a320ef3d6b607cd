"""Steps in a CUDA graph: one launch for many, for nets so small that launching is what takes the time.

Images, order, losses and counts stay on the device; the host is asked for nothing until somebody reads a
result. Source: https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from cifar_tui.engine.batches import normalize
from cifar_tui.engine.data.dataset import ImageSplit
from cifar_tui.engine.steps import EagerSteps, StepResult

STEPS_PER_GRAPH = 25
"""So few that a pause is served within milliseconds, so many that launching costs next to nothing."""

_WARM_UP_STEPS = 3


class GraphSteps(EagerSteps):
    """The same steps, with a constant learning rate, many to a launch.

    What does not fill a graph, such as the end of an epoch, is made one step at a time. On a CPU there are
    no graphs: the same steps are made, by the same code, as they come.

    Args:
        net: on the device of `train`; without layers that draw random numbers.
        optimizer: SGD over the parameters of `net`.
        train: the training images.
        batch_size: images to a step.
    """

    def __init__(self, *, net: nn.Module, optimizer: Optimizer, train: ImageSplit, batch_size: int) -> None:
        super().__init__(net=net, optimizer=optimizer, train=train, batch_size=batch_size)
        device = train.targets.device
        self._indices = torch.zeros(STEPS_PER_GRAPH * batch_size, dtype=torch.int64, device=device)
        self._losses = torch.zeros(STEPS_PER_GRAPH, device=device)
        self._correct = torch.zeros((), dtype=torch.int64, device=device)
        self._replay: Callable[[], object] | None = None
        self._recorded: list[int] = []

    def over(self, order: Tensor, *, at_most: Callable[[], int]) -> Iterator[StepResult]:
        """Train on the images in `order`, a graph to a result wherever `at_most` has room for one."""
        order = order.to(self._train.targets.device)
        size, done = self._batch_size, 0
        while done < len(order):
            if at_most() >= STEPS_PER_GRAPH and len(order) - done >= len(self._indices):
                part = order[done : done + len(self._indices)]
                yield self._graph(part)
            else:
                part = order[done : done + size]
                yield from super().over(part, at_most=at_most)
            done += len(part)

    def _graph(self, indices: Tensor) -> StepResult:
        if self._replay is None or self._recorded != self._addresses():
            self._replay = self._record()
            self._recorded = self._addresses()
        self._indices.copy_(indices)
        self._replay()
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

    def _record(self) -> Callable[[], object]:
        if not self._train.targets.is_cuda:
            return self._steps
        self._make_momentum_buffers()
        before = [tensor.clone() for tensor in self._state()]
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]  # torch has no types for it
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(_WARM_UP_STEPS):
                self._steps()
        torch.cuda.current_stream().wait_stream(stream)
        self._optimizer.zero_grad()
        graph = torch.cuda.CUDAGraph()
        # another thread may use the device meanwhile
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            self._steps()
        for tensor, value in zip(self._state(), before, strict=True):
            tensor.copy_(value)
        return graph.replay

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
