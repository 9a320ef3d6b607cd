"""`AttachedRun`: a run of another process, or one that has ended, followed through its folder."""

import contextlib
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from cifar_tui.engine.disk.regular import is_regular
from cifar_tui.engine.disk.run_folder import RunFolder
from cifar_tui.engine.errors import ConfigError, UserError
from cifar_tui.engine.events import (
    Alert,
    Message,
    Phase,
    PhaseChanged,
    Resumed,
    TrainingStarted,
)
from cifar_tui.engine.layout import EVENTS_FILE, LAST_FILE
from cifar_tui.runs.control.client import ask_progress, send_request
from cifar_tui.runs.control.protocol import Request
from cifar_tui.runs.curves import Curves
from cifar_tui.runs.disk.config import read_run_config
from cifar_tui.runs.disk.event_log import EventReader
from cifar_tui.runs.disk.run_lock import owner_of
from cifar_tui.runs.disk.store import read_name
from cifar_tui.runs.evaluated import StoredEvaluation
from cifar_tui.runs.log_line import LogLine
from cifar_tui.runs.progress import with_newest_points, with_progress
from cifar_tui.runs.recap import Recap, last_seen
from cifar_tui.runs.results import Results
from cifar_tui.runs.source import SampleBatch, SavedWeights, saved_weights
from cifar_tui.runs.state import PendingRequest, RunProgress, RunSnapshot, RunState, is_pending, with_pending

if TYPE_CHECKING:
    from cifar_tui.engine.config.schema import TrainConfig

_READ_SECONDS = 0.1
_OWNER_SECONDS = 1.0
_PROGRESS_SECONDS = 0.2
_PROGRESS_TIMEOUT, _PROGRESS_RETRY_SECONDS = 0.5, 2.0


class AttachedRun:
    """A run that is shown from its event log and steered through its control socket: a `RunSource`.

    One thread reads the folder and asks the owner for its progress, so that no screen waits for a slow disk;
    each request is sent by a thread, and a refusal becomes an alert in the log of the screen. Imports no
    torch.

    Args:
        folder: the run's folder.
        images: whether to read the test images and predictions, too.

    Raises:
        ConfigError: `folder` is not the folder of a run, or its settings cannot be read.
    """

    def __init__(self, folder: Path, *, images: bool = True) -> None:
        try:
            self._folder = RunFolder(folder)
            has_log = is_regular(folder / EVENTS_FILE)
        except OSError as error:
            raise ConfigError(
                f"cannot read the run folder '{folder}': {error.strerror}; check that it is readable"
            ) from None
        if not has_log:
            raise ConfigError(f"'{folder}' is not a run folder ({EVENTS_FILE} is missing or no regular file)")
        self.config: TrainConfig = read_run_config(folder)
        self._state = RunState()
        self._reader = EventReader(folder)
        self._owner = owner_of(folder)
        self._loaded = threading.Event()
        self._closed = threading.Event()
        self._progress: RunProgress | None = None
        self._progress_changes = 0
        self._progress_due = 0.0
        self._stored = StoredEvaluation()
        self._with_images = images
        self._recap: list[str] = []
        self._pending: PendingRequest | None = None
        self._sending = threading.Lock()
        self._removal_told = False

    def start(self) -> None:
        """Start to follow the log."""
        threading.Thread(target=self._follow, name="cifar-tui-follow", daemon=True).start()

    def close(self) -> None:
        """Stop following; the run itself continues."""
        self._closed.set()

    @property
    def folder(self) -> Path:
        """The run's folder, where it is now."""
        return self._folder.path

    @property
    def live(self) -> bool:
        """Whether a process owns the run."""
        return self._owner.live

    @property
    def name(self) -> str:
        """The name that the user gave the run, or ""."""
        return read_name(self.folder)

    @property
    def ownership(self) -> str:
        """Which process owns the run, for the title of the screen."""
        if self._owner.live:
            return f"attached to process {self._owner.pid}"
        return ""

    @property
    def can_evaluate_saved(self) -> bool:
        """Whether the run has ended and left weights."""
        return not self.live and self._state.snapshot().checkpoint is not None

    @property
    def loaded(self) -> bool:
        """Whether what was logged and predicted before `start` has been read."""
        return self._loaded.is_set()

    @property
    def recap(self) -> list[str]:
        """What happened since the run was last viewed, in a few lines; complete once `loaded`."""
        return self._recap

    def snapshot(self) -> RunSnapshot:
        """Return the state of the run; its phase is `CRASHED` if its process died."""
        changes = self._progress_changes  # first: what is newer than it says is shown again
        snapshot, progress = self._state.snapshot(), self._progress
        if progress is not None:
            snapshot = with_progress(snapshot, progress)
        if changes:
            version, curves_version = snapshot.version + changes, snapshot.curves_version + changes
            snapshot = replace(snapshot, version=version, curves_version=curves_version)
        snapshot = with_pending(snapshot, self._pending)
        return self._with_crash(snapshot) if self.loaded else snapshot

    def curves(self) -> Curves:
        """Return the curves of the charts."""
        curves, progress = self._state.curves(), self._progress
        return with_newest_points(curves, progress) if progress is not None else curves

    def log_since(self, index: int) -> list[LogLine]:
        """Return the log lines from number `index` on."""
        return self._state.log_since(index)

    def request(self, request: Request) -> None:
        """Send `request` to the process that owns the run; a refusal becomes an alert."""
        threading.Thread(target=self._send, args=(request,), name="cifar-tui-request", daemon=True).start()

    def sample_batch(self, number: int, among: Sequence[int] | None = None) -> SampleBatch | None:
        """Return batch `number` of the test images; see `RunSource.sample_batch`."""
        return self._stored.sample_batch(number, among, self._state.snapshot())

    def wrong_samples(self) -> list[int]:
        """Return the positions in the test set of the images whose newest prediction is wrong."""
        return self._stored.wrong_samples(self._state.snapshot())

    def results(self) -> Results | None:
        """Return the latest evaluation, the same object until there is another; None before the first."""
        return self._stored.results

    def saved_weights(self) -> SavedWeights | None:
        """Return the weights in the run's folder, the latest ones; None before the first are saved."""
        return saved_weights(self.folder, self._state.snapshot(), self.config)

    def _with_crash(self, snapshot: RunSnapshot) -> RunSnapshot:
        if self.live or snapshot.phase in {Phase.DONE, Phase.FAILED}:
            return snapshot
        message = f"the process died after step {snapshot.step:,}"
        with contextlib.suppress(OSError):
            if is_regular(self.folder / LAST_FILE):
                message += "; the run can be resumed"
        return replace(snapshot, phase=Phase.CRASHED, message=message, pending=None, seconds_left=None)

    def _send(self, request: Request) -> None:
        with self._sending:  # in order: a toggle depends on what was accepted before
            pending = self._pending_after(request)
            try:
                send_request(self.folder, request)
            except UserError as error:
                self._state.apply(Alert(text=str(error)))
            else:
                self._pending = pending

    def _pending_after(self, request: Request) -> PendingRequest | None:
        """Return what is pending once the owner has accepted `request`."""
        pending = self._pending
        if request is Request.STOP or pending is PendingRequest.STOP:
            return PendingRequest.STOP
        if request is Request.PAUSE or (request is Request.TOGGLE_PAUSE and pending is None):
            return PendingRequest.PAUSE if is_pending(PendingRequest.PAUSE, self._state.snapshot()) else None
        return None if request in {Request.RESUME, Request.TOGGLE_PAUSE} else pending

    def _forget_pending(self, phase: Phase) -> None:
        """Forget the pending request if it has taken effect, now that the run is about to change to `phase`.

        The old phase is checked as well: the owner's answer may arrive after the event that it led to.
        """
        pending, now = self._pending, self._state.snapshot()
        if pending and not (is_pending(pending, now) and is_pending(pending, replace(now, phase=phase))):
            self._pending = None

    def _follow(self) -> None:
        recap = Recap(since=last_seen(self.folder))
        self._read(recap)
        self._recap = recap.lines(self._with_crash(self._state.snapshot()))
        self._read_images()
        self._loaded.set()
        checked = time.monotonic()
        while not self._closed.wait(_READ_SECONDS):
            if self._folder.removed and not self._find_folder_again():
                continue
            if time.monotonic() - checked >= _OWNER_SECONDS:
                checked = time.monotonic()
                self._check_owner()
            if self.live and time.monotonic() >= self._progress_due:
                self._ask_progress()
            self._read()
            self._read_images()

    def _read_images(self) -> None:
        if self._with_images:
            self._stored.update(self.folder, self._state.snapshot())

    def _find_folder_again(self) -> bool:
        """Follow the folder that the owner made in place of a removed one; false while there is none."""
        path = self._folder.path
        try:
            if is_regular(path / EVENTS_FILE):
                self._folder = RunFolder(path)
                self._reader.folder = path
                return True
        except OSError:  # there is something else by now
            pass
        if not self._removal_told:
            self._removal_told = True
            self._state.apply(Alert(text=f"the run's folder '{path}' was removed"))
        return False

    def _ask_progress(self) -> None:
        """Ask the owner for its progress; one that does not answer is asked less often."""
        self._progress_due = time.monotonic() + _PROGRESS_SECONDS
        try:
            progress = ask_progress(self.folder, timeout=_PROGRESS_TIMEOUT)
        except UserError:
            self._progress_due = time.monotonic() + _PROGRESS_RETRY_SECONDS
        else:
            self._use_progress(progress)

    def _use_progress(self, progress: RunProgress | None) -> None:
        if progress != self._progress:
            self._progress = progress
            self._progress_changes += 1

    def _read(self, recap: Recap | None = None) -> None:
        self._reader.folder = self.folder
        try:
            for event in self._reader.read():
                if recap is None and not self.live:
                    self._check_owner()  # first, or the event would seem to come from a process that died
                if recap is not None:
                    recap.note(event, self._state)
                if isinstance(event, PhaseChanged):
                    self._forget_pending(event.phase)
                self._state.apply(event)
                if isinstance(event, TrainingStarted | Resumed):
                    self._use_progress(None)  # it may be of steps that are trained again
        except OSError as error:
            # a removed folder is said; its process makes it, or a removed log, again
            if self._folder.removed or (isinstance(error, FileNotFoundError) and self.live):
                return
            reason = f"{error.strerror}; make the folder readable"
            self._state.apply(Alert(text=f"cannot read the event log in '{self.folder}': {reason}"))
            self._closed.set()

    def _check_owner(self) -> None:
        owner = owner_of(self.folder)
        if owner != self._owner:
            if self.live:
                self._read()  # the last events of the former owner
            self._owner = owner
            self._use_progress(None)
            if owner.crashed:
                self._state.apply(Alert(text="the training process died"))
            elif owner.live:
                self._state.apply(Message(text="another process has taken over this run"))
