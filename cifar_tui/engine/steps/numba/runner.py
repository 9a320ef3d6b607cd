"""Makes the steps of a training with the compiled loops of `net`, many to a call."""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numba.core import event
from torch import Tensor, nn
from torch.optim import SGD

from cifar_tui.engine.data.dataset import ImageSplit
from cifar_tui.engine.errors import CancelledError
from cifar_tui.engine.steps.eager import StepResult
from cifar_tui.engine.steps.numba.net import make_workspace, train_steps
from cifar_tui.engine.training.batches import normalize

_SECONDS_A_CALL = 0.02
"""How long a call may take: between two of them the trainer looks whether it is to pause, save or stop."""

_IMAGES_PER_POINT = 600
"""Such a call makes about so many; between two of them it has to wait for the interpreter."""


class NumbaSteps:
    """Steps of `EagerSteps` to within the rounding of float32, on one core and without the GIL.

    They work in the memory of the net's parameters and of the optimizer's momentum, so whatever reads those
    between two results finds what `EagerSteps` would have left there. How many steps make a result changes no
    bit of them.

    Args:
        net: `models.Net`, on the CPU.
        optimizer: over its parameters, as one group.
        train: the training images, on the CPU.
        batch_size: images to a step; the last batch of an order may be smaller.
    """

    def __init__(self, *, net: nn.Module, optimizer: SGD, train: ImageSplit, batch_size: int) -> None:
        self._parameters = list(net.parameters())
        self._optimizer = optimizer
        self._batch_size = batch_size
        self.images_per_point = _IMAGES_PER_POINT
        self._images = train.images.view(len(train), -1).numpy()
        self._labels = train.targets.numpy()
        self._classes = self._parameters[-1].numel()
        self._values = normalize(torch.arange(256, dtype=torch.uint8)).numpy()
        self._workspace = make_workspace(batch_size, self._classes)
        self._seconds_a_step = _SECONDS_A_CALL

    def prepare(self, cancelled: Callable[[], bool]) -> None:
        """Have the loops compiled, or loaded where they were kept; returns early if `cancelled` says so."""
        listener = _Cancellation(cancelled)
        try:
            with event.install_listener("numba:compile", listener):
                self._call(torch.empty(0, dtype=torch.int64), self._buffers())
        except CancelledError:
            pass
        except OSError:  # compiled, but there was no room to keep it
            self._call(torch.empty(0, dtype=torch.int64), self._buffers())

    def state_dict(self) -> dict[str, Any]:
        """Nothing: net and optimizer are all there is."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave."""

    def over(self, order: Tensor, *, at_most: Callable[[], int]) -> Iterator[StepResult]:
        """Train on the images in `order`, as many steps to a result as `at_most` and the time allow."""
        buffers = None
        first = 0
        while first < len(order):
            if buffers is None:
                buffers = self._buffers()
                self._keep(buffers)
            steps = max(1, min(at_most(), int(_SECONDS_A_CALL / self._seconds_a_step)))
            batch = order[first : first + steps * self._batch_size]
            first += len(batch)
            started = time.perf_counter()
            losses, correct = self._call(batch, buffers)
            self._seconds_a_step = (time.perf_counter() - started) / len(losses)
            yield StepResult(losses=losses, correct=torch.tensor(correct), images=len(batch))

    def _buffers(self) -> list[Tensor]:
        """The momentum of every parameter; 0 before the first step, after which it is the gradient."""
        states = (self._optimizer.state.get(parameter, {}) for parameter in self._parameters)
        return [
            torch.zeros_like(parameter) if state.get("momentum_buffer") is None else state["momentum_buffer"]
            for parameter, state in zip(self._parameters, states, strict=True)
        ]

    def _keep(self, buffers: list[Tensor]) -> None:
        """Let the optimizer have its momentum, where it wants one."""
        if self._optimizer.param_groups[0]["momentum"]:
            for parameter, buffer in zip(self._parameters, buffers, strict=True):
                self._optimizer.state[parameter]["momentum_buffer"] = buffer

    def _call(self, order: Tensor, buffers: list[Tensor]) -> tuple[Tensor, int]:
        """Steps over the images in `order`: the loss of each, and how many images were right."""
        group = self._optimizer.param_groups[0]
        losses = np.empty(-(-len(order) // self._batch_size), dtype=np.float32)
        correct = train_steps(
            self._images,
            self._labels,
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
        """Look whether to go on."""
        del event
        if self._cancelled():
            raise CancelledError

    def on_end(self, event: event.Event) -> None:
        """Nothing is done here."""
