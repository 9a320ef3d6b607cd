"""The training loop of the tutorial, with events, pauses, saves and stops between its steps."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from cifar_tui.engine.checkpoint.files import Checkpoint, all_finite, serialized
from cifar_tui.engine.checkpoint.policy import Saver
from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.control import RunControl
from cifar_tui.engine.data.dataset import ImageSplit
from cifar_tui.engine.errors import RunFailedError
from cifar_tui.engine.evaluation.evaluate import EvalReport, predict_samples
from cifar_tui.engine.events import (
    Alert,
    EpochFinished,
    Event,
    LossPoint,
    LossWindow,
    Message,
    Phase,
    PhaseChanged,
    Resumed,
    TrainingFinished,
    Validated,
)
from cifar_tui.engine.steps.eager import EagerSteps, StepResult, Steps
from cifar_tui.engine.training.batches import epoch_size, reshuffled_order, shuffled_order
from cifar_tui.engine.training.meters import Stopwatch
from cifar_tui.engine.training.metrics import Reading, TrainingMeter

_STEPS_PER_LOOK = 10
_PAUSED_LOOK_SECONDS = 5.0


class Trainer:
    """Trains `net` on `train`, one epoch after the other, and says what happens through `emit`.

    Args:
        config: the settings; `epochs`, `batch_size`, `log_every` and `chart_every` are used here.
        net: on the device of `train`; its weights are saved.
        optimizer: over the parameters that are trained.
        train: the training images.
        samples: uint8 (N, 3, 32, 32), test images whose predictions are shown while training.
        folder: where checkpoints are written.
        emit: takes every event; it must not block.
        control: what others want of this run.
        evaluate: evaluates the net on the test set after a given step and emits the result; false if a stop
            cancelled it.
        interactive: whether somebody can resume a run that paused itself; if not, it fails instead.
        validate: evaluates the net on images held out from `train`, on which the best epoch is chosen; None
            if a stop cancelled it.
        steps: how steps are made; None for one after the other, in plain PyTorch.
        origin: what the outcome depends on besides the settings; it is kept in every checkpoint.
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
        evaluate: Callable[[int], bool],
        interactive: bool,
        validate: Callable[[], EvalReport | None] | None = None,
        steps: Steps | None = None,
        origin: Mapping[str, Any] | None = None,
    ) -> None:
        self.config = config
        self.net = net
        self.optimizer = optimizer
        self.step = 0
        self.epoch = 1
        self.batch = 0
        self.steps = steps or EagerSteps(
            net=net, optimizer=optimizer, train=train, batch_size=config.batch_size
        )
        epoch = epoch_size(net, len(train), config.batch_size)
        self.steps_per_epoch, self._images_per_epoch = epoch.steps, epoch.images
        self._train = train
        self._samples = samples
        self._emit = emit
        self._control = control
        self._evaluate = evaluate
        self._interactive = interactive
        self._validate = validate
        self._best_correct = -1
        self._best_weights: bytes | None = None
        self._origin = dict(origin or {})
        self._clock = Stopwatch()
        self._meter = TrainingMeter()
        self._on_cuda = train.targets.is_cuda
        self._point_every = config.chart_every or max(1, self.steps.images_per_point // config.batch_size)
        self._diverged = False
        self._resumed = False
        self._epoch_done = False
        self._validation_due = self._evaluation_due = False
        self._epoch_rng_state = torch.get_rng_state()
        self._saver = Saver(
            folder, make=self._checkpoint, emit=emit, control=control, minutes=config.checkpoint_every_minutes
        )

    def fit(self) -> TrainingFinished:
        """Train all epochs, or until a stop is asked for; either way the last state is saved.

        Raises:
            RunFailedError: it could not be saved, or the loss is not finite and nobody can resume a pause.
        """
        try:
            return self._fit()
        finally:
            self._saver.drain()

    def _fit(self) -> TrainingFinished:
        if self._resumed:
            self._emit(
                Resumed(step=self.step, epoch=self.epoch, batch=self.batch, train_seconds=self._clock.seconds)
            )
        self._emit(PhaseChanged(phase=Phase.TRAINING))
        if self.step == 0:
            self._predict_samples()
        self._make_up()
        first = self.epoch + 1 if self._epoch_done else self.epoch
        for epoch in range(first, self.config.epochs + 1):
            if not self.train_epoch(epoch):
                break
        # by the place in the epoch: an older checkpoint may have more steps behind it
        at_end = self.epoch == self.config.epochs and self.batch >= self.steps_per_epoch
        completed = at_end and not self._validation_due
        if completed:
            self._emit(Message(text="Finished Training", printed=True))
        self._emit(PhaseChanged(phase=Phase.SAVING))
        self._saver.save_final("end of training" if completed else "stopped")
        finished = TrainingFinished(
            completed=completed,
            epoch=self.epoch,
            step=self.step,
            train_seconds=self._clock.seconds,
            images=self._images_seen(),
            final_loss=self._final_loss(),
        )
        self._emit(finished)
        return finished

    def train_epoch(self, epoch: int) -> bool:
        """Train on an epoch's images once, or on what a resumed one has left; false if a stop ended it."""
        if self.batch == 0 or self._epoch_done:
            self.epoch, self.batch, self._epoch_done = epoch, 0, False
            self._meter.begin_epoch()
            self._epoch_rng_state = torch.get_rng_state()
            order = shuffled_order(len(self._train))
        else:
            order = reshuffled_order(len(self._train), self._epoch_rng_state)
        self._clock.start()
        rest = order[self.batch * self.config.batch_size : self._images_per_epoch]
        results = self.steps.over(rest, at_most=self._steps_to_report)
        while self.batch < self.steps_per_epoch:
            if self._control.pending:
                self._clock.stop()
                if not self._serve_requests():
                    return False
                self._clock.start()
            self._record(next(results))
        self._clock.stop()
        self._finish_epoch()
        return not self._control.pending or self._serve_requests()

    def _checkpoint(self, reason: str) -> Checkpoint:
        """The training as it is now; it must stand between two steps.

        Raises:
            RunFailedError: the weights are not finite, of `net` or of the net whose average it is.
        """
        if not all_finite(self.net.state_dict()) or not all_finite(self.steps.state_dict()):
            raise RunFailedError(
                f"not saved at step {self.step:,}: the weights are not finite; what was saved before is "
                "kept, train again with a lower learning rate"
            )
        best, self._best_weights = self._best_weights, None
        return Checkpoint(
            state=serialized(self.state_dict()),
            weights=self._weights(),
            best=best,
            step=self.step,
            epoch=self.epoch,
            reason=reason,
        )

    def _weights(self) -> bytes:
        return serialized({name: tensor.detach().cpu() for name, tensor in self.net.state_dict().items()})

    def state_dict(self) -> dict[str, Any]:
        """Weights, optimizer, position and random numbers, as tensors and plain values."""
        return {
            "model": self.net.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "steps": self.steps.state_dict(),
            "config": dataclasses.asdict(self.config),
            "origin": self._origin,
            "step": self.step,
            "epoch": self.epoch,
            "batch": self.batch,
            "train_seconds": self._clock.seconds,
            "meter": self._meter.state_dict(),
            "epoch_done": self._epoch_done,
            "validation_due": self._validation_due,
            "evaluation_due": self._evaluation_due,
            "best_correct": self._best_correct,
            "epoch_rng_state": self._epoch_rng_state,
            # before its first step the order of the epoch is drawn again
            "rng_state": torch.get_rng_state() if self.batch else self._epoch_rng_state,
            "cuda_rng_states": torch.cuda.get_rng_state_all() if self._on_cuda else [],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave: the same steps follow, to the bit on a CPU.

        Raises:
            KeyError, RuntimeError, TypeError, ValueError: `state` is not one of this net and optimizer.
        """
        self.net.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.steps.load_state_dict(state.get("steps", {}))
        self.step, self.epoch, self.batch = state["step"], state["epoch"], state["batch"]
        self._clock = Stopwatch(finished=state["train_seconds"])
        # in older checkpoints the sums lie beside the rest
        self._meter.load_state_dict(state.get("meter", state), self._train.targets.device)
        self._epoch_done = state["epoch_done"]
        self._validation_due = state.get("validation_due", False)  # older checkpoints do not say
        self._evaluation_due = state["evaluation_due"]
        self._best_correct = state["best_correct"]
        self._epoch_rng_state = state["epoch_rng_state"]
        torch.set_rng_state(state["rng_state"])
        if self._on_cuda and len(state["cuda_rng_states"]) == torch.cuda.device_count():
            torch.cuda.set_rng_state_all(state["cuda_rng_states"])
        self._resumed = True

    def _steps_to_report(self) -> int:
        """How many steps may be made at once: up to the next point, line or end of the epoch."""
        return min(
            self.steps_per_epoch - self.batch,
            self.config.log_every - self.batch % self.config.log_every,
            self._point_every - self.batch % self._point_every,
        )

    def _record(self, result: StepResult) -> None:
        """Keep the figures of steps, and report them where a point or a line is due."""
        self._meter.add(result)
        before = self.step
        self.step += len(result.losses)
        self.batch += len(result.losses)
        window_ends = self.batch % self.config.log_every == 0
        if window_ends or self.batch % self._point_every == 0 or self.batch == self.steps_per_epoch:
            self._report_point()
        if window_ends:
            self._report_window()
        # at the last batch the epoch is first brought to its end
        look = self.step // _STEPS_PER_LOOK > before // _STEPS_PER_LOOK and self.batch < self.steps_per_epoch
        if look and self._saver.due:
            self._saver.try_save("by the clock")

    def _report_point(self) -> None:
        reading = self._meter.read()
        if reading is None:
            return
        if reading.first_non_finite is not None:
            if not self._diverged:
                self._diverged = True
                self._report_non_finite(reading, reading.first_non_finite)
            return
        self._diverged = False
        losses = reading.losses
        self._emit(
            LossPoint(
                step=self.step,
                steps=len(losses),
                epoch=self.epoch,
                batch=self.batch,
                loss=sum(losses) / len(losses),
                accuracy=reading.accuracy,
                learning_rate=self.optimizer.param_groups[0]["lr"],
                images=reading.images,
                train_seconds=round(self._clock.seconds, 3),
            )
        )

    def _report_window(self) -> None:
        loss = self._meter.close_window()
        self._emit(LossWindow(epoch=self.epoch, batch=self.batch, step=self.step, loss=loss))
        self._predict_samples()

    def _report_non_finite(self, reading: Reading, index: int) -> None:
        first = self.step - len(reading.losses) + 1 + index
        cause = f"the loss is not finite at step {first:,}: the learning rate may be too high"
        if not self._interactive:
            raise RunFailedError(f"{cause}; the last checkpoint is kept, try again with a lower one")
        self._emit(Alert(text=f"{cause}; paused"))
        self._control.request("pause")

    def _finish_epoch(self) -> None:
        self._emit(
            EpochFinished(
                epoch=self.epoch,
                step=self.step,
                loss=self._meter.epoch_loss.value,
                accuracy=self._meter.epoch_correct / self._images_per_epoch,
                train_seconds=self._clock.seconds,
            )
        )
        self._predict_samples()
        self._epoch_done = True
        last, every = self.epoch == self.config.epochs, self.config.eval_every
        self._validation_due = self._validate is not None
        self._evaluation_due = not last and bool(every) and self.epoch % every == 0
        self._make_up()
        if last:
            return
        every = self.config.checkpoint_every_epochs
        if (every and self.epoch % every == 0) or self._best_weights is not None:
            self._saver.try_save(f"end of epoch {self.epoch}")
        elif self._saver.due:
            self._saver.try_save("by the clock")

    def _make_up(self) -> None:
        """Validate and evaluate the net, where that is due; it stays so if a stop cancels it."""
        if self._validation_due and self._validate is not None:
            report = self._validate()
            self._validation_due = report is None
            if report is not None:
                self._take_validation(report)
        if self._evaluation_due:
            self._evaluation_due = not self._evaluate(self.step)
            self._emit(PhaseChanged(phase=Phase.TRAINING))

    def _take_validation(self, report: EvalReport) -> None:
        """Keep the weights if no epoch was better on the images held out."""
        best = report.correct > self._best_correct
        if best:
            self._best_correct, self._best_weights = report.correct, self._weights()
        self._emit(
            Validated(
                epoch=self.epoch,
                step=self.step,
                correct=report.correct,
                total=report.total,
                loss=report.loss,
                best=best,
            )
        )

    def _serve_requests(self) -> bool:
        """Do what was asked for from outside; false if that was to stop."""
        held = False
        while self._control.pending:
            if self._control.stop_requested:
                return False
            if self._control.take("save"):
                self._emit(PhaseChanged(phase=Phase.SAVING))
                self._saver.try_save("asked for", wait=True)
            if self._control.take("evaluate"):
                self._evaluate(self.step)
            if self._control.paused:
                if not held:
                    self._emit(PhaseChanged(phase=Phase.SAVING))
                    self._saver.try_save("paused", wait=True)
                held = True
                self._emit(PhaseChanged(phase=Phase.PAUSED))
                while not self._control.wait_while_paused(_PAUSED_LOOK_SECONDS):
                    if self._saver.retry_due:
                        self._saver.try_save("paused")
        self._emit(PhaseChanged(phase=Phase.TRAINING))
        return True

    def _predict_samples(self) -> None:
        self._emit(predict_samples(self.net, self._samples, step=self.step))

    def _images_seen(self) -> int:
        of_this_epoch = min(self.batch * self.config.batch_size, self._images_per_epoch)
        return (self.epoch - 1) * self._images_per_epoch + of_this_epoch

    def _final_loss(self) -> float:
        last = self._meter.last_window
        return self._meter.epoch_loss.value if last is None else last
