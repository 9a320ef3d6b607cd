"""What a step backend is: what it declares it can do, and the runner it makes."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from cifar_tui.engine.config.schema import SETTINGS, TrainConfig
from cifar_tui.engine.data.dataset import ImageSplit
from cifar_tui.engine.distributed.ranks import ALONE, Ranks
from cifar_tui.engine.events import Event, ignore_event
from cifar_tui.engine.optim.weight_averaging import WeightAverage


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class StepResult:
    """One or more consecutive steps, on the device of the run.

    Attributes:
        losses: float32 (K,), the mean loss (nats) of each step's batch before its update.
        correct: int64 (), images of all K batches classified correctly.
        images: number of images in the K batches.
    """

    losses: Tensor
    correct: Tensor
    images: int


class StepRunner(Protocol):
    """Runs training steps.

    Attributes:
        chart_images: training images per chart point, unless that is set.
    """

    chart_images: int

    def prepare(self, cancelled: Callable[[], bool]) -> None:
        """Compile or record what the steps need, before the first one; returns early if `cancelled`.

        Raises:
            BackendFailedError: it cannot be done here; model and optimizer are unchanged.
            ConfigError: nor can what a setting requires, such as compile "yes".
        """
        ...

    def run(self, order: Tensor, *, step: int, max_steps: Callable[[], int]) -> Iterator[StepResult]:
        """Train on the images in `order`; a generator: steps run when the next result is requested.

        Args:
            order: int64 (N,), indices of training images.
            step: steps of the run before these.
            max_steps: how many steps the next result may cover.
        """
        ...

    def state_dict(self) -> dict[str, Any]:
        """What a runner keeps besides model and optimizer, as tensors and plain values."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state_dict` returned.

        Raises:
            KeyError, RuntimeError: `state` does not fit.
        """
        ...


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class StepParts:
    """What a runner is made from.

    Attributes:
        config: the settings.
        net: the model to train, on the device of `train`.
        optimizer: over its parameters.
        train: the training images.
        average: of the weights; None without.
        precision: of the steps: fp32, tf32, bf16 or fp16.
        num_classes: number of logits per image.
        class_weights: float32 (C,), of the loss, on the device of `train`; None: all classes the same.
        log: takes a line for the log.
        ranks: the processes that train it.
        emit: takes an event.
    """

    config: TrainConfig
    net: nn.Module
    optimizer: Optimizer
    train: ImageSplit
    average: WeightAverage | None
    precision: str
    num_classes: int
    class_weights: Tensor | None
    log: Callable[[str], None]
    ranks: Ranks = ALONE
    emit: Callable[[Event], None] = ignore_event


@dataclass(frozen=True, kw_only=True, slots=True)
class StepBackend:
    """A way to run training steps, and what it can do.

    Attributes:
        name: its value of the setting `backend`.
        label: what screen and log call it.
        create: makes its runner.
        device_type: the devices it runs on; None for any.
        supports: the step settings that it follows, whatever their values; any other must have its default.
            None: all.
        min_images: minimum training images (all epochs) for the setup to pay off.
        obstacle: returns why it cannot run these settings here, None if it can; without one it always can.
        version: version of the library its results depend on; None if there is none.
    """

    name: str
    label: str
    create: Callable[[StepParts], StepRunner]
    device_type: str | None = None
    supports: frozenset[str] | None = None
    min_images: int = 0
    obstacle: Callable[[TrainConfig], str | None] | None = None
    version: Callable[[], str] | None = None

    def obstacle_to(self, config: TrainConfig, device: torch.device) -> str | None:
        """Why this backend cannot train with `config` on `device`; None if it can."""
        if self.device_type not in {None, device.type}:
            return f"{self.name} does not run on {device.type}"
        if self.supports is not None:
            for name, field in SETTINGS.items():
                value = getattr(config, name)
                if field.metadata["in_step"] and name not in self.supports and value != field.default:
                    return f"{self.name} does not support {name} {value}"
        return self.obstacle(config) if self.obstacle is not None else None


class BackendFailedError(Exception):
    """A backend cannot prepare its steps here; the message is the reason, without a full stop."""
