"""The training loop of the tutorial, with events, pauses, saves and stops between its steps."""

import traceback
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from cifar_tui.engine.checkpoint.files import Checkpoint, all_finite, serialized
from cifar_tui.engine.checkpoint.policy import RETRY_SECONDS, create_saver
from cifar_tui.engine.checkpoint.state import check_position, has_trained
from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.data.dataset import ImageSplit
from cifar_tui.engine.device.memory import out_of_memory_explained, release_gpu_memory
from cifar_tui.engine.device.random_state import random_states, restore_random_states
from cifar_tui.engine.errors import DataUnavailableError, RunFailedError
from cifar_tui.engine.evaluation.evaluate import EvalReport
from cifar_tui.engine.events import (
    Alert,
    Message,
    Phase,
    PhaseChanged,
    Resumed,
    StepsDone,
    TrainingFinished,
)
from cifar_tui.engine.steps.backend import StepResult
from cifar_tui.engine.training.batches import epoch_sampler, epoch_size, redrawn
from cifar_tui.engine.training.build import TrainingSetup
from cifar_tui.engine.training.metrics import Stopwatch
from cifar_tui.engine.training.reporting import Reporter
from cifar_tui.engine.training.run_context import RunContext
from cifar_tui.engine.training.validation import BestEpoch

_STEPS_PER_SAVE_CHECK = 10


class Trainer:
    """Trains epoch after epoch and reports what happens.

    Args:
        config: the settings.
        setup: model, optimizer and step runner.
        run: the run it belongs to.
        samples: test images whose predictions are shown while training.
        evaluate: evaluates the model on the test set after a given step; false if a stop cancelled it.
        validate: evaluates the model on held-out training images; None if a stop cancelled it.

    Attributes:
        step: steps of the whole run done.
        epoch: the current epoch, from 1.
        batch: steps of the epoch done.
        steps_per_epoch: steps in an epoch.
    """

    def __init__(
        self,
        config: TrainConfig,
        setup: TrainingSetup,
        run: RunContext,
        *,
        samples: ImageSplit,
        evaluate: Callable[[int], bool],
        validate: Callable[[], EvalReport | None] | None = None,
    ) -> None:
        self.step = 0
        self.epoch = 1
        self.batch = 0
        self._setup = setup
        self._runner = setup.runner
        self._run = run
        self._emit = run.emit
        self._control = run.control
        self._evaluate = evaluate
        self._epochs, self._batch_size = config.epochs, config.batch_size
        self._eval_every = config.eval_every
        self._save_every = config.checkpoint_every_epochs
        epoch = epoch_size(setup.net, len(setup.train), config.batch_size)
        self.steps_per_epoch, self._images_per_epoch = epoch.steps, epoch.images
        self._draw_order = epoch_sampler(config.sampler, setup.train.targets)
        self._clock = Stopwatch()
        self._reporter = Reporter(
            emit=run.emit,
            net=setup.net,
            samples=samples,
            batch_size=config.batch_size,
            chart_every=config.chart_every or max(1, setup.runner.chart_images // config.batch_size),
            log_every=config.log_every,
            on_non_finite=self._pause_or_fail,
        )
        self._best = (
            None
            if validate is None
            else BestEpoch(evaluate=validate, weights=self._weights, patience=config.patience)
        )
        self._saver = create_saver(
            run.folder,
            make=self._checkpoint,
            emit=run.emit,
            control=run.control,
            minutes=config.checkpoint_every_minutes,
        )
        self._resumed = False
        self._first_step = 0
        self._pause_cause = ""
        self._epoch_done = False
        self._save_check_due = False
        self._validation_due = self._evaluation_due = False
        self._epoch_rng_state = torch.get_rng_state()

    def fit(self) -> TrainingFinished:
        """Train all epochs, or until a stop is requested; either way the last state is saved.

        Raises:
            RunFailedError: it could not be saved, the loss is not finite in a non-interactive run, or the
                images cannot be read any more; the steps before that are saved.
        """
        try:
            return self._fit()
        except DataUnavailableError as error:
            saved = self.rescue(error, cause="images cannot be read")
            raise RunFailedError(f"{saved}{error}") from error
        finally:
            self._saver.drain()

    def rescue(self, error: Exception, *, cause: str = "out of memory") -> str:
        """Free what `error` holds and save the steps before it because of `cause`; says so in words."""
        if self.step == self._first_step or self._run.ranks.size > 1:  # the others are in another step
            return ""
        traceback.clear_frames(error.__traceback__)
        self._setup.optimizer.zero_grad()
        release_gpu_memory()
        self._emit(
            StepsDone(step=self.step, epoch=self.epoch, batch=self.batch, train_seconds=self._clock.seconds)
        )
        self._emit(PhaseChanged(phase=Phase.SAVING))
        unsaved = f"not saved at step {self.step:,}"
        try:
            with out_of_memory_explained(self._setup.train.targets.device, unsaved):
                self._saver.save_final(cause)
        except RunFailedError as failure:
            self._emit(Alert(text=str(failure)))
            return ""
        return f"saved at step {self.step:,}; "

    def _fit(self) -> TrainingFinished:
        if self._resumed:
            self._emit(
                Resumed(step=self.step, epoch=self.epoch, batch=self.batch, train_seconds=self._clock.seconds)
            )
        self._emit(PhaseChanged(phase=Phase.TRAINING))
        if self.step == 0:
            self._reporter.predict_samples(self.step)
            if self._run.ranks.size > 1:  # what torchrun starts again can go on from it
                self._saver.try_save("start of training")
        self._validate_and_evaluate()
        first = self.epoch + 1 if self._epoch_done else self.epoch
        for epoch in range(first, self._epochs + 1):
            if self._early_stop or not self.train_epoch(epoch):
                break
        early_stop = self._early_stop
        completed = bool(early_stop) or (
            self.epoch == self._epochs and self.batch >= self.steps_per_epoch and not self._validation_due
        )
        if early_stop:
            self._emit(Message(text=early_stop))
        if completed:
            self._emit(Message(text="Finished Training", printed=True))
        self._emit(PhaseChanged(phase=Phase.SAVING))
        self._saver.save_final("end of training" if completed else "stopped")
        last_window = self._reporter.metrics.last_window
        finished = TrainingFinished(
            completed=completed,
            epoch=self.epoch,
            step=self.step,
            train_seconds=self._clock.seconds,
            images=self._images_seen(),
            final_loss=self._reporter.metrics.epoch_loss.value if last_window is None else last_window,
            early_stop=early_stop,
        )
        self._emit(finished)
        return finished

    def train_epoch(self, epoch: int) -> bool:
        """Train on the images of an epoch, or on what a resumed one has left; false if a stop ended it."""
        order = self._begin_epoch(epoch)
        # forward, backward and update of each batch: `EagerSteps.train_step`
        results = self._runner.run(order, step=self.step, max_steps=self._steps_to_report)
        self._clock.start()
        while self.batch < self.steps_per_epoch:
            self._control.agree()
            if self._control.pending and not self._answer_requests():
                return False
            self._count(next(results))
            self._reporter.report_steps(
                step=self.step,
                epoch=self.epoch,
                batch=self.batch,
                last=self.batch == self.steps_per_epoch,
                learning_rate=self._setup.optimizer.param_groups[0]["lr"],
                train_seconds=self._clock.seconds,
            )
            if self._save_check_due and self._saver.due:
                self._saver.try_save("periodic")
        self._clock.stop()
        self._finish_epoch()
        self._control.agree()
        return not self._control.pending or self._answer_requests()

    def _begin_epoch(self, epoch: int) -> Tensor:
        """The order of the images that are left in `epoch`."""
        if self.batch == 0 or self._epoch_done:
            self.epoch, self.batch, self._epoch_done = epoch, 0, False
            self._reporter.metrics.begin_epoch()
            self._epoch_rng_state = self._run.ranks.share(torch.get_rng_state())
            torch.set_rng_state(self._epoch_rng_state)
            order = self._draw_order()
        else:
            order = redrawn(self._draw_order, self._epoch_rng_state)
        return order[self.batch * self._batch_size : self._images_per_epoch]

    def _count(self, result: StepResult) -> None:
        steps = len(result.losses)
        self._reporter.metrics.add(result)
        checks = self.step // _STEPS_PER_SAVE_CHECK
        self.step += steps
        self.batch += steps
        # after the last batch the epoch is finished first
        self._save_check_due = (
            self.step // _STEPS_PER_SAVE_CHECK > checks and self.batch < self.steps_per_epoch
        )

    def _steps_to_report(self) -> int:
        """How many steps a result may cover: up to the next report or the end of the epoch."""
        return min(self.steps_per_epoch - self.batch, self._reporter.steps_to_next(self.batch))

    def _finish_epoch(self) -> None:
        self._reporter.report_epoch(
            step=self.step,
            epoch=self.epoch,
            train_seconds=self._clock.seconds,
        )
        self._epoch_done = True
        last = self.epoch == self._epochs
        self._validation_due = self._best is not None
        self._evaluation_due = not last and bool(self._eval_every) and self.epoch % self._eval_every == 0
        self._validate_and_evaluate()
        if last:
            return
        has_best = self._best is not None and self._best.has_unsaved
        if (self._save_every and self.epoch % self._save_every == 0) or has_best:
            self._saver.try_save(f"end of epoch {self.epoch}")
        elif self._saver.due:
            self._saver.try_save("periodic")

    def _validate_and_evaluate(self) -> None:
        """Validate and evaluate the model if that is due; it stays due if a stop cancels it."""
        if self._validation_due and self._best is not None:
            validated = self._best.validate(epoch=self.epoch, step=self.step)
            self._validation_due = validated is None
            if validated is not None:
                self._emit(validated)
        if self._evaluation_due and not self._early_stop:  # the saved weights are evaluated instead
            self._evaluation_due = not self._evaluate(self.step)
            self._emit(PhaseChanged(phase=Phase.TRAINING))

    @property
    def _early_stop(self) -> str:
        """Why training ends before the last epoch; "" if it does not."""
        if self._best is None or not self._epoch_done or self.epoch == self._epochs:
            return ""
        return self._best.early_stop(self.epoch)

    def _answer_requests(self) -> bool:
        """Do what was requested from outside; false if that was to stop."""
        running = self._clock.started is not None
        self._clock.stop()
        saved = False
        while self._control.pending:
            if self._control.stop_requested:
                return False
            if self._control.take("save"):
                self._emit(PhaseChanged(phase=Phase.SAVING))
                self._saver.try_save("requested", wait=True)
            if self._control.take("evaluate"):
                self._evaluate(self.step)
            if self._control.paused:
                if not saved:
                    self._emit(PhaseChanged(phase=Phase.SAVING))
                    self._saver.try_save("paused", wait=True)
                saved = True
                self._emit(PhaseChanged(phase=Phase.PAUSED, message=self._pause_cause))
                while not self._control.wait_while_paused(RETRY_SECONDS):
                    if self._saver.retry_due:
                        self._saver.try_save("paused", wait=True)
        self._pause_cause = ""
        self._emit(PhaseChanged(phase=Phase.TRAINING))
        if running:
            self._clock.start()
        return True

    def _pause_or_fail(self, cause: str) -> None:
        if not self._run.interactive:
            raise self._run.ranks.reported(
                RunFailedError(f"{cause}; {self._saver.kept()}. Train again with a lower learning rate")
            )
        self._emit(Alert(text=f"{cause}; paused"))
        self._pause_cause = f"{cause}; stop and train again with a lower one"
        self._control.request("pause")

    def _images_seen(self) -> int:
        in_this_epoch = min(self.batch * self._batch_size, self._images_per_epoch)
        return (self.epoch - 1) * self._images_per_epoch + in_this_epoch

    def _checkpoint(self, reason: str) -> Checkpoint:
        """Build a checkpoint of the current state.

        Raises:
            RunFailedError: the model's weights, or the weights it averages, are not finite.
        """
        if not all_finite(self._setup.net.state_dict()) or not all_finite(self._runner.state_dict()):
            raise RunFailedError(
                f"not saved at step {self.step:,}: the weights are not finite; {self._saver.kept()}. "
                "Train again with a lower learning rate"
            )
        return Checkpoint(
            state=serialized(self.state_dict()),
            weights=self._weights(),
            best=None if self._best is None else self._best.take_unsaved(),
            step=self.step,
            reason=reason,
        )

    def _weights(self) -> bytes:
        weights = self._setup.net.state_dict()
        return serialized({name: tensor.detach().cpu() for name, tensor in weights.items()})

    def state_dict(self) -> dict[str, Any]:
        """Weights, optimizer, position and random numbers, as tensors and plain values."""
        return {
            "model": self._setup.net.state_dict(),
            "optimizer": self._setup.optimizer.state_dict(),
            "steps": self._runner.state_dict(),
            "config": dict(self._run.settings),
            "provenance": dict(self._run.provenance),
            "class_names": list(self._run.class_names),
            "scales": dict(self._run.scales),
            "normalization": self._run.normalization.to_dict(),
            "step": self.step,
            "epoch": self.epoch,
            "batch": self.batch,
            "epoch_images": self._images_per_epoch,
            "train_seconds": self._clock.seconds,
            "metrics": self._reporter.metrics.state_dict(),
            "best": {} if self._best is None else self._best.state_dict(),
            "epoch_done": self._epoch_done,
            "validation_due": self._validation_due,
            "evaluation_due": self._evaluation_due,
            "epoch_rng_state": self._epoch_rng_state,
            # before the first step of an epoch its order is drawn again
            "rng_state": torch.get_rng_state() if self.batch else self._epoch_rng_state,
            **random_states(self._setup.train.targets.device),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from the position in what `state_dict` returned, whose weights the setup has loaded.

        The same steps follow, bit for bit on a CPU.

        Raises:
            KeyError, RuntimeError, TypeError, ValueError: `state` does not fit.
        """
        device = self._setup.train.targets.device
        if has_trained(state, self._epochs):  # on images of which there may be more or fewer now
            self.steps_per_epoch, self._images_per_epoch = state["batch"], state["epoch_images"]
        check_position(
            state,
            epochs=self._epochs,
            steps_per_epoch=self.steps_per_epoch,
            generator_bytes=torch.get_rng_state().numel(),
        )
        self._first_step = state["step"]
        self.step, self.epoch, self.batch = state["step"], state["epoch"], state["batch"]
        self._clock = Stopwatch(finished=state["train_seconds"])
        self._reporter.metrics.load_state_dict(state["metrics"], device)
        if state["provenance"].get("images") != self._run.provenance.get("images"):
            self._reporter.metrics.restart_epoch()
        if self._best is not None:
            self._best.load_state_dict(state["best"])
        self._epoch_done = state["epoch_done"]
        self._validation_due = state["validation_due"] and self._best is not None
        self._evaluation_due = state["evaluation_due"]
        self._epoch_rng_state = state["epoch_rng_state"]
        torch.set_rng_state(state["rng_state"])
        restore_random_states(state, device)
        self._resumed = True
