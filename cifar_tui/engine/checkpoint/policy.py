"""When a run is saved, and what happens if it cannot be."""

import contextlib
import math
import time
from collections.abc import Callable

from cifar_tui.engine.checkpoint.files import Checkpoint
from cifar_tui.engine.checkpoint.writer import CheckpointWriter
from cifar_tui.engine.control import RunControl
from cifar_tui.engine.disk.regular import is_regular
from cifar_tui.engine.disk.run_folder import RunFolder
from cifar_tui.engine.errors import RunFailedError
from cifar_tui.engine.events import Alert, CheckpointSaved, Event
from cifar_tui.engine.layout import LAST_FILE, WEIGHTS_FILE

RETRY_SECONDS = 5.0
"""How long after a failed save the next one is tried."""
_FINAL_RETRIES_SECONDS = 600.0


def create_saver(
    folder: RunFolder | None,
    *,
    make: Callable[[str], Checkpoint],
    emit: Callable[[Event], None],
    control: RunControl,
    minutes: float,
) -> "Saver | NoSaver":
    """Return what saves a run in `folder`, or nothing without one; for the arguments see `Saver`."""
    if folder is None:
        return NoSaver()
    return Saver(folder, make=make, emit=emit, control=control, minutes=minutes)


class NoSaver:
    """Saves nothing, in a process that does not own the run's folder."""

    due = False
    retry_due = False

    def try_save(self, reason: str, *, wait: bool = False) -> None:
        """Leave it to the process that owns the folder."""
        del reason, wait

    def save_final(self, reason: str) -> None:
        """Leave it to the process that owns the folder."""
        del reason

    def kept(self) -> str:
        """Say what is left of the run: only the owner of the folder knows."""
        return "rank 0 says what was saved"

    def drain(self) -> None:
        """Nothing is being written."""


class Saver:
    """Saves a run in the background, at intervals and on request.

    Args:
        folder: the run's folder.
        make: returns the current state as a checkpoint with the given reason; raises RunFailedError if it
            must not be saved.
        emit: receives every event, on any thread.
        control: notifies of a stop while waiting for disk space.
        minutes: minutes between checkpoints; 0 for none.
    """

    def __init__(
        self,
        folder: RunFolder,
        *,
        make: Callable[[str], Checkpoint],
        emit: Callable[[Event], None],
        control: RunControl,
        minutes: float,
    ) -> None:
        self._folder = folder
        self._make = make
        self._emit = emit
        self._control = control
        self._interval = 60 * minutes or math.inf
        self._writer = CheckpointWriter(folder, on_written=self._report_saved, on_failed=self._report_failed)
        self._due_at = time.monotonic() + self._interval
        self._failure = ""
        self._next_action = "The run continues; retrying"

    @property
    def due(self) -> bool:
        """Whether the interval has passed, or a failed save is to be retried."""
        return time.monotonic() >= self._due_at

    @property
    def retry_due(self) -> bool:
        """Whether the last save failed and is to be retried now."""
        return bool(self._failure) and self.due

    def try_save(self, reason: str, *, wait: bool = False) -> None:
        """Save; if that fails, emit an alert and return."""
        try:
            self._submit(reason)
        except RunFailedError as error:
            self._emit(Alert(text=str(error)))
            return
        if wait:
            with contextlib.suppress(RunFailedError):  # already reported
                self._writer.wait()

    def save_final(self, reason: str) -> None:
        """Save at the end of a run, and retry on a full disk for ten minutes or until another stop.

        Raises:
            RunFailedError: the run could not or must not be saved.
        """
        give_up_at = time.monotonic() + _FINAL_RETRIES_SECONDS
        stops = self._control.stops
        self._next_action = "Retrying for up to 10 minutes; stop again to give up now"
        while True:
            self._submit(reason)
            try:
                self._writer.wait()
            except RunFailedError:
                if time.monotonic() > give_up_at or self._control.wait_for_stop(stops, RETRY_SECONDS):
                    raise
            else:
                return

    def kept(self) -> str:
        """Say what is left of the run after a failure."""
        self._writer.drain()
        with contextlib.suppress(OSError):
            if is_regular(self._folder.path / LAST_FILE):
                return "the last checkpoint is kept"
        return "no checkpoint was saved"

    def drain(self) -> None:
        """Wait until nothing is being written."""
        self._writer.drain()

    def _submit(self, reason: str) -> None:
        self._due_at = time.monotonic() + self._interval
        self._writer.submit(self._make(reason))

    def _report_saved(self, checkpoint: Checkpoint) -> None:
        self._failure = ""
        path = str(self._folder.path / WEIGHTS_FILE)
        self._emit(CheckpointSaved(path=path, step=checkpoint.step, reason=checkpoint.reason))

    def _report_failed(self, error: RunFailedError) -> None:
        self._due_at = time.monotonic() + RETRY_SECONDS
        if str(error) != self._failure:
            self._failure = str(error)
            self._emit(Alert(text=f"{error}. {self._next_action}"))
