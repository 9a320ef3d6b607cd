"""Folds the events of a run into `RunState`: what every screen shows."""

import dataclasses
import itertools
import math
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from cifar_tui.engine.events import (
    Alert,
    CheckpointSaved,
    DataLoaded,
    EpochFinished,
    Evaluated,
    EvaluationProgress,
    Event,
    LoadingProgress,
    LossPoint,
    LossWindow,
    Message,
    Phase,
    PhaseChanged,
    Resumed,
    RunEnded,
    SamplesPredicted,
    TrainingFinished,
    TrainingStarted,
    Validated,
)
from cifar_tui.runs.series import Series

LOG_LINES = 5000
"""Lines of the log that are kept in memory; all of them are in the event log."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LogLine:
    """A line of the log: `kind` is "printed" (the tutorial would print it), "message", "alert" or "error".

    Attributes:
        step: the step it tells of, None for what a resume from an earlier step does not supersede.
        number: how many lines came before it, those included that a resume has taken out.
        earlier: whether it is of a process that owned the run before this one.
    """

    time: float
    text: str
    kind: str
    step: float | None = None
    number: int = 0
    earlier: bool = field(default=False, compare=False)


class PendingRequest(StrEnum):
    """An accepted request that takes effect once the current step or evaluation has ended."""

    PAUSE = "pausing"
    STOP = "stopping"


@dataclass(frozen=True, kw_only=True, slots=True)
class RunSnapshot:
    """What a run looks like at one moment. None stands for what is not known yet.

    Attributes:
        version: grows with every event; an equal version means that nothing changed but `pending`.
        message: more about the phase, such as what is being loaded.
        pending: a request that has not taken effect yet.
        loss: mean loss (nats) over the latest point of the chart.
        images_per_second: training images a second over the last few points, pauses left out.
        train_seconds: time spent training.
        seconds_left: estimated training time left.
        log_end: how many lines the log has had; see `RunState.log_since`.
        log_retracted: how many of these a resume has taken out again.
        curves_version: grows when a curve has a new point.
    """

    version: int = 0
    phase: Phase = Phase.IDLE
    message: str = ""
    pending: PendingRequest | None = None
    loading: LoadingProgress | None = None
    data: DataLoaded | None = None
    started: TrainingStarted | None = None
    epoch: int = 0
    batch: int = 0
    step: int = 0
    loss: float | None = None
    accuracy: float | None = None
    images_per_second: float | None = None
    train_seconds: float = 0.0
    seconds_left: float | None = None
    samples: SamplesPredicted | None = None
    evaluating: EvaluationProgress | None = None
    evaluated: Evaluated | None = None
    finished: TrainingFinished | None = None
    checkpoint: CheckpointSaved | None = None
    ended: RunEnded | None = None
    alert: Alert | None = None
    log_end: int = 0
    log_retracted: int = 0
    curves_version: int = 0


def with_pending(snapshot: RunSnapshot, request: PendingRequest | None) -> RunSnapshot:
    """Return `snapshot` with `request` as its pending request, if it is one now."""
    if request is None or not is_pending(request, snapshot):
        return snapshot
    return replace(snapshot, pending=request)


def is_pending(request: PendingRequest, snapshot: RunSnapshot) -> bool:
    """Check whether a run has to finish a step or an evaluation before it can do what was requested."""
    match request:
        case PendingRequest.PAUSE:
            return snapshot.phase in {Phase.TRAINING, Phase.EVALUATING} and snapshot.finished is None
        case PendingRequest.STOP:
            return snapshot.phase in {Phase.LOADING, Phase.TRAINING, Phase.EVALUATING}


@dataclass(frozen=True, kw_only=True, slots=True)
class Curves:
    """The curves of the charts as (step, value) points: losses in nats, accuracies as shares (0-1)."""

    loss: Sequence[tuple[float, float]] = ()
    train_accuracy: Sequence[tuple[float, float]] = ()
    test_accuracy: Sequence[tuple[float, float]] = ()


@dataclass(slots=True)
class _Throughput:
    """Images a second over a short span of training time."""

    span_seconds: float = 3.0
    points: deque[tuple[float, int]] = field(default_factory=lambda: deque([(0.0, 0)]))

    def add(self, point: LossPoint) -> float | None:
        """The throughput up to `point`; the log may have left out points before it."""
        self.points.append((point.train_seconds, point.step))
        while len(self.points) > 2 and point.train_seconds - self.points[1][0] >= self.span_seconds:
            self.points.popleft()
        seconds, steps = (now - then for now, then in zip(self.points[-1], self.points[0], strict=True))
        return steps * point.images / point.steps / seconds if seconds > 0 else None


class RunState:
    """Everything known of a run, folded from its events. Bounded, and safe to use from several threads.

    The thread that trains calls `apply`; a screen polls `snapshot`, and `curves` and `log_since` when the
    snapshot says that they changed. The lock is only ever held for a few microseconds.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._snapshot = RunSnapshot()
        self._values: dict[str, Any] = dataclasses.asdict(self._snapshot)
        self._stale = False
        self._loss = Series()
        self._train_accuracy = Series()
        self._test_accuracy = Series()
        self._log: deque[LogLine] = deque(maxlen=LOG_LINES)
        self._throughput = _Throughput()

    def apply(self, event: Event, *, earlier: bool = False) -> None:
        """Take in the next event; `earlier` is for one of a process that owned the run before this one."""
        with self._lock:
            self._values["version"] += 1
            self._stale = True
            if isinstance(event, LossPoint):  # most events are, and they put no line into the log
                self._fold_point(event)
                return
            line = log_line(event)
            if isinstance(event, Message) and event.printed and line is not None:
                # it tells of the training's end, or of what comes after it
                started = self._values["started"]
                over = started is not None and self._values["step"] >= started.total_steps
                line = replace(line, step=math.inf if over else self._values["step"])
            self._fold(event)
            if line is not None:
                self._log.append(replace(line, number=self._values["log_end"], earlier=earlier))
                self._values["log_end"] += 1

    def snapshot(self) -> RunSnapshot:
        """What the run looks like now."""
        with self._lock:
            if self._stale:
                self._snapshot, self._stale = RunSnapshot(**self._values), False
            return self._snapshot

    def curves(self) -> Curves:
        """The curves up to now."""
        with self._lock:
            return Curves(
                loss=self._loss.points(),
                train_accuracy=self._train_accuracy.points(),
                test_accuracy=self._test_accuracy.points(),
            )

    def log_since(self, index: int) -> list[LogLine]:
        """The lines of the log whose `number` is at least `index`, as far as they are kept."""
        with self._lock:
            newest_first = itertools.takewhile(lambda line: line.number >= index, reversed(self._log))
            return list(newest_first)[::-1]

    def _fold(self, event: Event) -> None:
        match event:
            case PhaseChanged():
                self._update(phase=event.phase, message=event.message)
            case LoadingProgress():
                self._update(loading=event)
            case DataLoaded():
                self._update(data=event, loading=None)
            case TrainingStarted():
                self._update(started=event, step=0, epoch=1, batch=0, finished=None, ended=None)
            case Resumed():
                self._roll_back(event)
            case TrainingFinished():
                self._update(
                    finished=event, step=event.step, train_seconds=event.train_seconds, seconds_left=None
                )
            case SamplesPredicted():
                self._update(samples=event)
            case EvaluationProgress():
                self._update(evaluating=event)
            case Evaluated():
                self._fold_evaluation(event)
            case CheckpointSaved():
                self._update(checkpoint=event)
            case Alert():
                self._update(alert=event)
            case RunEnded():
                self._update(ended=event)

    def _fold_point(self, event: LossPoint) -> None:
        self._loss.append(event.step, event.loss)
        self._train_accuracy.append(event.step, event.accuracy)
        started = self._values["started"]
        seconds_left = None
        if started is not None and event.step:
            seconds_left = (started.total_steps - event.step) * event.train_seconds / event.step
        self._update(
            step=event.step,
            epoch=event.epoch,
            batch=event.batch,
            loss=event.loss,
            accuracy=event.accuracy,
            images_per_second=self._throughput.add(event),
            train_seconds=event.train_seconds,
            seconds_left=seconds_left,
            curves_version=self._values["curves_version"] + 1,
        )

    def _fold_evaluation(self, event: Evaluated) -> None:
        self._test_accuracy.append(event.step, event.accuracy)
        self._update(evaluated=event, evaluating=None, curves_version=self._values["curves_version"] + 1)

    def _roll_back(self, event: Resumed) -> None:
        """Take back what was told of the steps that are trained again."""
        for series in (self._loss, self._train_accuracy, self._test_accuracy):
            series.cut(event.step)
        kept = [line for line in self._log if line.step is None or line.step <= event.step]
        taken = len(self._log) - len(kept)
        self._log = deque(kept, maxlen=LOG_LINES)
        self._throughput = _Throughput(points=deque([(event.train_seconds, event.step)]))
        for name in ("samples", "evaluated", "checkpoint"):
            value = self._values[name]
            if value is not None and value.step > event.step:
                self._values[name] = None
        self._update(
            step=event.step,
            epoch=event.epoch,
            batch=event.batch,
            train_seconds=event.train_seconds,
            images_per_second=None,
            log_retracted=self._values["log_retracted"] + taken,
            curves_version=self._values["curves_version"] + 1,
        )

    def _update(self, **changes: object) -> None:
        self._values.update(changes)


def log_line(event: Event) -> LogLine | None:
    """The line that `event` puts into the log; None for an event that puts none."""
    step: int | None = None
    match event:
        case DataLoaded():
            counts = f"{event.train_images:,} training and {event.test_images:,} test images"
            text, kind = f"{event.title}: {counts}, {len(event.class_names)} classes", "message"
        case EpochFinished(step=step):
            figures = f"loss {event.loss:.3f}, training accuracy {100 * event.accuracy:.1f} %"
            text, kind = f"epoch {event.epoch}: {figures}, {event.train_seconds:.1f} s", "message"
        case Evaluated(step=step, final=False):
            text = f"test accuracy after step {event.step:,}: {100 * event.accuracy:.2f} %"
            kind = "message"
        case Validated(step=step):
            share = f"{100 * event.accuracy:.2f} %, loss {event.loss:.3f}"
            text = f"validation accuracy of epoch {event.epoch}: {share}{', the best' if event.best else ''}"
            kind = "message"
        case LossWindow(step=step):
            text, kind = event.tutorial_line(), "printed"
        case CheckpointSaved(step=step):
            text, kind = f"saved {event.path} ({event.reason})", "message"
        case Resumed():
            text, kind = f"resumed from the checkpoint of step {event.step:,}", "message"
        case Message():
            text, kind = event.text, "printed" if event.printed else "message"
        case Alert():
            text, kind = event.text, "alert"
        case RunEnded(error=error) if error:
            text, kind = error, "error"
        case _:
            return None
    return LogLine(time=event.time, text=text, kind=kind, step=step)
