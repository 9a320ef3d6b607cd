"""Write checkpoints in a background thread, so that training does not wait for the disk."""

import threading
from collections.abc import Callable
from dataclasses import replace

from cifar_tui.engine.checkpoint.files import Checkpoint, write_checkpoint
from cifar_tui.engine.disk.run_folder import RunFolder
from cifar_tui.engine.errors import RunFailedError


class CheckpointWriter:
    """Writes the latest checkpoint submitted; an older one that is still waiting is dropped.

    Args:
        folder: the run's folder.
        on_written: called in the writer thread after each checkpoint written.
        on_failed: called in the writer thread after each failure.
    """

    def __init__(
        self,
        folder: RunFolder,
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
        """Queue `checkpoint` and return at once."""
        with self._changed:
            if checkpoint.best is None:
                checkpoint = replace(checkpoint, best=self._unwritten_best)
            self._unwritten_best = checkpoint.best
            self._waiting = checkpoint
            if self._writing:
                return
            self._writing = True
        try:
            threading.Thread(target=self._write_all, name="cifar-tui-checkpoints", daemon=True).start()
        except RuntimeError:  # no memory for another thread: this one writes
            self._write_all()

    def wait(self) -> None:
        """Wait until everything submitted is written.

        Raises:
            RunFailedError: the latest checkpoint could not be written.
        """
        self.drain()
        if self._error is not None:
            raise self._error

    def drain(self) -> None:
        """Wait until nothing is being written, whether it failed or not."""
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
            try:
                with self._folder.saving() as folder:
                    write_checkpoint(folder, checkpoint)
            except Exception as error:  # noqa: BLE001 - wait() must return after any defect
                failure = error if isinstance(error, RunFailedError) else self._unexpected(error)
                self._error = failure
                self._on_failed(failure)
                continue
            self._error = None
            with self._changed:
                if self._unwritten_best is checkpoint.best:
                    self._unwritten_best = None
            self._on_written(checkpoint)

    def _unexpected(self, error: Exception) -> RunFailedError:
        reason, folder = f"{type(error).__name__}: {error}", self._folder.path
        return RunFailedError(f"cannot save in '{folder}': {reason}; check the folder and its disk")
