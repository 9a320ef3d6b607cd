"""What makes a run this process's own: its lock, its event log, its summary and its control socket."""

import contextlib
import threading
from collections.abc import Callable
from pathlib import Path

from cifar_tui.engine.atomic import remove_leftovers
from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.errors import RunFailedError
from cifar_tui.engine.events import CheckpointSaved, Event
from cifar_tui.engine.layout import BEST_FILE, CONFIG_FILE, LAST_FILE, REPORT_FILE, SAMPLES_FILE, WEIGHTS_FILE
from cifar_tui.runs.control.protocol import Request
from cifar_tui.runs.control.server import ControlServer
from cifar_tui.runs.disk.event_log import EventLog
from cifar_tui.runs.disk.run_lock import BEAT_SECONDS, RunLock
from cifar_tui.runs.disk.summary import SummaryWriter

_WRITTEN_ATOMICALLY = (BEST_FILE, CONFIG_FILE, LAST_FILE, REPORT_FILE, SAMPLES_FILE, WEIGHTS_FILE)


class RunWriter:
    """Owns the run in `folder` from now until `close`.

    Args:
        folder: the run's folder.
        config: its settings.
        answer: does what another process asks for through the socket, in the socket's thread; returns a
            sentence where it is refused.

    Raises:
        ConfigError: another process owns the run.
        RunFailedError: a file of it cannot be written.
    """

    def __init__(self, folder: Path, config: TrainConfig, answer: Callable[[Request], str | None]) -> None:
        self._appending = threading.Lock()
        self._lock = RunLock(folder)
        self._lock.acquire()
        with contextlib.ExitStack() as undo:
            undo.callback(self._lock.release)
            try:
                for name in _WRITTEN_ATOMICALLY:
                    remove_leftovers(folder, name)
                self._event_log = EventLog(folder)
                undo.callback(self._event_log.close)
                self._summary = SummaryWriter(folder, config)
                self._server = ControlServer(folder, answer, beat=self._lock.beat, beat_seconds=BEAT_SECONDS)
                self._server.start()
            except OSError as error:
                raise RunFailedError(f"cannot write in {folder}: {error.strerror}") from error
            undo.pop_all()

    def append(self, event: Event) -> None:
        """Append `event` to the event log and to the summary; safe to use from several threads.

        Raises:
            OSError: one of them cannot be written now.
        """
        with self._appending:
            try:
                self._event_log.append(event)
            finally:
                self._summary.apply(event)
        if isinstance(event, CheckpointSaved):
            self._event_log.sync()  # what led to a checkpoint is as durable as the checkpoint

    @property
    def behind(self) -> bool:
        """Whether something is not written yet that should be."""
        return self._event_log.behind or self._summary.behind

    def close(self) -> None:
        """Give the run back.

        Raises:
            OSError: the end of the event log cannot be written.
        """
        self._server.close()
        try:
            self._event_log.close()
        finally:
            self._lock.release()
