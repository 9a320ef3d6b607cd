"""Own a run: hold its lock, write its event log and summary, listen on its control socket."""

import contextlib
import threading
import time
from collections.abc import Callable
from pathlib import Path

from cifar_tui.engine.atomic import disk_errors_explained, remove_leftovers
from cifar_tui.engine.events import (
    CheckpointSaved,
    Evaluated,
    Event,
    PhaseChanged,
    RunEnded,
    TrainingFinished,
)
from cifar_tui.runs.control.protocol import Request
from cifar_tui.runs.control.server import ControlServer
from cifar_tui.runs.disk.event_log import EventLog
from cifar_tui.runs.disk.run_lock import BEAT_SECONDS, RunLock
from cifar_tui.runs.disk.summary import summarize, write_summary
from cifar_tui.runs.progress import progress_of
from cifar_tui.runs.state import RunState

_SUMMARY_SECONDS = 5.0
_SUMMARISED_AT_ONCE = (PhaseChanged, Evaluated, CheckpointSaved, TrainingFinished, RunEnded)


class RunWriter:
    """Own the run in `folder` until `close`.

    Args:
        folder: the run's folder.
        state: the run's state, from which the summary is written.
        answer: does what another process requests, in the socket's thread; returns the reason for a refusal.

    Raises:
        ConfigError: another process owns the run.
        RunFailedError: a file of the run cannot be written.
    """

    def __init__(self, folder: Path, state: RunState, answer: Callable[[Request], str | None]) -> None:
        self._folder = folder
        self._state = state
        self._appending = threading.Lock()
        self._summary_tried = 0.0
        self._summary_behind = False
        self._lock = RunLock(folder)
        self._lock.acquire()
        with contextlib.ExitStack() as undo:
            undo.callback(self._lock.release)
            with disk_errors_explained(f"write to '{folder}'"):
                remove_leftovers(folder)
                self._event_log = EventLog(folder)
                undo.callback(self._event_log.close)
                self._server = ControlServer(
                    folder,
                    answer,
                    progress=lambda: progress_of(state.snapshot()),
                    beat=self._lock.beat,
                    beat_seconds=BEAT_SECONDS,
                )
                self._server.start()
            undo.pop_all()

    def append(self, event: Event) -> None:
        """Log `event`, which `state` has applied, and update the summary. Thread-safe.

        Raises:
            OSError: one of them cannot be written now; the next event retries.
        """
        with self._appending:
            try:
                self._event_log.append(event)
            finally:
                self._update_summary(event)
        if isinstance(event, CheckpointSaved):
            self._event_log.sync()  # the events before a checkpoint are as durable as the checkpoint

    @property
    def behind(self) -> bool:
        """Whether the last attempt to write the event log or the summary failed."""
        return self._event_log.behind or self._summary_behind

    def close(self) -> None:
        """Release the run.

        Raises:
            OSError: the end of the event log cannot be written.
        """
        self._server.close()
        try:
            self._event_log.close()
        finally:
            self._lock.release()

    def _update_summary(self, event: Event) -> None:
        now = time.monotonic()
        if isinstance(event, _SUMMARISED_AT_ONCE) or now - self._summary_tried >= _SUMMARY_SECONDS:
            self._summary_tried, self._summary_behind = now, True
            write_summary(self._folder, summarize(self._state.snapshot()))
            self._summary_behind = False
