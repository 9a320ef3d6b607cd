"""Writes checkpoints in a thread of its own, so that training does not wait for the disk."""

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from cifar_tui.engine.checkpoint.files import Checkpoint, write_checkpoint
from cifar_tui.engine.errors import RunFailedError


class CheckpointWriter:
    """Writes the newest checkpoint it was given; an older one that still waits is passed over.

    Args:
        folder: the run's folder.
        on_written: told in the writer's thread of every checkpoint that is on the disk.
        on_failed: told in the writer's thread of every one that could not be written.
    """

    def __init__(
        self,
        folder: Path,
        *,
        on_written: Callable[[Checkpoint], None],
        on_failed: Callable[[RunFailedError], None],
    ) -> None:
        self._folder = folder
        self._on_written = on_written
        self._on_failed = on_failed
        self._changed = threading.Condition()
        self._waiting: Checkpoint | None = None
        self._unwritten_best: bytes | None = None
        self._writing = False
        self._error: RunFailedError | None = None

    def submit(self, checkpoint: Checkpoint) -> None:
        """Have `checkpoint` written; returns at once."""
        with self._changed:
            if checkpoint.best is None:
                checkpoint = replace(checkpoint, best=self._unwritten_best)
            self._unwritten_best = checkpoint.best
            self._waiting = checkpoint
            if not self._writing:
                threading.Thread(target=self._write_all, name="cifar-tui-checkpoints", daemon=True).start()
                self._writing = True

    def wait(self) -> None:
        """Wait until all that was given is written.

        Raises:
            RunFailedError: the newest could not be written.
        """
        with self._changed:
            self._changed.wait_for(lambda: not self._writing)
            if self._error is not None:
                raise self._error

    def drain(self) -> None:
        """Wait until nothing is being written any more."""
        with self._changed:
            self._changed.wait_for(lambda: not self._writing)

    def _write_all(self) -> None:
        while True:
            with self._changed:
                checkpoint, self._waiting = self._waiting, None
                if checkpoint is None:
                    self._writing = False
                    self._changed.notify_all()
                    return
            error: RunFailedError | None = None
            try:
                write_checkpoint(self._folder, checkpoint)
            except RunFailedError as failure:
                error = failure
            except Exception as failure:  # noqa: BLE001 - who waits must not wait for ever
                error = RunFailedError(f"cannot save in {self._folder}: {type(failure).__name__}: {failure}")
            self._error = error
            if error is None:
                with self._changed:
                    if self._unwritten_best is checkpoint.best:
                        self._unwritten_best = None
                self._on_written(checkpoint)
            else:
                self._on_failed(error)
