"""Ways to make the steps of an epoch: each takes an order of images and gives what every step came to."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer

from cifar_tui.engine.data.dataset import ImageSplit
from cifar_tui.engine.training.batches import batches

_IMAGES_PER_POINT = 200
_IMAGES_PER_POINT_ON_CUDA = 4000
"""To read a point is to wait for the device, which makes so many images in a tenth of a second or less."""


_SECONDS_A_RESULT = 0.02
"""Between two results the trainer looks whether it is to pause, save or stop."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class StepResult:
    """What one or more steps in a row came to, on the device of the training.

    Attributes:
        losses: float32 (K,), the mean loss of each step's batch before its update.
        correct: int64 (), the images of all K batches that were classified rightly.
        images: how many images the K batches have.
    """

    losses: Tensor
    correct: Tensor
    images: int


class Steps(Protocol):
    """Makes steps over the images of a training.

    Attributes:
        images_per_point: of how many images a point of the chart tells, where that is not set.
    """

    images_per_point: int

    def prepare(self, cancelled: Callable[[], bool]) -> None:
        """Do what is to be done once before the first step; returns early if `cancelled` says so."""
        ...

    def over(self, order: Tensor, *, at_most: Callable[[], int]) -> Iterator[StepResult]:
        """Train on the images in `order`; the steps are made while the result is asked for.

        Args:
            order: int64 (N,), indices of training images.
            at_most: how many steps the next result may stand for.
        """
        ...

    def state_dict(self) -> dict[str, Any]:
        """What is kept from step to step besides net and optimizer, as tensors and plain values."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave.

        Raises:
            KeyError, RuntimeError: `state` is not one of these steps.
        """
        ...


class EagerSteps:
    """The loop of the tutorial: one step after the other, in plain PyTorch.

    Args:
        net: on the device of `train`.
        optimizer: over the parameters of `net`.
        train: the training images.
        batch_size: images to a step; the last batch of an order may be smaller.
    """

    def __init__(self, *, net: nn.Module, optimizer: Optimizer, train: ImageSplit, batch_size: int) -> None:
        self._net = net
        self._optimizer = optimizer
        self._train = train
        self._batch_size = batch_size
        self.images_per_point = images_per_point(train.targets.device)

    def prepare(self, cancelled: Callable[[], bool]) -> None:
        """Nothing is to be done."""

    def over(self, order: Tensor, *, at_most: Callable[[], int]) -> Iterator[StepResult]:
        """Train on the images in `order`, as many steps to a result as `at_most` and the time allow.

        Which answers are right is seen for all of them at once: step by step it takes a twentieth of the time
        of a step of four images.
        """
        made: list[tuple[Tensor, Tensor, Tensor]] = []
        for inputs, targets in batches(self._train, order, self._batch_size):
            if not made:
                most, due = at_most(), time.monotonic() + _SECONDS_A_RESULT
            made.append((*self.train_step(inputs, targets), targets))
            if len(made) >= most or time.monotonic() >= due:
                yield _result(made)
                made.clear()
        if made:
            yield _result(made)

    def state_dict(self) -> dict[str, Any]:
        """Nothing: net and optimizer are all there is."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave."""

    def train_step(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """One update on one batch.

        Args:
            inputs: float32 (N, 3, 32, 32), normalised.
            targets: int64 (N,).

        Returns:
            The batch's mean loss, shape (), and the logits (N, C) it came from, both without gradients.
        """
        self._optimizer.zero_grad()
        logits = self._net(inputs)
        loss = functional.cross_entropy(logits, targets)
        torch.autograd.backward(loss)
        self._optimizer.step()
        return loss.detach(), logits.detach()


def _result(made: Sequence[tuple[Tensor, Tensor, Tensor]]) -> StepResult:
    """What steps with these losses, logits and targets came to."""
    losses, logits, targets = zip(*made, strict=True)
    all_targets = torch.cat(targets)
    correct = (torch.cat(logits).argmax(dim=1) == all_targets).sum()
    return StepResult(losses=torch.stack(losses), correct=correct, images=len(all_targets))


def images_per_point(device: torch.device) -> int:
    """Of how many images a point of the chart tells that is made of single steps on `device`."""
    return _IMAGES_PER_POINT_ON_CUDA if device.type == "cuda" else _IMAGES_PER_POINT
