"""Sums up what the steps of a training come to: points of the charts, windows of the log, epochs."""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from cifar_tui.engine.steps.eager import StepResult
from cifar_tui.engine.training.meters import Mean


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """The steps since the reading before: their losses in order, and the share of right answers."""

    losses: list[float]
    accuracy: float
    images: int

    @property
    def first_non_finite(self) -> int | None:
        """The index of the first loss that is not finite; None where all are."""
        return next((index for index, loss in enumerate(self.losses) if not math.isfinite(loss)), None)


class TrainingMeter:
    """Keeps figures on the device as they come, and reads them only where somebody wants to see them.

    Attributes:
        window: of the losses since the last line of the log.
        epoch_loss: of the losses of this epoch.
        epoch_correct: the right answers of this epoch.
        last_window: the mean of the last full window; None before there is one.
    """

    def __init__(self) -> None:
        self.window = Mean()
        self.epoch_loss = Mean()
        self.epoch_correct = 0
        self.last_window: float | None = None
        self._losses: list[Tensor] = []
        self._correct: list[Tensor] = []
        self._images = 0

    def begin_epoch(self) -> None:
        """Forget the sums of the epoch before, and its last window, as the tutorial does."""
        self.window, self.epoch_loss, self.epoch_correct = Mean(), Mean(), 0

    def add(self, result: StepResult) -> None:
        """Take in steps that were made."""
        self._losses.append(result.losses)
        self._correct.append(result.correct)
        self._images += result.images

    def read(self) -> Reading | None:
        """What came in since this was asked last; None if nothing did."""
        if not self._losses:
            return None
        losses = torch.cat(self._losses).tolist()
        correct = int(torch.stack(self._correct).sum().item())
        images, self._images = self._images, 0
        self._losses.clear()
        self._correct.clear()
        for loss in losses:
            self.window.add(loss)
            self.epoch_loss.add(loss)
        self.epoch_correct += correct
        return Reading(losses=losses, accuracy=correct / images, images=images)

    def close_window(self) -> float:
        """The mean loss of the window, which begins anew."""
        self.last_window, self.window = self.window.value, Mean()
        return self.last_window

    def state_dict(self) -> dict[str, Any]:
        """Everything as plain values."""
        return {
            "window_loss": dataclasses.asdict(self.window),
            "epoch_loss": dataclasses.asdict(self.epoch_loss),
            "epoch_correct": self.epoch_correct,
            "last_window_loss": self.last_window,
            "unreported_losses": torch.cat(self._losses).tolist() if self._losses else [],
            "unreported_correct": int(torch.stack(self._correct).sum().item()) if self._correct else 0,
            "unreported_images": self._images,
        }

    def load_state_dict(self, state: Mapping[str, Any], device: torch.device) -> None:
        """Go on from what `state_dict` gave.

        Raises:
            KeyError, TypeError: `state` is none of a meter.
        """
        self.window = Mean(**state["window_loss"])
        self.epoch_loss = Mean(**state["epoch_loss"])
        self.epoch_correct = state["epoch_correct"]
        self.last_window = state["last_window_loss"]
        self._losses, self._correct = [], []
        if state["unreported_losses"]:
            self._losses.append(torch.tensor(state["unreported_losses"], device=device))
            self._correct.append(torch.tensor(state["unreported_correct"], device=device))
        self._images = state["unreported_images"]
