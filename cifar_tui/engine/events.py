"""Events that a run emits, and their JSON form in the event log.

Every event is a frozen dataclass of plain values; transient ones are for the screen and are not logged.
"""

import dataclasses
import functools
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import UnionType
from typing import Any, ClassVar, TypeVar, get_args, get_origin

SAMPLE_IMAGES = 64
"""The first test images, whose predictions are reported while training."""

_LATER = {"later": True}
"""Marks a field that the logs of earlier versions do not have; it has a default."""

_T = TypeVar("_T")


class Phase(StrEnum):
    """Phase of a run."""

    IDLE = "idle"
    LOADING = "loading"
    TRAINING = "training"
    PAUSED = "paused"
    EVALUATING = "evaluating"
    SAVING = "saving"
    DONE = "done"
    FAILED = "failed"
    CRASHED = "crashed"
    """Set by observers when the run's process died; never emitted by the run itself."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """Base class of all events. `time` is in Unix seconds."""

    transient: ClassVar[bool] = False
    time: float = field(default_factory=lambda: round(time.time(), 3))


def ignore_event(event: Event) -> None:
    """Take `event`, which nobody wants to know."""
    del event


@dataclass(frozen=True, kw_only=True, slots=True)
class PhaseChanged(Event):
    """The run entered `phase`; `message` has details, "" for none."""

    phase: Phase
    message: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadingProgress(Event):
    """Loading progress: `done` of `total` (None if unknown) in `unit` ("bytes", "files" or "images").

    `stage` is what the user reads, such as "downloading cifar-10-python.tar.gz", and `note` a sentence about
    it; "" for none.
    """

    transient: ClassVar[bool] = True
    stage: str
    done: int
    total: int | None
    unit: str
    note: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class DataLoaded(Event):
    """The dataset is in memory. `title` is its name for the user."""

    title: str
    synthetic: bool
    class_names: tuple[str, ...]
    train_images: int
    test_images: int


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingStarted(Event):
    """Training starts with the next step. `device` and `backend` are names for the user."""

    run: str
    device: str
    steps_per_epoch: int
    total_steps: int
    backend: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Resumed(Event):
    """Training resumed from the checkpoint at `step`; events of later steps are superseded."""

    step: int
    epoch: int
    batch: int
    train_seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class LossPoint(Event):
    """A chart point over the last `steps` steps, up to and including `step`.

    `step` and `epoch` count from 1 over the run, `batch` from 1 within the epoch. `loss` is the mean batch
    loss (nats), `accuracy` the running training accuracy (0-1), `images` the training images of these steps,
    `train_seconds` the training time since the start of the run.
    """

    step: int
    steps: int
    epoch: int
    batch: int
    loss: float
    accuracy: float
    learning_rate: float
    images: int
    train_seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class LossWindow(Event):
    """The running loss that the tutorial prints: the mean over the last `log_every` batches."""

    epoch: int
    batch: int
    step: int
    loss: float

    def tutorial_line(self) -> str:
        """Format as the tutorial does: `[1,  2000] loss: 2.210`."""
        return f"[{self.epoch}, {self.batch:5d}] loss: {self.loss:.3f}"


@dataclass(frozen=True, kw_only=True, slots=True)
class EpochFinished(Event):
    """An epoch ended; `loss` and `accuracy` are running means over its training images.

    If the images are others since a resume within the epoch, over those trained on since then.
    """

    epoch: int
    step: int
    loss: float
    accuracy: float
    train_seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Validated(Event):
    """The validation split was evaluated after an epoch; `best` if better than all before."""

    epoch: int
    step: int
    correct: int
    total: int
    loss: float
    best: bool

    @property
    def accuracy(self) -> float:
        """Share (0-1) of correct predictions."""
        return self.correct / self.total if self.total else math.nan


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingFinished(Event):
    """Training ended: after the last step or by `early_stop` (`completed`), or after a requested stop.

    `images` counts training images over all epochs. `final_loss` is the last running loss, or the mean of the
    epoch if there was none; it may be NaN. `early_stop` says why it ended before the last epoch, "" if it did
    not.
    """

    completed: bool
    epoch: int
    step: int
    train_seconds: float
    images: int
    final_loss: float
    early_stop: str = field(default="", metadata=_LATER)


@dataclass(frozen=True, kw_only=True, slots=True)
class SamplesPredicted(Event):
    """Predictions at `step` for the first `SAMPLE_IMAGES` test images, in test set order.

    `predicted` are class indices, `confidences` their softmax probabilities (0-1).
    """

    step: int
    predicted: tuple[int, ...]
    confidences: tuple[float, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class StepsDone(Event):
    """Training is at `step`, after `batch` of `epoch`, with no chart point due; `train_seconds` as there."""

    transient: ClassVar[bool] = True
    step: int
    epoch: int
    batch: int
    train_seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluationProgress(Event):
    """Evaluation progress: `done` of `total` test images, `correct` of them, after `batch` of `batches`."""

    transient: ClassVar[bool] = True
    done: int
    total: int
    correct: int
    batch: int
    batches: int


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassAccuracy:
    """Correct predictions among the test images of one class."""

    name: str
    correct: int
    total: int

    @property
    def accuracy(self) -> float | None:
        """Share (0-1) of correct predictions; None for a class without test images."""
        return self.correct / self.total if self.total else None


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluated(Event):
    """The test set was evaluated after `step` steps (0 if unknown, as for weights from a file).

    `final` for the saved weights after training. `loss` is the mean cross-entropy (nats).
    """

    step: int
    final: bool
    correct: int
    total: int
    loss: float
    per_class: tuple[ClassAccuracy, ...]

    @property
    def accuracy(self) -> float:
        """Share (0-1) of correct predictions."""
        return self.correct / self.total if self.total else math.nan

    def tutorial_line(self) -> str:
        """Format as the tutorial does, in whole per cent, rounded down."""
        percent = 100 * self.correct // self.total
        return f"Accuracy of the network on the {self.total} test images: {percent} %"


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckpointSaved(Event):
    """A checkpoint of `step` was saved to `path`; `reason` is for the user."""

    path: str
    step: int
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class RankMeasured:
    """One of several processes of a run: the speed of its own computing, and its share (0-1) of waiting."""

    host: str
    device: str
    images_per_second: float
    waited: float


@dataclass(frozen=True, kw_only=True, slots=True)
class RanksMeasured(Event):
    """How the processes of a run have done on average since it began, in the order of their ranks."""

    ranks: tuple[RankMeasured, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Message(Event):
    """A line of the log; `printed` if the tutorial prints it too."""

    text: str
    printed: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Alert(Event):
    """Something the user must see."""

    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class RunEnded(Event):
    """The run ended; only an evaluation of the saved weights may follow.

    `exit_code` is the program's (0: done); `error` is the sentence for the user, "" if none.
    """

    exit_code: int
    error: str = ""


_EVENT_TYPES: dict[str, type[Event]] = {cls.__name__: cls for cls in Event.__subclasses__()}


def event_to_dict(event: Event) -> dict[str, Any]:
    """Convert `event` to strict JSON values, its type under "event"; non-finite numbers become None."""
    return {"event": type(event).__name__, **finite_or_none(dataclasses.asdict(event))}


def finite_or_none(value: Any) -> Any:  # noqa: ANN401 - any JSON value in, any out
    """Replace non-finite numbers in `value`, at any depth, by None."""
    match value:
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return {key: finite_or_none(entry) for key, entry in value.items()}
        case list() | tuple():
            return [finite_or_none(entry) for entry in value]
        case _:
            return value


def event_from_dict(values: dict[str, Any]) -> Event | None:
    """Restore the event that `event_to_dict` converted to `values`; None for an unknown type.

    Raises:
        TypeError, ValueError, KeyError, OverflowError: as `decode`.
    """
    fields = dict(values)
    cls = _EVENT_TYPES.get(fields.pop("event"))
    return None if cls is None else decode(cls, fields)


def decode(cls: type[_T], values: Mapping[str, Any]) -> _T:
    """Build the dataclass `cls` from JSON values: lists become tuples, a missing number (None) NaN.

    Fields that earlier versions did not have may be missing.

    Raises:
        TypeError, ValueError, KeyError, OverflowError: a field is missing, unknown or of the wrong type.
    """
    types = _field_types(cls)  # type: ignore[arg-type]  # typeshed: a type is hashable
    if list(map(type, values.values())) == list(types.values()):  # most log lines: nothing to convert
        return cls(**values)
    if not types.keys() - _later_fields(cls) <= values.keys() <= types.keys():  # type: ignore[arg-type]  # as above
        raise TypeError(f"{cls.__name__} has other fields than {', '.join(values)}")
    return cls(**{name: _decode_value(types[name], value) for name, value in values.items()})


@functools.cache
def _later_fields(cls: Any) -> set[str]:  # noqa: ANN401 - any dataclass
    return {entry.name for entry in dataclasses.fields(cls) if entry.metadata == _LATER}


@functools.cache
def _field_types(cls: Any) -> dict[str, Any]:  # noqa: ANN401 - any dataclass
    return {entry.name: entry.type for entry in dataclasses.fields(cls)}


def _decode_value(kind: Any, value: Any) -> Any:  # noqa: ANN401 - any type, and a value of it
    if get_origin(kind) is tuple and isinstance(value, list):
        item = get_args(kind)[0]
        if set(map(type, value)) == {item}:  # a prediction of every sample: nothing to convert
            return tuple(value)
        return tuple(_decode_value(item, entry) for entry in value)
    if isinstance(kind, UnionType):
        return None if value is None else _decode_value(get_args(kind)[0], value)
    if isinstance(kind, type) and dataclasses.is_dataclass(kind) and isinstance(value, dict):
        return decode(kind, value)
    if kind is Phase:
        return Phase(value)
    if kind is float and value is None:
        return math.nan
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise TypeError(f"{value!r} is not of type {kind}")
    return value
