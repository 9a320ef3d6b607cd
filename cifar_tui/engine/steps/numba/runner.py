"""Run training steps in the compiled loops of `net`, many per call."""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numba.core import event
from torch import Tensor

from cifar_tui.engine.data.dataset import normalize
from cifar_tui.engine.errors import CancelledError
from cifar_tui.engine.steps.backend import StepParts, StepResult
from cifar_tui.engine.steps.numba.net import make_workspace, train_steps

_CALL_SECONDS = 0.02
"""How long a call may take: between two of them the trainer checks whether to pause, save or stop."""
_CHART_IMAGES = 600
"""A call trains on about this many images; between two it has to wait for the interpreter."""


class NumbaSteps:
    """The steps of `EagerSteps` to within float32 rounding, on one core and without the GIL.

    Updates parameters and momentum in place, so whatever reads these between two results finds what
    `EagerSteps` would have left. The number of steps per result does not affect the values.
    """

    def __init__(self, parts: StepParts) -> None:
        self._parameters = list(parts.net.parameters())
        self._optimizer = parts.optimizer
        self._batch_size = parts.config.batch_size
        self.chart_images = _CHART_IMAGES
        self._images = parts.train.take(slice(None)).view(len(parts.train), -1).numpy()
        self._targets = parts.train.targets.numpy()
        self._classes = self._parameters[-1].numel()
        self._values = normalize(torch.arange(256, dtype=torch.uint8)).numpy()
        self._workspace = make_workspace(self._batch_size, self._classes)
        self._step_seconds = _CALL_SECONDS

    def prepare(self, cancelled: Callable[[], bool]) -> None:
        """Compile the loops, or load them from numba's cache; returns early if `cancelled`."""
        listener = _Cancellation(cancelled)
        try:
            with event.install_listener("numba:compile", listener):
                self._call(torch.empty(0, dtype=torch.int64), self._buffers())
        except CancelledError:
            pass  # the trainer stops before its first step
        except OSError:  # compiled, but the cache has no room for it
            self._call(torch.empty(0, dtype=torch.int64), self._buffers())

    def state_dict(self) -> dict[str, Any]:
        """Empty: model and optimizer are all there is."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Nothing to continue from."""

    def run(self, order: Tensor, *, step: int, max_steps: Callable[[], int]) -> Iterator[StepResult]:
        """Train on the images in `order`, as many steps to a result as `max_steps` and the time allow."""
        del step  # every step has the same learning rate
        buffers = self._buffers()
        self._keep(buffers)
        first = 0
        while first < len(order):
            steps = max(1, min(max_steps(), int(_CALL_SECONDS / self._step_seconds)))
            batch = order[first : first + steps * self._batch_size]
            first += len(batch)
            started = time.perf_counter()
            losses, correct = self._call(batch, buffers)
            self._step_seconds = (time.perf_counter() - started) / len(losses)
            yield StepResult(losses=losses, correct=torch.tensor(correct), images=len(batch))

    def _buffers(self) -> list[Tensor]:
        """The momentum of every parameter; 0 before the first step, after which it is the gradient."""
        states = (self._optimizer.state.get(parameter, {}) for parameter in self._parameters)
        return [
            torch.zeros_like(parameter) if state.get("momentum_buffer") is None else state["momentum_buffer"]
            for parameter, state in zip(self._parameters, states, strict=True)
        ]

    def _keep(self, buffers: list[Tensor]) -> None:
        """Give the optimizer its momentum, if it has one."""
        if self._optimizer.param_groups[0]["momentum"]:
            for parameter, buffer in zip(self._parameters, buffers, strict=True):
                self._optimizer.state[parameter]["momentum_buffer"] = buffer

    def _call(self, order: Tensor, buffers: list[Tensor]) -> tuple[Tensor, int]:
        """Train on the images in `order`: the loss of each step, and the number of correct images."""
        group = self._optimizer.param_groups[0]
        losses = np.empty(-(-len(order) // self._batch_size), dtype=np.float32)
        correct = train_steps(
            self._images,
            self._targets,
            order.numpy(),
            self._batch_size,
            self._values,
            tuple(parameter.detach().view(-1).numpy() for parameter in self._parameters),
            tuple(buffer.view(-1).numpy() for buffer in buffers),
            self._workspace,
            self._classes,
            np.float32(group["lr"]),
            np.float32(group["momentum"]),
            np.float32(group["weight_decay"]),
            losses,
        )
        return torch.from_numpy(losses), correct


class _Cancellation(event.Listener):
    """Ends a compilation between two of its functions."""

    def __init__(self, cancelled: Callable[[], bool]) -> None:
        self._cancelled = cancelled

    def on_start(self, event: event.Event) -> None:
        """Check whether to continue."""
        del event
        if self._cancelled():
            raise CancelledError

    def on_end(self, event: event.Event) -> None:
        """Nothing to do."""
