"""`RunRecord`: all that a run has logged and predicted, read once for every format."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cifar_tui.engine.errors import ConfigError
from cifar_tui.engine.events import (
    DataLoaded,
    EpochFinished,
    Evaluated,
    LossPoint,
    TrainingStarted,
    Validated,
)
from cifar_tui.runs.comparison import run_label
from cifar_tui.runs.disk.event_log import read_events
from cifar_tui.runs.evaluated import read_results
from cifar_tui.runs.listing import ListedRun, list_run
from cifar_tui.runs.results import Results
from cifar_tui.runs.state import Measured, RunState


@dataclass(frozen=True, kw_only=True, eq=False)
class RunRecord:
    """A run as it was logged, without the steps that a resume trained again.

    Attributes:
        run: its folder, settings and key figures.
        points: chart points by step.
        epochs: the epochs that ended.
        validations: evaluations on the validation images.
        evaluations: evaluations on the test images, oldest first.
        data: the dataset; None before it was loaded.
        started: the latest start of the training; None before the first.
        results: the predictions of the latest evaluation whose predictions are stored; None without any.
    """

    run: ListedRun
    points: Sequence[LossPoint]
    epochs: Sequence[EpochFinished]
    validations: Sequence[Validated]
    evaluations: Sequence[Evaluated]
    data: DataLoaded | None
    started: TrainingStarted | None
    results: Results | None

    @property
    def evaluated(self) -> Evaluated | None:
        """The evaluation that made the predictions; None without any."""
        return None if self.results is None else self.results.evaluated

    @property
    def label(self) -> str:
        """What the user calls the run, escaped for a screen."""
        return run_label(self.run)

    @property
    def steps_per_epoch(self) -> int:
        """Steps of an epoch; 0 if unknown."""
        return self.started.steps_per_epoch if self.started is not None else 0

    @property
    def not_finite(self) -> int:
        """How many chart points have a loss that is not finite."""
        return sum(not math.isfinite(point.loss) for point in self.points)


def read_record(folder: Path) -> RunRecord:
    """Read the run in `folder`, which may be active.

    Raises:
        ConfigError: its event log cannot be read.
    """
    history: list[Measured] = []
    state = RunState(history=history)
    try:
        for event in read_events(folder):
            state.apply(event)
    except OSError as error:
        raise ConfigError(
            f"cannot read the event log of run {folder.name!r}: {error.strerror}; choose another run"
        ) from None
    points: list[LossPoint] = []
    for event in history:
        if isinstance(event, LossPoint) and (not points or event.step > points[-1].step):
            points.append(event)
    snapshot = state.snapshot()
    return RunRecord(
        run=list_run(folder),
        points=points,
        epochs=[event for event in history if isinstance(event, EpochFinished)],
        validations=[event for event in history if isinstance(event, Validated)],
        evaluations=[event for event in history if isinstance(event, Evaluated)],
        data=snapshot.data,
        started=snapshot.started,
        results=read_results(folder, snapshot.evaluations),
    )
