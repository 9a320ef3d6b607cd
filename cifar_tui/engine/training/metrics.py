"""Metrics of a run: losses and accuracy per chart point, log line and epoch, and time spent training."""

import dataclasses
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from cifar_tui.engine.steps.backend import StepResult


@dataclass(slots=True)
class Mean:
    """A mean as the tutorial takes it: a running sum, divided at the end."""

    total: float = 0.0
    count: int = 0

    def add(self, value: float, count: int = 1) -> None:
        """Add a value that is itself the mean of `count` values."""
        self.total += value * count
        self.count += count

    @property
    def value(self) -> float:
        """The mean; NaN without values."""
        return self.total / self.count if self.count else math.nan


@dataclass(slots=True)
class Stopwatch:
    """Seconds between `start` and `stop`, summed."""

    finished: float = 0.0
    started: float | None = None

    def start(self) -> None:
        """Start counting."""
        self.started = time.perf_counter()

    def stop(self) -> None:
        """Stop counting."""
        self.finished, self.started = self.seconds, None

    @property
    def seconds(self) -> float:
        """The sum so far."""
        running = 0.0 if self.started is None else time.perf_counter() - self.started
        return self.finished + running


@dataclass(frozen=True, kw_only=True, slots=True)
class MetricsReading:
    """The steps since the previous reading.

    Attributes:
        losses: of each step, in order, in nats.
        accuracy: share (0-1) of the images classified correctly.
        images: number of images.
    """

    losses: list[float]
    accuracy: float
    images: int

    @property
    def first_non_finite(self) -> int | None:
        """The index of the first loss that is not finite; None if all are."""
        return next((index for index, loss in enumerate(self.losses) if not math.isfinite(loss)), None)


class TrainingMetrics:
    """Collects step results on the device; copies them to the host only when they are reported.

    Args:
        batch_size: images in a step; only the last step of an epoch may have fewer.

    Attributes:
        window: losses since the last log line; each step counts the same, as in the tutorial.
        epoch_loss: losses of this epoch; each image counts the same.
        epoch_correct: images classified correctly in this epoch.
        last_window: mean loss of the last complete log window; None before the first.
    """

    def __init__(self, batch_size: int) -> None:
        self._batch_size = batch_size
        self.window = Mean()
        self.epoch_loss = Mean()
        self.epoch_correct = 0
        self.last_window: float | None = None
        self._losses: list[Tensor] = []
        self._correct: list[Tensor] = []
        self._images = 0

    def begin_epoch(self) -> None:
        """Reset the sums of the epoch and its last window, as the tutorial does."""
        self.restart_epoch()
        self.window = Mean()

    def restart_epoch(self) -> None:
        """Reset the sums of the epoch: its mean loss and accuracy are over the images from here on."""
        self.read()  # steps that were not reported yet are of the images before
        self.epoch_loss, self.epoch_correct = Mean(), 0

    @property
    def epoch_accuracy(self) -> float:
        """Share (0-1) of the images of this epoch classified correctly; NaN without images."""
        images = self.epoch_loss.count
        return self.epoch_correct / images if images else math.nan

    def add(self, result: StepResult) -> None:
        """Add steps; nothing is read from the device."""
        self._losses.append(result.losses)
        self._correct.append(result.correct)
        self._images += result.images

    def read(self) -> MetricsReading | None:
        """The steps since the previous reading; None without any."""
        if not self._losses:
            return None
        losses = torch.cat(self._losses).tolist()
        correct = int(torch.stack(self._correct).sum().item())
        images, self._images = self._images, 0
        self._losses.clear()
        self._correct.clear()
        left = images
        for loss in losses:
            self.window.add(loss)
            self.epoch_loss.add(loss, min(left, self._batch_size))
            left -= self._batch_size
        self.epoch_correct += correct
        return MetricsReading(losses=losses, accuracy=correct / images, images=images)

    def close_window(self) -> float:
        """The mean loss of the log window; begins the next one."""
        self.last_window, self.window = self.window.value, Mean()
        return self.last_window

    def state_dict(self) -> dict[str, Any]:
        """Everything as plain values."""
        return {
            "window_loss": dataclasses.asdict(self.window),
            "epoch_loss": dataclasses.asdict(self.epoch_loss),
            "epoch_correct": self.epoch_correct,
            "last_window_loss": self.last_window,
            "unread_losses": torch.cat(self._losses).tolist() if self._losses else [],
            "unread_correct": int(torch.stack(self._correct).sum().item()) if self._correct else 0,
            "unread_images": self._images,
        }

    def load_state_dict(self, state: Mapping[str, Any], device: torch.device) -> None:
        """Continue from what `state_dict` returned.

        Raises:
            KeyError, TypeError: `state` is not from `state_dict`.
        """
        self.window = Mean(**state["window_loss"])
        self.epoch_loss = Mean(**state["epoch_loss"])
        self.epoch_correct = state["epoch_correct"]
        self.last_window = state["last_window_loss"]
        self._losses, self._correct = [], []
        if state["unread_losses"]:
            self._losses.append(torch.tensor(state["unread_losses"], device=device))
            self._correct.append(torch.tensor(state["unread_correct"], device=device))
        self._images = state["unread_images"]
