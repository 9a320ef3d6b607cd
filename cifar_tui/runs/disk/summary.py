"""`summary.json`: a run's row in the table of runs, so that listing reads no event logs."""

import contextlib
import dataclasses
import json
import math
from dataclasses import dataclass, field
from pathlib import Path

from cifar_tui.engine.atomic import write_atomically
from cifar_tui.engine.disk.regular import read_regular
from cifar_tui.engine.events import Phase, decode, finite_or_none
from cifar_tui.engine.layout import EVENTS_FILE, SUMMARY_FILE
from cifar_tui.runs.disk.event_log import read_events
from cifar_tui.runs.plausible import is_plausible
from cifar_tui.runs.state import RunSnapshot, RunState

_MOST_BYTES = 1 << 20
_MOST_REBUILT_BYTES = 1 << 30
"""A table of runs must not wait for larger event logs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RunSummary:
    """Key figures of a run; None if not known yet.

    Attributes:
        phase: the last phase that the run was in.
        data_title: the dataset's name for the user, "" until it is loaded.
        epoch: the current epoch, from 1; 0 before training.
        step: steps trained.
        total_steps: steps to train; 0 until known.
        loss: smoothed training loss (nats); None if not finite.
        best_accuracy: highest test accuracy (0-1) so far.
        last_accuracy: latest test accuracy (0-1).
        train_seconds: training time.
        updated: time of the latest event, in Unix seconds.
        started: start of the first training, in Unix seconds.
        error: why the run failed, or "".
        completed: whether all steps were trained.
        val_accuracy: latest accuracy (0-1) on the validation images; None without any.
    """

    phase: Phase = Phase.IDLE
    data_title: str = ""
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
    val_accuracy: float | None = field(default=None, metadata={"later": True})


def summarize(snapshot: RunSnapshot) -> RunSummary:
    """Reduce a snapshot of the run to its key figures."""
    return RunSummary(
        phase=snapshot.phase,
        data_title=snapshot.data.title if snapshot.data is not None else "",
        epoch=snapshot.epoch,
        step=snapshot.step,
        total_steps=snapshot.started.total_steps if snapshot.started is not None else 0,
        loss=finite_or_none(snapshot.loss),
        best_accuracy=snapshot.best_accuracy,
        last_accuracy=snapshot.last_accuracy,
        train_seconds=snapshot.train_seconds,
        updated=snapshot.updated,
        started=snapshot.first_started,
        error=snapshot.ended.error if snapshot.ended is not None else "",
        completed=snapshot.finished is not None and snapshot.finished.completed,
        val_accuracy=snapshot.validated.accuracy if snapshot.validated is not None else None,
    )


def write_summary(folder: Path, summary: RunSummary) -> None:
    """Write `summary.json`. Not fsynced: after a power failure it is rebuilt.

    Raises:
        OSError: it cannot be written; the old file is unchanged.
    """
    content = json.dumps(finite_or_none(dataclasses.asdict(summary)), allow_nan=False) + "\n"
    write_atomically(folder / SUMMARY_FILE, content.encode(), durable=False)


def read_summary(folder: Path) -> RunSummary | None:
    """Read `summary.json`, or rebuild it from the event log if missing or damaged; None without either."""
    with contextlib.suppress(
        OSError, ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError
    ):
        summary = decode(RunSummary, json.loads(read_regular(folder / SUMMARY_FILE, limit=_MOST_BYTES)))
        if _is_sound(summary):
            return summary
    state = RunState()
    try:
        if (folder / EVENTS_FILE).lstat().st_size > _MOST_REBUILT_BYTES:
            return None
        for event in read_events(folder):
            state.apply(event)
    except OSError:
        return None
    snapshot = state.snapshot()
    summary = summarize(snapshot)
    return summary if snapshot.version and _is_sound(summary) else None


def _is_sound(summary: RunSummary) -> bool:
    """Check that every figure is one of a run, and none NaN: that cannot be shown."""
    values = dataclasses.astuple(summary)
    return is_plausible(summary) and not any(
        isinstance(value, float) and math.isnan(value) for value in values
    )
