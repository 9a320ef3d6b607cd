"""Runs that are compared, with what their event logs say: read once, for the command line."""

import contextlib
from dataclasses import dataclass

from cifar_tui.engine.events import Evaluated
from cifar_tui.runs.curves import Curves
from cifar_tui.runs.disk.event_log import read_events
from cifar_tui.runs.evaluated import read_results
from cifar_tui.runs.listing import ListedRun
from cifar_tui.runs.results import Results
from cifar_tui.runs.state import RunState


@dataclass(frozen=True, kw_only=True, slots=True)
class ComparedRun:
    """A run with its curves and its latest evaluation, None before the first.

    `results` has the latest evaluation whose predictions are stored; None without one.
    """

    listed: ListedRun
    curves: Curves
    evaluated: Evaluated | None
    results: Results | None


def read_compared(run: ListedRun) -> ComparedRun:
    """Read the event log of `run`; what cannot be read is left out."""
    state = RunState()
    with contextlib.suppress(OSError):
        for event in read_events(run.folder):
            state.apply(event)
    snapshot = state.snapshot()
    return ComparedRun(
        listed=run,
        curves=state.curves(),
        evaluated=snapshot.evaluated,
        results=read_results(run.folder, snapshot.evaluations),
    )
