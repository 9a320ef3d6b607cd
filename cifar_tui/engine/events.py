"""What a run says while it works: the one vocabulary between the engine and everything else.

Every event is a frozen dataclass of plain values, so that it can stand as a line of JSON in the event log.
Events marked `transient` are for the screen only and are not logged.
"""

import dataclasses
import math
import time
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar


class Phase(StrEnum):
    """What a run is doing."""

    IDLE = "idle"
    LOADING = "loading"
    TRAINING = "training"
    PAUSED = "paused"
    EVALUATING = "evaluating"
    SAVING = "saving"
    DONE = "done"
    FAILED = "failed"
    CRASHED = "crashed"
    """Never said by a run itself: its process died."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """Base of all events. `time` is in Unix seconds."""

    transient: ClassVar[bool] = False
    time: float = field(default_factory=lambda: round(time.time(), 3))


@dataclass(frozen=True, kw_only=True, slots=True)
class PhaseChanged(Event):
    """The run entered `phase`; `message` says more where there is more to say."""

    phase: Phase
    message: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadingProgress(Event):
    """How far loading is: `done` of `total` (None where unknown) in `unit` ("bytes", "files" or "images").

    `stage` is a gerund phrase for the user, such as "downloading cifar-10-python.tar.gz".
    """

    transient: ClassVar[bool] = True
    stage: str
    done: int
    total: int | None
    unit: str


@dataclass(frozen=True, kw_only=True, slots=True)
class DataLoaded(Event):
    """The images are in memory. `title` is what the user sees them called.

    `skipped` counts the files that were no images; `skipped_files` names the first few of them.
    """

    title: str
    synthetic: bool
    class_names: tuple[str, ...]
    train_images: int
    test_images: int
    skipped: int = 0
    skipped_files: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingStarted(Event):
    """The first step is next. `config` is `TrainConfig` as a dictionary.

    `device` and `backend`, the way the steps are made, are for the user to read; older logs have no path.
    """

    run: str
    config: dict[str, Any]
    device: str
    parameters: int
    steps_per_epoch: int
    total_steps: int
    torch_version: str
    backend: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Resumed(Event):
    """Training goes on from the checkpoint of `step`: what was logged of later steps is superseded."""

    step: int
    epoch: int
    batch: int
    train_seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class LossPoint(Event):
    """A point of the charts: figures over the `steps` steps that ended with `step`.

    `step` counts from 1 over the whole run, `epoch` and `batch` from 1 within it. `loss` is the mean of the
    batches' mean losses (nats); `accuracy` is the share (0-1) of the training images of these batches that
    were classified rightly on the way. `train_seconds` is time spent training since the start of the run.
    """

    step: int
    steps: int
    epoch: int
    batch: int
    loss: float
    loss_min: float
    loss_max: float
    accuracy: float
    learning_rate: float
    images: int
    train_seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class LossWindow(Event):
    """The running loss as the tutorial prints it: the mean over the last `log_every` batches."""

    epoch: int
    batch: int
    step: int
    loss: float

    def tutorial_line(self) -> str:
        """`[1,  2000] loss: 2.210`: the epoch, the batch right-aligned in 5, three decimals."""
        return f"[{self.epoch}, {self.batch:5d}] loss: {self.loss:.3f}"


@dataclass(frozen=True, kw_only=True, slots=True)
class EpochFinished(Event):
    """An epoch ended; `loss` and `accuracy` are means over all its training batches, taken while training."""

    epoch: int
    step: int
    loss: float
    accuracy: float
    train_seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Validated(Event):
    """The images held out were classified after an epoch; `best` if better than after any before."""

    epoch: int
    step: int
    correct: int
    total: int
    loss: float
    best: bool

    @property
    def accuracy(self) -> float:
        """Share (0-1) of them classified rightly."""
        return self.correct / self.total


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingFinished(Event):
    """The last step was made (`completed`), or a stop was asked for and the run was saved.

    `images` counts training images over all epochs. `final_loss` is the mean of the last whole window of
    losses, or of the epoch where no window was completed; it may be NaN.
    """

    completed: bool
    epoch: int
    step: int
    train_seconds: float
    images: int
    final_loss: float


@dataclass(frozen=True, kw_only=True, slots=True)
class SamplesPredicted(Event):
    """What the net at `step` predicts for the first test images, in the order of the test set.

    `predicted` are class indices, `confidences` the softmax probabilities (0-1) of those classes.
    """

    step: int
    predicted: tuple[int, ...]
    confidences: tuple[float, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluationProgress(Event):
    """`done` of `total` test images are evaluated."""

    transient: ClassVar[bool] = True
    done: int
    total: int


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassAccuracy:
    """How many of the test images of one class were classified rightly."""

    name: str
    correct: int
    total: int

    @property
    def accuracy(self) -> float | None:
        """Share (0-1) of right answers; None for a class without test images."""
        return self.correct / self.total if self.total else None


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluated(Event):
    """The whole test set was evaluated after `step` steps; `final` when on the saved weights after training.

    `step` is 0 where it is not known, as for weights from a file.
    `loss` is the mean cross-entropy (nats), `seconds` the time it took.
    """

    step: int
    final: bool
    correct: int
    total: int
    loss: float
    seconds: float
    per_class: tuple[ClassAccuracy, ...]

    @property
    def accuracy(self) -> float:
        """Share (0-1) of the test images classified rightly."""
        return self.correct / self.total

    def tutorial_line(self) -> str:
        """The tutorial's sentence, in whole per cent rounded down."""
        percent = 100 * self.correct // self.total
        return f"Accuracy of the network on the {self.total} test images: {percent} %"


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckpointSaved(Event):
    """`path` holds the state after `step` steps; `reason` says why it was saved."""

    path: str
    step: int
    epoch: int
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Message(Event):
    """A line for the log; `printed` when the tutorial itself would have printed it."""

    text: str
    printed: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Alert(Event):
    """Something the user must see."""

    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class RunEnded(Event):
    """The work is over; only an evaluation of what was saved may follow.

    `exit_code` is the program's (0: done); `error` tells the user why it failed.
    """

    exit_code: int
    error: str = ""


_EVENT_TYPES: dict[str, type[Event]] = {cls.__name__: cls for cls in Event.__subclasses__()}
_NUMBERS = {
    cls: {entry.name for entry in dataclasses.fields(cls) if entry.type is float}
    for cls in _EVENT_TYPES.values()
}
_PLAIN = (LossPoint, LossWindow)  # most of a log: no lists in them, and read in the shortest way


def event_to_dict(event: Event) -> dict[str, Any]:
    """`event` as a dictionary that is strict JSON, with its type under "event".

    A number that is not finite becomes None, for JSON has none.
    """
    return {"event": type(event).__name__, **finite_or_none(dataclasses.asdict(event))}


def finite_or_none(value: Any) -> Any:  # noqa: ANN401 - any JSON value in, any out
    """`value`, made of dictionaries, lists, tuples and plain values, with None for what is not finite."""
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
    """The event that `event_to_dict` made `values` of; None for a type this version does not know.

    Where a number is needed and there is none, it was not finite: it comes back as NaN.

    Raises:
        TypeError, KeyError: the fields are not those of the event's type.
    """
    fields = dict(values)
    cls = _EVENT_TYPES.get(fields.pop("event"))
    if cls is None:
        return None
    if cls in _PLAIN and None not in fields.values():
        return cls(**fields)
    if cls is PhaseChanged:
        fields["phase"] = Phase(fields["phase"])
    if cls is Evaluated:
        fields["per_class"] = [ClassAccuracy(**entry) for entry in fields["per_class"]]
    if cls is SamplesPredicted:
        fields["confidences"] = [math.nan if value is None else value for value in fields["confidences"]]
    for name, value in fields.items():
        if isinstance(value, list):
            fields[name] = tuple(value)
        elif value is None and name in _NUMBERS[cls]:
            fields[name] = math.nan
    return cls(**fields)
