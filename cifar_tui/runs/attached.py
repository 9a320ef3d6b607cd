"""`AttachedRun`: a run of another process, or one that has ended, followed from its folder."""

import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from cifar_tui.engine.config.schema import TrainConfig, build_config, read_config_file
from cifar_tui.engine.errors import ConfigError, UserError
from cifar_tui.engine.events import Alert, Message, Phase, PhaseChanged
from cifar_tui.engine.layout import CONFIG_FILE, EVENTS_FILE, LAST_FILE, SAMPLES_FILE
from cifar_tui.runs.control.client import send_request
from cifar_tui.runs.control.protocol import Request
from cifar_tui.runs.disk.event_log import EventReader
from cifar_tui.runs.disk.run_lock import Owner, owner_of
from cifar_tui.runs.disk.samples import read_samples
from cifar_tui.runs.recap import Recap, last_seen
from cifar_tui.runs.source import SAMPLE_BATCH, Sample, SampleBatch
from cifar_tui.runs.state import (
    Curves,
    LogLine,
    PendingRequest,
    RunSnapshot,
    RunState,
    is_pending,
    with_asked,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_FOLLOW_SECONDS = 0.1
_OWNER_SECONDS = 1.0


class AttachedRun:
    """Follows the event log of the run in `folder` and steers it through its control socket: a `RunSource`.

    A thread reads the log; commands are sent by threads of their own, and what comes of them stands in the
    log of the screen. Imports no torch.

    Raises:
        ConfigError: `folder` is not the folder of a run, or its settings cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        if not (folder / EVENTS_FILE).is_file():
            raise ConfigError(f"{folder} is not the folder of a run: it has no {EVENTS_FILE}")
        self.folder = folder
        self.config: TrainConfig = build_config(read_config_file(folder / CONFIG_FILE))
        self._state = RunState()
        self._reader = EventReader(folder)
        self._owner = owner_of(folder)
        self._loaded = threading.Event()
        self._closed = threading.Event()
        self._samples: tuple[NDArray[np.uint8], NDArray[np.int64]] | None = None
        self._away: list[str] = []
        self._asked: PendingRequest | None = None
        self._asking = threading.Lock()

    def start(self) -> None:
        """Begin to follow."""
        threading.Thread(target=self._follow, name="cifar-tui-follow", daemon=True).start()

    def close(self) -> None:
        """Follow no longer; the run goes on."""
        self._closed.set()

    @property
    def live(self) -> bool:
        """Whether a process owns the run now."""
        return self._owner.live

    @property
    def owner(self) -> Owner:
        """Whose the run is, as of a second ago."""
        return self._owner

    @property
    def ownership(self) -> str:
        """Whose the run is, for the title of the screen."""
        if self._owner.live:
            return f"attached to process {self._owner.pid}"
        return "crashed, read-only" if self._owner.crashed else "ended, read-only"

    @property
    def loaded(self) -> bool:
        """Whether the log that was there at the start is read."""
        return self._loaded.is_set()

    @property
    def away(self) -> list[str]:
        """What happened since the last look, in a few lines; complete once `loaded`."""
        return self._away

    def snapshot(self) -> RunSnapshot:
        """What the run looks like now; `Phase.CRASHED` where its process died."""
        snapshot = with_asked(self._state.snapshot(), self._asked)
        return self._with_crash(snapshot) if self.loaded else snapshot

    def _with_crash(self, snapshot: RunSnapshot) -> RunSnapshot:
        """`snapshot` as it is for a run that nobody may own any more."""
        if not self.live and snapshot.phase not in {Phase.DONE, Phase.FAILED}:
            message = f"its process died after step {snapshot.step:,}"
            if (self.folder / LAST_FILE).is_file():
                message += "; u resumes it"
            return replace(snapshot, phase=Phase.CRASHED, message=message, asked=None, seconds_left=None)
        return snapshot

    def curves(self) -> Curves:
        """The curves up to now."""
        return self._state.curves()

    def log_since(self, index: int) -> list[LogLine]:
        """The lines of the log from the one numbered `index` on."""
        return self._state.log_since(index)

    def request(self, request: Request) -> None:
        """Send `request` to the process that owns the run; an alert says if it refuses."""

        def ask() -> None:
            with self._asking:  # in order: what is pending next depends on what was agreed to
                pending = self._pending_after(request)
                try:
                    send_request(self.folder, request)
                except UserError as error:
                    self._state.apply(Alert(text=str(error)))
                else:
                    self._asked = pending

        threading.Thread(target=ask, name="cifar-tui-ask", daemon=True).start()

    def sample_batch(self, number: int) -> SampleBatch | None:
        """Batch `number` of the test images that the run keeps in its folder; None where it keeps none."""
        snapshot = self._state.snapshot()
        if self._samples is None:
            self._samples = read_samples(self.folder / SAMPLES_FILE)
        if self._samples is None or snapshot.data is None:
            return None
        images, targets = self._samples
        names, samples = snapshot.data.class_names, snapshot.samples
        count = -(-len(targets) // SAMPLE_BATCH)
        first = number % count * SAMPLE_BATCH
        return SampleBatch(
            number=number % count,
            count=count,
            step=samples.step if samples is not None else None,
            samples=tuple(
                Sample(
                    index=k,
                    image=images[k],
                    ground_truth=names[int(targets[k])],
                    predicted=names[samples.predicted[k]] if samples and k < len(samples.predicted) else None,
                    confidence=samples.confidences[k] if samples and k < len(samples.predicted) else None,
                )
                for k in range(first, min(first + SAMPLE_BATCH, len(targets)))
            ),
        )

    def _pending_after(self, request: Request) -> PendingRequest | None:
        """What is still pending once the run has agreed to `request`."""
        asked, phase = self._asked, self._state.snapshot().phase
        if request is Request.STOP or asked is PendingRequest.STOP:
            return PendingRequest.STOP
        if request is Request.PAUSE or (request is Request.TOGGLE_PAUSE and asked is None):
            return PendingRequest.PAUSE if is_pending(PendingRequest.PAUSE, phase) else None
        return None if request in {Request.RESUME, Request.TOGGLE_PAUSE} else asked

    def _see_what_came(self, before: Phase, now: Phase) -> None:
        """Forget what was asked where the run has done it, or did when the answer was still on its way."""
        asked = self._asked
        if asked is not None and not (is_pending(asked, before) and is_pending(asked, now)):
            self._asked = None

    def _follow(self) -> None:
        absence = Recap(since=last_seen(self.folder))
        self._read(absence)
        self._away = absence.lines(self._with_crash(self._state.snapshot()))
        self._loaded.set()
        looked = time.monotonic()
        while not self._closed.wait(_FOLLOW_SECONDS):
            if time.monotonic() - looked >= _OWNER_SECONDS:
                looked = time.monotonic()
                self._look_at_owner()
            self._read()

    def _read(self, absence: Recap | None = None) -> None:
        try:
            for event in self._reader.read():
                if absence is None and not self.live:
                    self._look_at_owner()  # before what it says shows as said by a dead one
                if absence is not None:
                    absence.note(event, self._state)
                if isinstance(event, PhaseChanged):
                    self._see_what_came(self._state.snapshot().phase, event.phase)
                self._state.apply(event)
        except OSError as error:
            self._state.apply(Alert(text=f"cannot read the log of {self.folder}: {error.strerror}"))
            self._closed.set()

    def _look_at_owner(self) -> None:
        owner = owner_of(self.folder)
        if owner != self._owner:
            self._read()  # its last words first
            self._owner = owner
            if owner.crashed:
                self._state.apply(Alert(text="the process that trained this run died"))
            elif owner.live:
                self._state.apply(Message(text="a process goes on with this run"))
