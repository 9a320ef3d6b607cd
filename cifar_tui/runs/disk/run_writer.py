"""Own a run: hold its lock and its folder, write its event log and summary, listen on its control socket."""

import contextlib
import threading
import time
from collections.abc import Callable
from pathlib import Path

from cifar_tui.engine.atomic import disk_errors_explained, remove_leftovers
from cifar_tui.engine.disk.run_folder import RunFolder
from cifar_tui.engine.distributed.launch import launched
from cifar_tui.engine.errors import UserError
from cifar_tui.engine.events import (
    Alert,
    CheckpointSaved,
    Evaluated,
    Event,
    Message,
    PhaseChanged,
    RunEnded,
    TrainingFinished,
)
from cifar_tui.engine.layout import EVENTS_FILE
from cifar_tui.runs.control.protocol import Request
from cifar_tui.runs.control.server import ControlServer
from cifar_tui.runs.disk.event_log import EventLog
from cifar_tui.runs.disk.job import write_job
from cifar_tui.runs.disk.run_lock import BEAT_SECONDS, RunLock
from cifar_tui.runs.disk.summary import summarize, write_summary
from cifar_tui.runs.progress import progress_of
from cifar_tui.runs.state import RunState

_SUMMARY_SECONDS = 5.0
_SUMMARISED_AT_ONCE = (PhaseChanged, Evaluated, CheckpointSaved, TrainingFinished, RunEnded)
_WATCH_SECONDS = 1.0
_CLOSE_SECONDS = 2.0


class RunWriter:
    """Own the run in `folder` from `start` until `close`.

    A thread keeps the lock fresh and follows the folder: one that is renamed stays the run's, one that is
    removed is made again, with its results. A run without a control socket is followed, but not steered, from
    other processes.

    Args:
        folder: the run's folder.
        state: the run's state, from which the summary is written.
        answer: does what another process requests, in the socket's thread; returns the reason for a refusal.
        tell: takes an event for the user, in any thread.
        refill: writes what else belongs into a folder that was made again; raises OSError or UserError.
        moved: takes the folder where it was moved or made again, in the thread.

    Attributes:
        folder: the run's folder.

    Raises:
        ConfigError: another process owns the run.
        RunFailedError: a file of the run cannot be written.
    """

    def __init__(
        self,
        folder: Path,
        state: RunState,
        answer: Callable[[Request], str | None],
        *,
        tell: Callable[[Event], None],
        refill: Callable[[Path], None],
        moved: Callable[[Path], None],
    ) -> None:
        self._state = state
        self._answer = answer
        self._tell = tell
        self._refill = refill
        self._moved = moved
        self._appending = threading.Lock()
        self._summary_tried = 0.0
        self._summary_behind = False
        self._server: ControlServer | None = None
        self._closed = threading.Event()
        self._look = threading.Event()
        self._watching = threading.Thread(target=self._watch, name="cifar-tui-folder", daemon=True)
        self._homeless = False
        self._locked = True
        self._gone = self._told = ""
        with contextlib.ExitStack() as undo:
            with disk_errors_explained(f"write to '{folder}'"):
                self.folder = RunFolder(folder)
                self._lock = RunLock(folder)
                self._lock.acquire()
                undo.callback(self._lock.release)
                remove_leftovers(folder)
                write_job(folder, launched())
            with disk_errors_explained(f"write the event log '{folder / EVENTS_FILE}'"):
                self._event_log = EventLog(folder)
                self.folder.hold()
            undo.pop_all()
        self._shown_path = folder

    def start(self) -> None:
        """Listen on the control socket, and follow the folder."""
        self._listen()
        self._watching.start()

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
        self._closed.set()
        self._look.set()
        if self._watching.is_alive():
            self._watching.join(_CLOSE_SECONDS)  # a heartbeat may hang on a network file system
        if not self._watching.is_alive():
            self._follow_folder()  # it may have been removed since the thread looked
        if self._server is not None:
            self._server.close()
        self.folder.let_go()
        try:
            self._event_log.close()
        finally:
            self._lock.release()

    def _listen(self) -> None:
        """Open the control socket; a run without one continues."""
        try:
            self._server = ControlServer(
                self.folder, self._answer, progress=lambda: progress_of(self._state.snapshot())
            )
        except OSError as error:
            self._server = None
            self._tell(
                Alert(
                    text=f"cannot listen on the control socket in '{self.folder.path}': "
                    f"{error.strerror or error}. The run continues; other processes can view it, but not "
                    "steer it"
                )
            )
        else:
            self._server.start()

    def _update_summary(self, event: Event) -> None:
        now = time.monotonic()
        if isinstance(event, _SUMMARISED_AT_ONCE) or now - self._summary_tried >= _SUMMARY_SECONDS:
            self._summary_tried, self._summary_behind = now, True
            try:
                write_summary(self.folder.path, summarize(self._state.snapshot()))
            except FileNotFoundError:
                if not self.folder.removed:
                    raise
                self._look.set()  # which says that it was removed, and makes it again
                return
            self._summary_behind = False

    def _watch(self) -> None:
        beat_at = time.monotonic() + BEAT_SECONDS
        while not self._closed.is_set():
            self._follow_folder()
            if time.monotonic() >= beat_at:
                with contextlib.suppress(OSError):  # the next beat may succeed
                    self._lock.beat()
                beat_at = time.monotonic() + BEAT_SECONDS
            self._look.wait(_WATCH_SECONDS)
            self._look.clear()

    def _follow_folder(self) -> None:
        """Say where the folder is now if it was moved; make it again if it was removed."""
        if self.folder.removed or self._homeless or self._lacks_files():
            self._make_folder_again()
            return
        path = self.folder.path
        if path != self._shown_path:
            self._shown_path = path
            self._moved(path)
            self._tell(Message(text=f"the run's folder was moved; the run is saved in '{path}' now"))

    def _lacks_files(self) -> bool:
        """Whether files were removed without which the folder is no run, or not this process's."""
        with contextlib.suppress(OSError):
            return self._lock.removed or self._event_log.removed
        return False

    def _make_folder_again(self) -> None:
        if not self._homeless:
            gone = "its folder" if self.folder.removed else "files in its folder"
            self._gone = f"somebody removed {gone} '{self._shown_path}'"
        self._homeless = True
        try:
            if self.folder.removed:
                self.folder.remake()
                self._locked = False
            self.folder.put_back()
            path = self.folder.path
            if not self._locked or self._lock.removed:
                self._locked = False
                with contextlib.suppress(OSError):
                    self._lock.release()
                self._lock = RunLock(path)
                self._lock.acquire()
                self._locked = True
            self._event_log.move_to(path)
            self._refill(path)
            with self._appending:
                write_summary(path, summarize(self._state.snapshot()))
        except (OSError, UserError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            text = f"{self._gone}, which cannot be made again: {reason}. The run continues; retrying"
            if text != self._told:
                self._told = text
                self._tell(Alert(text=text))
            return
        self._homeless, self._told, self._shown_path = False, "", path
        if self._server is not None:
            self._server.close()
        self._listen()
        self._moved(path)
        self._tell(Alert(text=f"{self._gone}: made again as '{path}', the run continues and is saved there"))
