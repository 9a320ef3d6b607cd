"""When a training saves itself, and what is said where it cannot."""

import contextlib
import math
import time
from collections.abc import Callable
from pathlib import Path

from cifar_tui.engine.checkpoint.files import Checkpoint
from cifar_tui.engine.checkpoint.writer import CheckpointWriter
from cifar_tui.engine.control import RunControl
from cifar_tui.engine.errors import RunFailedError
from cifar_tui.engine.events import Alert, CheckpointSaved, Event
from cifar_tui.engine.layout import WEIGHTS_FILE

_RETRY_SECONDS = 20.0
_LAST_RETRY_SECONDS = 5.0
_LAST_RETRIES_SECONDS = 600.0


class Saver:
    """Saves the training that `make` gives, in a thread beside it.

    Args:
        folder: the run's folder.
        make: the training as it is now, with the reason it is given; raises RunFailedError if it must not
            be saved.
        emit: takes every event, on any thread.
        control: tells of a stop while a full disk is waited for.
        minutes: between two saves by the clock; 0 for none.
    """

    def __init__(
        self,
        folder: Path,
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
        self._minutes = minutes
        self._writer = CheckpointWriter(folder, on_written=self._say_saved, on_failed=self._say_not_saved)
        self._due_at = self._next()
        self._complaint = ""

    @property
    def due(self) -> bool:
        """Whether it is time to save by the clock, or to try again."""
        return time.monotonic() >= self._due_at

    @property
    def retry_due(self) -> bool:
        """Whether the last attempt failed, and it is time for another."""
        return bool(self._complaint) and self.due

    def try_save(self, reason: str, *, wait: bool = False) -> None:
        """Save in the middle of a run; where that fails, say so and let it go on."""
        try:
            self._submit(reason)
        except RunFailedError as error:
            self._emit(Alert(text=str(error)))
            return
        if wait:
            with contextlib.suppress(RunFailedError):  # it was said
                self._writer.wait()

    def save_final(self, reason: str) -> None:
        """Save what would be lost otherwise: on a full disk, wait for room until told to stop again.

        Raises:
            RunFailedError: it could not be saved for ten minutes, or must not be.
        """
        give_up = time.monotonic() + _LAST_RETRIES_SECONDS
        stops = self._control.stops
        while True:
            self._submit(reason)
            try:
                self._writer.wait()
            except RunFailedError:
                if time.monotonic() > give_up or self._control.wait_for_stop(stops, _LAST_RETRY_SECONDS):
                    raise
            else:
                return

    def drain(self) -> None:
        """Wait until nothing is being written any more."""
        self._writer.drain()

    def _submit(self, reason: str) -> None:
        self._due_at = self._next()
        self._writer.submit(self._make(reason))

    def _next(self) -> float:
        return time.monotonic() + 60 * self._minutes if self._minutes else math.inf

    def _say_saved(self, checkpoint: Checkpoint) -> None:
        self._complaint = ""
        path = str(self._folder / WEIGHTS_FILE)
        self._emit(CheckpointSaved(path=path, step=checkpoint.step, reason=checkpoint.reason))

    def _say_not_saved(self, error: RunFailedError) -> None:
        self._due_at = time.monotonic() + _RETRY_SECONDS
        if str(error) != self._complaint:
            self._complaint = str(error)
            self._emit(Alert(text=f"{error}; it is tried again, and what was saved before is kept"))
