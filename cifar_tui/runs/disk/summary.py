"""`summary.json`: what a table of runs shows of a run, so that no event log has to be read for it.

Where it is missing it is rebuilt from the event log.
"""

import dataclasses
import json
import math
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.events import (
    CheckpointSaved,
    DataLoaded,
    EpochFinished,
    Evaluated,
    Event,
    LossPoint,
    Phase,
    PhaseChanged,
    Resumed,
    RunEnded,
    TrainingFinished,
    TrainingStarted,
    event_from_dict,
    finite_or_none,
)
from cifar_tui.engine.layout import EVENTS_FILE
from cifar_tui.runs.disk.event_log import SCHEMA_VERSION

SUMMARY_FILE = "summary.json"
SUMMARY_SCHEMA = 1

_POINT_SECONDS = 5.0
_LARGEST_FILE = 1 << 16
_PART_OF_LOG = 1 << 17
_POINT = b'{"event":"LossPoint"'
_PASSED_OVER = tuple(f'{{"event":"{name}"'.encode() for name in ("LossWindow", "Message", "SamplesPredicted"))
_TELLING = (PhaseChanged, EpochFinished, Evaluated, CheckpointSaved, TrainingFinished, RunEnded)


@dataclass(frozen=True, kw_only=True, slots=True)
class RunSummary:
    """A run in a few figures. None stands for what is not known yet.

    Attributes:
        schema: the version of this list of fields.
        phase: a `Phase`, as its value.
        preset: the recipe of its settings.
        data: the setting that names its images.
        data_title: what the user sees these images called; "" until they are loaded.
        epochs: as many are to be trained.
        epoch: the one that is reached, from 1; 0 before the first.
        step: the steps that are trained.
        total_steps: as many are to be trained; 0 until that is known.
        loss: mean loss (nats) over the latest point of the chart; None where it is not finite, too.
        best_accuracy: the highest share (0-1) of test images that was classified rightly.
        last_accuracy: the latest such share.
        train_seconds: time spent training.
        updated: when it was so, in Unix seconds.
        started: when the first training began, in Unix seconds.
        error: why it failed, or "".
        completed: whether the last step was made.
    """

    schema: int = SUMMARY_SCHEMA
    phase: str = Phase.IDLE.value
    preset: str = ""
    data: str = ""
    data_title: str = ""
    epochs: int = 0
    epoch: int = 0
    step: int = 0
    total_steps: int = 0
    loss: float | None = None
    best_accuracy: float | None = None
    last_accuracy: float | None = None
    train_seconds: float = 0.0
    updated: float = 0.0
    started: float | None = None
    error: str = ""
    completed: bool = False


_FIELDS = {entry.name: entry.type for entry in dataclasses.fields(RunSummary)}


class SummaryWriter:
    """Keeps `summary.json` in `folder`, for the one process that owns the run.

    What the event log tells of the run's past is taken over, so that a resumed run goes on with its figures.

    Args:
        folder: the run's folder.
        config: its settings.

    Attributes:
        behind: whether the last attempt to write failed.

    Raises:
        OSError: the event log cannot be read.
    """

    def __init__(self, folder: Path, config: TrainConfig) -> None:
        self._path = folder / SUMMARY_FILE
        self._fold = _Fold()
        try:
            with (folder / EVENTS_FILE).open("rb") as log:
                self._fold.read(log)
        except FileNotFoundError:
            pass  # a new run
        self._fold.settings(dataclasses.asdict(config))
        self._tried = 0.0
        self.behind = False

    def apply(self, event: Event) -> None:
        """Take in the next event, and write where it tells something; points only every few seconds.

        Raises:
            OSError: the file cannot be written; the next event that tells something tries again.
        """
        self._fold.apply(event)
        now = time.monotonic()
        due = isinstance(event, LossPoint) and now - self._tried >= _POINT_SECONDS
        if due or isinstance(event, _TELLING):
            self._tried, self.behind = now, True
            _replace(self._path, self._fold.summary)
            self.behind = False


def read_summary(folder: Path) -> RunSummary | None:
    """What `summary.json` in `folder` tells; None where it is missing, damaged or of another version."""
    path = folder / SUMMARY_FILE
    try:
        if not path.is_file():
            return None
        with path.open("rb") as file:
            content = file.read(_LARGEST_FILE + 1)
        values = json.loads(content) if len(content) <= _LARGEST_FILE else None
    except (OSError, ValueError, RecursionError):
        return None
    return _checked(values)


def rebuild_summary(folder: Path) -> RunSummary | None:
    """What the event log in `folder` tells, in the words of `summary.json`; None where it tells nothing.

    Of a large log only the first and the last part is read, so that the best accuracy may be missed.
    """
    path = folder / EVENTS_FILE
    fold = _Fold()
    try:
        if not path.is_file():
            return None
        with path.open("rb") as log:
            fold.read(_ends(log))
    except OSError:
        return None
    return fold.summary if fold.told else None


class _Fold:
    """Folds events into a summary."""

    def __init__(self) -> None:
        self.summary = RunSummary()
        self.told = False
        self._accuracies: list[tuple[int, float]] = []

    def settings(self, config: Mapping[str, Any]) -> None:
        """Take over the settings that a summary has."""
        known = {name: config[name] for name in ("preset", "data", "epochs") if name in config}
        self.summary = replace(self.summary, **known)

    def read(self, lines: Iterable[bytes]) -> None:
        """Take in the lines of an event log; those that are damaged tell nothing."""
        iterator = iter(lines)
        header = _parsed(next(iterator, b""))
        if header is None or header.get("schema") != SCHEMA_VERSION:
            return
        point = b""
        for line in iterator:
            if line.startswith(_POINT):
                point = line  # of thousands of points in a row only the last one counts
            elif not line.startswith(_PASSED_OVER):
                self._apply_line(point)
                self._apply_line(line)
                point = b""
        self._apply_line(point)
        if _checked(dataclasses.asdict(self.summary)) is None:  # numbers that are none
            self.summary, self.told = RunSummary(), False

    def _apply_line(self, line: bytes) -> None:
        values = _parsed(line)
        if values is None or "event" not in values:
            return
        try:
            event = event_from_dict(values)
            if event is not None and isinstance(getattr(event, "step", 0), int):
                self.apply(event)
        except (TypeError, ValueError, KeyError, ArithmeticError, AttributeError):
            pass  # damaged

    def apply(self, event: Event) -> None:
        """Take in the next event."""
        if event.transient:
            return
        changes: dict[str, Any] = {}
        match event:
            case PhaseChanged():
                changes = {"phase": event.phase.value}
            case DataLoaded():
                changes = {"data_title": event.title}
            case TrainingStarted():
                self.settings(event.config)
                started = event.time if self.summary.started is None else self.summary.started
                changes = {"total_steps": event.total_steps, "started": started, "completed": False}
                changes |= {"step": 0, "epoch": 1, "error": ""}
            case Resumed():
                self._accuracies = [entry for entry in self._accuracies if entry[0] <= event.step]
                changes = {"step": event.step, "epoch": event.epoch, "train_seconds": event.train_seconds}
                changes |= self._accuracy()
            case LossPoint():
                changes = {"step": event.step, "epoch": event.epoch, "train_seconds": event.train_seconds}
                changes |= {"loss": event.loss if math.isfinite(event.loss) else None}
            case EpochFinished():
                changes = {"step": event.step, "epoch": event.epoch, "train_seconds": event.train_seconds}
            case TrainingFinished():
                changes = {"step": event.step, "epoch": event.epoch, "train_seconds": event.train_seconds}
                changes |= {"completed": event.completed}
            case Evaluated():
                self._accuracies.append((event.step, event.accuracy))
                changes = self._accuracy()
            case RunEnded():
                changes = {"error": event.error}
        self.summary = replace(self.summary, updated=event.time, **changes)
        self.told = True

    def _accuracy(self) -> dict[str, float | None]:
        shares = [share for _, share in self._accuracies]
        return {
            "best_accuracy": max(shares, default=None),
            "last_accuracy": shares[-1] if shares else None,
        }


def _checked(values: object) -> RunSummary | None:
    """The summary that `values` are; None where they are none of this version."""
    if not isinstance(values, dict) or values.get("schema") != SUMMARY_SCHEMA:
        return None
    checked: dict[str, Any] = {}
    for name, kind in _FIELDS.items():
        value = values.get(name)
        if isinstance(value, bool) and kind is not bool:
            return None
        if isinstance(value, int) and kind in {float, float | None}:
            try:
                value = float(value)
            except OverflowError:
                return None
        if not isinstance(value, kind) or name not in values:  # type: ignore[arg-type]  # types, all of them
            return None
        if isinstance(value, int | float) and not 0 <= value < math.inf:
            return None
        checked[name] = value
    return RunSummary(**checked) if checked["phase"] in set(Phase) else None


def _replace(path: Path, summary: RunSummary) -> None:
    """Put `summary` in the place of the file `path`.

    Not forced to the disk: what a power cut takes is rebuilt.

    Raises:
        OSError: it cannot be written; the file is as it was.
    """
    temporary = path.with_name(f".{path.name}.tmp")  # a run has one owner: nobody else writes it
    content = json.dumps(finite_or_none(dataclasses.asdict(summary)), allow_nan=False)
    try:
        temporary.write_text(content + "\n", encoding="utf-8")
        os.replace(temporary, path)  # noqa: PTH105 - the calls of the system, one by one
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def _ends(log: BinaryIO) -> Iterator[bytes]:
    """The lines of `log`; of a large one those of its first and last part, the torn ones between included."""
    size = os.fstat(log.fileno()).st_size
    if size <= 2 * _PART_OF_LOG:
        yield from log.read(2 * _PART_OF_LOG).splitlines()
        return
    yield from log.read(_PART_OF_LOG).splitlines()
    log.seek(-_PART_OF_LOG, os.SEEK_END)
    yield from log.read(_PART_OF_LOG).splitlines()


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        values = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return values if isinstance(values, dict) else None
