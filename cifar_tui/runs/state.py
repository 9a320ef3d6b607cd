"""`RunState`: the state of a run, folded from its events, which every screen and the summary show."""

import dataclasses
import itertools
import math
import threading
from collections import deque
from dataclasses import dataclass, replace
from enum import StrEnum
from operator import itemgetter
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
    Message,
    Phase,
    PhaseChanged,
    RanksMeasured,
    Resumed,
    RunEnded,
    SamplesPredicted,
    StepsDone,
    TrainingFinished,
    TrainingStarted,
    Validated,
)
from cifar_tui.runs.curves import Curves, so_far, with_evaluation
from cifar_tui.runs.format import stopped_at
from cifar_tui.runs.log_line import LogLine, log_line
from cifar_tui.runs.recent import SmoothedMetrics, Throughput
from cifar_tui.runs.series import Series

STOPPED = "stopped"
"""How the message of a run that was stopped begins."""

LOG_LINES = 5000
"""Log lines kept in memory; the event log has all of them."""

_SLOW_POINTS = 2048
"""Points of a whole run that the curves of learning rate and time have."""


_SNAPSHOT_FIELDS: dict[type[Event], str] = {
    LoadingProgress: "loading",
    DataLoaded: "data",
    TrainingStarted: "started",
    TrainingFinished: "finished",
    SamplesPredicted: "samples",
    EvaluationProgress: "evaluating",
    Evaluated: "evaluated",
    Validated: "validated",
    CheckpointSaved: "checkpoint",
    RanksMeasured: "ranks",
    Alert: "alert",
    RunEnded: "ended",
}
"""Fields of `RunSnapshot` that hold the latest event of a type."""


class PendingRequest(StrEnum):
    """An accepted request that takes effect once the current step or evaluation has ended."""

    PAUSE = "pausing"
    STOP = "stopping"


@dataclass(frozen=True, kw_only=True, slots=True)
class RunProgress:
    """What changes in a run faster than its event log is written; None if not known yet.

    The log has chart points once a second, of a long run only some, and no progress of loading or evaluating.

    Attributes:
        point: the latest chart point.
        loss: smoothed training loss (nats): a mean over about the last twentieth of the steps so far.
        accuracy: smoothed training accuracy (0-1), over the same steps.
        learning_rate: of the latest step.
        images_per_second: training throughput over the last few seconds, without pauses.
        train_seconds: training time.
        seconds_left: estimated training time left.
    """

    epoch: int = 0
    batch: int = 0
    step: int = 0
    point: LossPoint | None = None
    loss: float | None = None
    accuracy: float | None = None
    learning_rate: float | None = None
    images_per_second: float | None = None
    train_seconds: float = 0.0
    seconds_left: float | None = None
    loading: LoadingProgress | None = None
    evaluating: EvaluationProgress | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class RunSnapshot(RunProgress):
    """The state of a run at one moment; None if not known yet.

    Attributes:
        version: number of events so far; if equal, nothing but `pending` has changed.
        message: details of the phase, such as what is being loaded.
        pending: an accepted request that has not taken effect yet.
        evaluations: the evaluations by step, the latest last; of many the older ones are thinned out.
        best_accuracy: highest test accuracy (0-1).
        best_step: the step at which it was first reached.
        last_accuracy: latest test accuracy (0-1).
        first_started: start of the first training, in Unix seconds.
        updated: time of the latest logged event, in Unix seconds.
        log_end: number of log lines so far; see `RunState.log_since`.
        log_retracted: how many of them a resume removed.
        curves_version: changes with the curves.
    """

    version: int = 0
    phase: Phase = Phase.IDLE
    message: str = ""
    pending: PendingRequest | None = None
    data: DataLoaded | None = None
    started: TrainingStarted | None = None
    samples: SamplesPredicted | None = None
    evaluated: Evaluated | None = None
    validated: Validated | None = None
    evaluations: tuple[Evaluated, ...] = ()
    best_accuracy: float | None = None
    best_step: int | None = None
    last_accuracy: float | None = None
    finished: TrainingFinished | None = None
    checkpoint: CheckpointSaved | None = None
    ended: RunEnded | None = None
    ranks: RanksMeasured | None = None
    alert: Alert | None = None
    first_started: float | None = None
    updated: float = 0.0
    log_end: int = 0
    log_retracted: int = 0
    curves_version: int = 0

    @property
    def status(self) -> str:
        """The phase in a word, or "stopped" for a run that ended before its last step."""
        if self.phase is not Phase.DONE:
            return str(self.phase)
        if self.finished is None:
            return STOPPED if self.message.startswith(STOPPED) else str(self.phase)
        return str(self.phase) if self.finished.completed else STOPPED

    @property
    def best_epoch(self) -> int | None:
        """The epoch, from 1, in which the best test accuracy was reached."""
        if self.best_step is None or self.started is None:
            return None
        return max(1, math.ceil(self.best_step / max(1, self.started.steps_per_epoch)))

    @property
    def closing_message(self) -> str:
        """What to say when training has ended; "" after its last epoch."""
        if self.finished is None or self.finished.completed:
            return "" if self.finished is None else self.finished.early_stop
        of_total = "" if self.started is None else f" of {self.started.total_steps:,}"
        return f"{STOPPED} and saved at step {self.finished.step:,}{of_total}"


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


def stopped_early(snapshot: RunSnapshot) -> str:
    """Say where a run was stopped before its last step, as in `stopped_at`; "" if it was not."""
    if snapshot.status != STOPPED:
        return ""
    return stopped_at(snapshot.step, snapshot.started.total_steps if snapshot.started is not None else 0)


Measured = LossPoint | EpochFinished | Validated | Evaluated
"""What a run measures at a step."""


def _other_images(before: DataLoaded | None, now: DataLoaded) -> bool:
    """Whether a resumed run has other test images than before."""
    known = before is not None and (before.title, before.class_names, before.test_images)
    return known not in {False, (now.title, now.class_names, now.test_images)}


class RunState:
    """The state of a run, folded from its events, in bounded memory. Thread-safe.

    The trainer's thread calls `apply`; screens poll `snapshot`, and `curves` and `log_since` if the snapshot
    says that they changed. The lock is held for microseconds only.

    Args:
        history: takes all that the run measures; what it trains again after a resume, or measured on other
            test images, is removed.
    """

    def __init__(self, *, history: list[Measured] | None = None) -> None:
        self._history = history
        self._lock = threading.Lock()
        self._snapshot: RunSnapshot | None = None
        self._values: dict[str, Any] = dataclasses.asdict(RunSnapshot())
        self._loss = Series()
        self._train_accuracy = Series()
        self._test_accuracy = Series()
        self._learning_rate = Series()
        self._train_seconds = Series()
        self._next_slow_point = 0
        self._log: deque[LogLine] = deque(maxlen=LOG_LINES)
        self._throughput = Throughput()
        self._smoothed = SmoothedMetrics()

    def apply(self, event: Event, *, earlier: bool = False) -> None:
        """Fold the next event; `earlier` if an earlier process of the run logged it."""
        with self._lock:
            self._values["version"] += 1
            self._snapshot = None
            if not event.transient:
                self._values["updated"] = event.time
            if self._history is not None and isinstance(event, Measured):
                self._history.append(event)
            if isinstance(event, LossPoint):  # most events are, and they put no line into the log
                self._fold_point(event)
                return
            line = log_line(event)
            if isinstance(event, Message) and event.printed and line is not None:
                # printed at the end of training or after it: a resume from the last step removes it
                started = self._values["started"]
                over = started is not None and self._values["step"] >= started.total_steps
                line = replace(line, step=math.inf if over else self._values["step"])
            self._fold(event)
            if line is not None:
                self._log.append(replace(line, number=self._values["log_end"], earlier=earlier))
                self._values["log_end"] += 1

    def snapshot(self) -> RunSnapshot:
        """Return the current state."""
        with self._lock:
            if self._snapshot is None:
                self._snapshot = RunSnapshot(**self._values)
            return self._snapshot

    def curves(self) -> Curves:
        """Return the current curves."""
        with self._lock:
            started, evaluating = self._values["started"], self._values["evaluating"]
            return Curves(
                test_so_far=so_far(self._values["step"], evaluating),
                loss=self._loss.points(),
                train_accuracy=self._train_accuracy.points(),
                test_accuracy=self._test_accuracy.points(),
                learning_rate=self._up_to_now(self._learning_rate, "learning_rate"),
                train_seconds=self._up_to_now(self._train_seconds, "train_seconds"),
                steps_per_epoch=0 if started is None else started.steps_per_epoch,
            )

    def _up_to_now(self, series: Series, name: str) -> tuple[tuple[float, float], ...]:
        points, step, value = series.points(), self._values["step"], self._values[name]
        behind = bool(points) and points[-1][0] < step and math.isfinite(value)
        return (*points, (step, value)) if behind else points

    def log_since(self, index: int) -> list[LogLine]:
        """Return the log lines from number `index` on that are still kept."""
        with self._lock:
            newest_first = itertools.takewhile(lambda line: line.number >= index, reversed(self._log))
            return list(newest_first)[::-1]

    def _fold(self, event: Event) -> None:
        name, update = _SNAPSHOT_FIELDS.get(type(event)), self._values.update
        if isinstance(event, DataLoaded) and _other_images(self._values["data"], event):
            self._forget_evaluations()  # they were of others
        if name is not None:
            self._values[name] = event
        match event:
            case PhaseChanged():
                update(phase=event.phase, message=event.message)
                if event.phase is not Phase.EVALUATING:  # it may have been given up
                    update(evaluating=None)
            case DataLoaded():
                update(loading=None)
            case TrainingStarted():
                update(step=0, epoch=1, batch=0, finished=None, ended=None)
                if self._values["first_started"] is None:
                    update(first_started=event.time)
            case Resumed():
                self._roll_back(event)
            case EvaluationProgress():
                update(curves_version=self._values["curves_version"] + 1)
            case StepsDone():
                self._advance(event)
            case TrainingFinished():
                started = self._values["started"]
                earlier = 0 if started is None else (event.epoch - 1) * started.steps_per_epoch
                update(step=event.step, epoch=event.epoch, batch=event.step - earlier, seconds_left=None)
                update(train_seconds=event.train_seconds)
            case Evaluated():
                self._test_accuracy.append(event.step, event.accuracy)
                evaluations = with_evaluation(self._values["evaluations"], event)
                update(evaluating=None, evaluations=evaluations, **self._test_figures())

    def _forget_evaluations(self) -> None:
        self._test_accuracy = Series()
        self._values.update(samples=None, evaluated=None, evaluations=(), **self._test_figures())
        if self._history is not None:
            self._history[:] = (past for past in self._history if not isinstance(past, Evaluated))

    def _fold_point(self, event: LossPoint) -> None:
        self._loss.append(event.step, event.loss)
        self._train_accuracy.append(event.step, event.accuracy)
        self._smoothed.add(event)
        started = self._values["started"]
        if event.step >= self._next_slow_point:  # rate and time change slowly: fewer points do
            self._learning_rate.append(event.step, event.learning_rate)
            self._train_seconds.append(event.step, event.train_seconds)
            total_steps = 0 if started is None else started.total_steps
            self._next_slow_point = event.step + total_steps // _SLOW_POINTS
        self._advance(event)
        self._values.update(
            point=event,
            loss=self._smoothed.loss,
            accuracy=self._smoothed.accuracy,
            learning_rate=event.learning_rate,
            images_per_second=self._throughput.add(event),
            curves_version=self._values["curves_version"] + 1,
        )

    def _advance(self, event: LossPoint | StepsDone) -> None:
        """Fold how far the run is."""
        started, seconds_left = self._values["started"], None
        if started is not None and event.step:
            seconds_left = (started.total_steps - event.step) * event.train_seconds / event.step
        self._values.update(
            step=event.step,
            epoch=event.epoch,
            batch=event.batch,
            train_seconds=event.train_seconds,
            seconds_left=seconds_left,
        )

    def _test_figures(self) -> dict[str, float | None]:
        points = self._test_accuracy.points()
        best_step, best = max(points, key=itemgetter(1), default=(None, None))
        return {
            "best_accuracy": best,
            "best_step": best_step,
            "last_accuracy": points[-1][1] if points else None,
            "curves_version": self._values["curves_version"] + 1,
        }

    def _roll_back(self, event: Resumed) -> None:
        """Drop what is known of the steps that are trained again."""
        for series in (
            self._loss,
            self._train_accuracy,
            self._test_accuracy,
            self._learning_rate,
            self._train_seconds,
        ):
            series.cut(event.step)
        if self._history is not None:
            self._history[:] = (past for past in self._history if past.step <= event.step)
        self._smoothed = SmoothedMetrics(step=event.step)
        self._next_slow_point = event.step
        kept = [line for line in self._log if line.step is None or line.step <= event.step]
        removed = len(self._log) - len(kept)
        self._log = deque(kept, maxlen=LOG_LINES)
        self._throughput = Throughput(points=deque([(event.train_seconds, event.step)]))
        for name in ("samples", "evaluated", "validated", "checkpoint", "point"):
            value = self._values[name]
            if value is not None and value.step > event.step:
                self._values[name] = None
        self._values.update(
            evaluations=tuple(past for past in self._values["evaluations"] if past.step <= event.step),
            step=event.step,
            epoch=event.epoch,
            batch=event.batch,
            train_seconds=event.train_seconds,
            images_per_second=None,
            log_retracted=self._values["log_retracted"] + removed,
            **self._test_figures(),
        )
