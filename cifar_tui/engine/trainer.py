"""The training loop of the tutorial, with events, pauses, saves and stops between its steps."""

import dataclasses
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer

from cifar_tui.engine.batches import batches, shuffled_order
from cifar_tui.engine.checkpoint import save_training_state, save_weights
from cifar_tui.engine.config import TrainConfig
from cifar_tui.engine.control import RunControl
from cifar_tui.engine.data.dataset import ImageSplit
from cifar_tui.engine.errors import RunFailedError
from cifar_tui.engine.evaluate import predict
from cifar_tui.engine.events import (
    Alert,
    CheckpointSaved,
    EpochFinished,
    Event,
    LossPoint,
    LossWindow,
    Message,
    Phase,
    PhaseChanged,
    SamplesPredicted,
    TrainingFinished,
)
from cifar_tui.engine.files import LAST_FILE, WEIGHTS_FILE

SAMPLE_IMAGES = 64
"""How many of the first test images are predicted again and again while training."""

_IMAGES_PER_POINT = 200


class Trainer:
    """Trains `net` on `train`, one epoch after the other, and says what happens through `emit`.

    Args:
        config: the settings; `epochs`, `batch_size`, `loss_window` and `point_every` are used here.
        net: on the device of `train`.
        optimizer: over the parameters of `net`.
        train: the training images.
        samples: uint8 (N, 3, 32, 32), test images whose predictions are shown while training.
        folder: where checkpoints are written.
        emit: takes every event; it must not block.
        control: what others want of this run.
        evaluate: evaluates the net on the test set after a given step and emits the result.
        interactive: whether somebody can resume a run that paused itself; if not, it fails instead.
    """

    def __init__(
        self,
        *,
        config: TrainConfig,
        net: nn.Module,
        optimizer: Optimizer,
        train: ImageSplit,
        samples: Tensor,
        folder: Path,
        emit: Callable[[Event], None],
        control: RunControl,
        evaluate: Callable[[int], None],
        interactive: bool,
    ) -> None:
        self.config = config
        self.net = net
        self.optimizer = optimizer
        self.step = 0
        self.epoch = 1
        self.batch = 0
        self.steps_per_epoch = math.ceil(len(train) / config.batch_size)
        self._train = train
        self._samples = samples
        self._folder = folder
        self._emit = emit
        self._control = control
        self._evaluate = evaluate
        self._interactive = interactive
        self._clock = _Stopwatch()
        self._point_every = config.point_every or max(1, _IMAGES_PER_POINT // config.batch_size)
        self._losses: list[Tensor] = []
        self._correct: list[Tensor] = []
        self._unreported_images = 0
        self._window = _Mean()
        self._epoch_loss = _Mean()
        self._epoch_correct = 0
        self._window_loss: float | None = None
        self._diverged = False

    def fit(self) -> TrainingFinished:
        """Train all epochs, or until a stop is asked for; either way the last state is saved."""
        self._emit(PhaseChanged(phase=Phase.TRAINING))
        self._predict_samples()
        for epoch in range(1, self.config.epochs + 1):
            if not self.train_epoch(epoch):
                break
        completed = self.step == self.config.epochs * self.steps_per_epoch
        if completed:
            self._emit(Message(text="Finished Training", printed=True))
        self._emit(PhaseChanged(phase=Phase.SAVING))
        self.save("end of training" if completed else "stopped")
        finished = TrainingFinished(
            completed=completed,
            epoch=self.epoch,
            step=self.step,
            train_seconds=self._clock.seconds,
            images=self._images_seen(),
            final_loss=self._window_loss if self._window_loss is not None else self._epoch_loss.value,
        )
        self._emit(finished)
        return finished

    def train_epoch(self, epoch: int) -> bool:
        """Train on every image once; false if a stop ended it early."""
        self.epoch, self.batch = epoch, 0
        self._window, self._epoch_loss, self._epoch_correct = _Mean(), _Mean(), 0
        self._epoch_rng_state = torch.get_rng_state()
        order = shuffled_order(len(self._train))
        self._clock.start()
        for inputs, targets in batches(self._train, order, self.config.batch_size):
            if self._control.pending:
                self._clock.stop()
                if not self._serve_requests():
                    return False
                self._clock.start()
            loss, logits = self.train_step(inputs, targets)
            self._record(loss, logits, targets)
        self._clock.stop()
        self._finish_epoch()
        return not self._control.pending or self._serve_requests()

    def train_step(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """One update on one batch.

        Args:
            inputs: float32 (N, 3, 32, 32), normalised.
            targets: int64 (N,).

        Returns:
            The batch's mean loss, shape (), and the logits (N, C) it came from, both without gradients.
        """
        self.optimizer.zero_grad()
        logits = self.net(inputs)
        loss = functional.cross_entropy(logits, targets)
        torch.autograd.backward(loss)
        self.optimizer.step()
        return loss.detach(), logits.detach()

    def save(self, reason: str) -> None:
        """Write `last.pt`, with all that a training needs to go on, and the plain weights.

        Raises:
            RunFailedError: a file cannot be written, or the weights are not finite.
        """
        if not all(bool(tensor.isfinite().all()) for tensor in self.net.state_dict().values()):
            raise RunFailedError(
                f"not saved at step {self.step:,}: the weights are not finite; what was saved before is "
                "kept, train again with a lower learning rate"
            )
        save_training_state(self._folder / LAST_FILE, self.state_dict())
        save_weights(self._folder / WEIGHTS_FILE, self.net)
        path = str(self._folder / WEIGHTS_FILE)
        self._emit(CheckpointSaved(path=path, step=self.step, epoch=self.epoch, reason=reason))

    def _try_save(self, reason: str) -> None:
        """Save in the middle of a run; where that fails, say so and go on training."""
        try:
            self.save(reason)
        except RunFailedError as error:
            self._emit(Alert(text=str(error)))

    def state_dict(self) -> dict[str, Any]:
        """Weights, optimizer, position and random numbers, as tensors and plain values."""
        return {
            "model": self.net.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "config": dataclasses.asdict(self.config),
            "step": self.step,
            "epoch": self.epoch,
            "batch": self.batch,
            "train_seconds": self._clock.seconds,
            "window_loss": dataclasses.asdict(self._window),
            "epoch_loss": dataclasses.asdict(self._epoch_loss),
            "epoch_correct": self._epoch_correct,
            "epoch_rng_state": self._epoch_rng_state,
            "rng_state": torch.get_rng_state(),
        }

    def _record(self, loss: Tensor, logits: Tensor, targets: Tensor) -> None:
        """Keep a step's figures on the device, and read them only where a point or a line is due."""
        self._losses.append(loss)
        self._correct.append((logits.argmax(dim=1) == targets).sum())
        self._unreported_images += len(targets)
        self.step += 1
        self.batch += 1
        window_ends = self.batch % self.config.loss_window == 0
        if window_ends or self.batch % self._point_every == 0 or self.batch == self.steps_per_epoch:
            self._report_point()
        if window_ends:
            self._report_window()

    def _report_point(self) -> None:
        if not self._losses:
            return
        losses = torch.stack(self._losses).tolist()
        correct = int(torch.stack(self._correct).sum().item())
        images, self._unreported_images = self._unreported_images, 0
        self._losses.clear()
        self._correct.clear()
        for loss in losses:
            self._window.add(loss)
            self._epoch_loss.add(loss)
        self._epoch_correct += correct
        if not all(map(math.isfinite, losses)):
            if not self._diverged:
                self._diverged = True
                self._report_non_finite(losses)
            return
        self._diverged = False
        self._emit(
            LossPoint(
                step=self.step,
                steps=len(losses),
                epoch=self.epoch,
                batch=self.batch,
                loss=sum(losses) / len(losses),
                loss_min=min(losses),
                loss_max=max(losses),
                accuracy=correct / images,
                learning_rate=self.optimizer.param_groups[0]["lr"],
                images=images,
                train_seconds=self._clock.seconds,
            )
        )

    def _report_window(self) -> None:
        mean = self._window.value
        self._emit(LossWindow(epoch=self.epoch, batch=self.batch, step=self.step, loss=mean))
        self._window_loss = mean
        self._window = _Mean()
        self._predict_samples()

    def _report_non_finite(self, losses: list[float]) -> None:
        first = self.step - len(losses) + 1 + next(i for i, x in enumerate(losses) if not math.isfinite(x))
        cause = f"the loss is not finite at step {first:,}: the learning rate may be too high"
        if not self._interactive:
            raise RunFailedError(f"{cause}; the last checkpoint is kept, try again with a lower one")
        self._emit(Alert(text=f"{cause}; paused"))
        self._control.pause()

    def _finish_epoch(self) -> None:
        self._emit(
            EpochFinished(
                epoch=self.epoch,
                step=self.step,
                loss=self._epoch_loss.value,
                accuracy=self._epoch_correct / len(self._train),
                train_seconds=self._clock.seconds,
            )
        )
        self._predict_samples()
        if self.epoch == self.config.epochs:
            return
        self._try_save(f"end of epoch {self.epoch}")
        every = self.config.evaluate_every
        if every and self.epoch % every == 0:
            self._evaluate(self.step)
            self._emit(PhaseChanged(phase=Phase.TRAINING))

    def _serve_requests(self) -> bool:
        """Do what was asked for from outside; false if that was to stop."""
        self._report_point()
        while self._control.pending:
            if self._control.stop_requested:
                return False
            if self._control.take_save():
                self._emit(PhaseChanged(phase=Phase.SAVING))
                self._try_save("asked for")
            if self._control.take_evaluate():
                self._evaluate(self.step)
            if self._control.paused:
                self._emit(PhaseChanged(phase=Phase.PAUSED))
                self._control.wait_while_paused()
        self._emit(PhaseChanged(phase=Phase.TRAINING))
        return True

    def _predict_samples(self) -> None:
        predicted, confidences = predict(self.net, self._samples)
        self._emit(
            SamplesPredicted(
                step=self.step, predicted=tuple(predicted.tolist()), confidences=tuple(confidences.tolist())
            )
        )

    def _images_seen(self) -> int:
        return (self.epoch - 1) * len(self._train) + min(
            self.batch * self.config.batch_size, len(self._train)
        )


@dataclasses.dataclass(slots=True)
class _Mean:
    """A mean as the tutorial takes it: a running sum, divided at the end."""

    total: float = 0.0
    count: int = 0

    def add(self, value: float) -> None:
        self.total += value
        self.count += 1

    @property
    def value(self) -> float:
        return self.total / self.count if self.count else math.nan


@dataclasses.dataclass(slots=True)
class _Stopwatch:
    """Seconds spent between `start` and `stop`, summed."""

    finished: float = 0.0
    started: float | None = None

    def start(self) -> None:
        self.started = time.perf_counter()

    def stop(self) -> None:
        self.finished, self.started = self.seconds, None

    @property
    def seconds(self) -> float:
        running = 0.0 if self.started is None else time.perf_counter() - self.started
        return self.finished + running
