"""Turn the metrics of a run into events for log, charts and samples."""

import time
from collections.abc import Callable

from torch import nn

from cifar_tui.engine.data.dataset import ImageSplit
from cifar_tui.engine.evaluation.evaluate import predict_samples
from cifar_tui.engine.events import EpochFinished, Event, LossPoint, LossWindow, StepsDone
from cifar_tui.engine.training.metrics import MetricsReading, TrainingMetrics

_PROGRESS_SECONDS = 0.25
"""So long after a chart point the steps since then are reported without one."""


class Reporter:
    """Reports chart points, log lines, epochs and sample predictions.

    Args:
        emit: takes every event; it must not block.
        net: the model whose predictions are shown.
        samples: the test images they are shown for.
        batch_size: training images per batch.
        chart_every: batches per chart point.
        log_every: batches per log line.
        on_non_finite: called once when the loss is not finite, with what to do about it, in a sentence.

    Attributes:
        metrics: what is reported.
    """

    def __init__(
        self,
        *,
        emit: Callable[[Event], None],
        net: nn.Module,
        samples: ImageSplit,
        batch_size: int,
        chart_every: int,
        log_every: int,
        on_non_finite: Callable[[str], None],
    ) -> None:
        self.metrics = TrainingMetrics(batch_size)
        self._emit = emit
        self._net = net
        self._samples = samples
        self._chart_every = chart_every
        self._log_every = log_every
        self._on_non_finite = on_non_finite
        self._diverged = False
        self._reported_at = 0.0

    def steps_to_next(self, batch: int) -> int:
        """Batches from `batch` of an epoch to the next chart point or log line."""
        return min(self._log_every - batch % self._log_every, self._chart_every - batch % self._chart_every)

    def report_steps(
        self, *, step: int, epoch: int, batch: int, last: bool, learning_rate: float, train_seconds: float
    ) -> None:
        """Report what is due after `batch` of `epoch`, of which it is the `last`."""
        window_ends = batch % self._log_every == 0
        point_due = window_ends or batch % self._chart_every == 0 or last
        if not point_due and time.monotonic() - self._reported_at >= _PROGRESS_SECONDS:
            self._reported_at = time.monotonic()
            self._emit(StepsDone(step=step, epoch=epoch, batch=batch, train_seconds=train_seconds))
        if point_due:
            self._reported_at = time.monotonic()
            reading = self.metrics.read()
            if reading is not None:
                self._report_point(reading, step, epoch, batch, learning_rate, train_seconds)
        if window_ends:
            loss = self.metrics.close_window()
            self._emit(LossWindow(epoch=epoch, batch=batch, step=step, loss=loss))
            self.predict_samples(step)

    def report_epoch(self, *, step: int, epoch: int, train_seconds: float) -> None:
        """Report the end of an epoch."""
        self._emit(
            EpochFinished(
                epoch=epoch,
                step=step,
                loss=self.metrics.epoch_loss.value,
                accuracy=self.metrics.epoch_accuracy,
                train_seconds=train_seconds,
            )
        )
        self.predict_samples(step)

    def predict_samples(self, step: int) -> None:
        """Report what the model predicts for the samples."""
        self._emit(predict_samples(self._net, self._samples, step=step))

    def _report_point(
        self,
        reading: MetricsReading,
        step: int,
        epoch: int,
        batch: int,
        learning_rate: float,
        train_seconds: float,
    ) -> None:
        losses = reading.losses
        if reading.first_non_finite is not None:
            if not self._diverged:
                self._diverged = True
                first = step - len(losses) + 1 + reading.first_non_finite
                self._on_non_finite(
                    f"the loss is not finite at step {first:,}: the learning rate may be too high"
                )
            return
        self._diverged = False
        self._emit(
            LossPoint(
                step=step,
                steps=len(losses),
                epoch=epoch,
                batch=batch,
                loss=sum(losses) / len(losses),
                accuracy=reading.accuracy,
                learning_rate=learning_rate,
                images=reading.images,
                train_seconds=round(train_seconds, 3),
            )
        )
