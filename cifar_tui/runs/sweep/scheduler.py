"""Work through the plan of a sweep: start its runs, stop hopeless ones, continue after any interruption."""

import contextlib
import os
import signal
import socket
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from cifar_tui.engine.errors import ConfigError, RunFailedError
from cifar_tui.engine.events import Validated
from cifar_tui.runs.disk.event_log import EventReader
from cifar_tui.runs.disk.run_lock import RunLock, owner_of
from cifar_tui.runs.listing import list_run
from cifar_tui.runs.sweep.asha import find_hopeless
from cifar_tui.runs.sweep.plan import SweepPlan
from cifar_tui.runs.sweep.processes import AdoptedProcess, MemberProcess, Workers, is_at_work, worker_of
from cifar_tui.runs.sweep.results import ENDED, FAILED, Member, member_of
from cifar_tui.runs.sweep.store import (
    Outcome,
    member_folders,
    output_file,
    read_outcomes,
    sweep_command,
    write_outcomes,
)
from cifar_tui.terminal.signals import signal_name

_SIGNALLED = 128
"""Exit codes from here on are those of a process that a signal ended."""

_PREFIX = "cifar-tui: "
_MOST_OUTPUT = 1 << 16


class SweepScheduler:
    """Work through the plan of the sweep in `folder`, a little with each `step`.

    Runs that another scheduler has started and that are still at work are followed, those that are done
    stay, those that were interrupted are resumed. One process at a time may work on a sweep.

    Args:
        folder: the folder of the sweep.
        plan: its plan.
        workers: what the runs are started on.
        retry_failed: whether to start failed runs again.
        say: takes a sentence about a run that has ended or cannot be started.
    """

    def __init__(
        self,
        folder: Path,
        plan: SweepPlan,
        workers: Workers,
        *,
        retry_failed: bool = False,
        say: Callable[[str], None],
    ) -> None:
        self.folder = folder
        self.plan = plan
        self._checkpoints = folder.parent.parent
        self._workers = workers
        self._say = say
        self._lock = RunLock(folder)
        self._outcomes: dict[int, Outcome] = {}
        self._folders: dict[int, Path] = {}
        self._done: dict[int, Member] = {}  # which need not be read every second
        self._at_work: dict[int, tuple[int, MemberProcess]] = {}
        self._readers: dict[int, EventReader] = {}
        self._curves: dict[int, dict[int, float]] = {}
        self._retry_failed = retry_failed
        self._waiting: deque[int] = deque()
        self._stopping = False

    @property
    def ended(self) -> bool:
        """Whether no run is at work, and none is to be started."""
        return not self._at_work and (self._stopping or not self._waiting)

    @property
    def at_work(self) -> int:
        """The number of runs at work."""
        return len(self._at_work)

    def take_over(self) -> None:
        """Become the scheduler of the sweep, and look what is to be done.

        Raises:
            ConfigError: another process is.
            RunFailedError: the folder cannot be written.
        """
        try:
            self._lock.acquire()
        except ConfigError:
            owner = owner_of(self.folder)
            raise ConfigError(
                f"sweep {self.plan.name!r} is already running in process {owner.pid} on {owner.host}; "
                f"see it with: {sweep_command('--show', self.folder)}"
            ) from None
        self._outcomes = read_outcomes(self.folder)
        members = self.members()
        again = {number for number, member in members.items() if member.status == "failed"}
        self._adopt()
        settled = set(self._at_work) | (set() if self._retry_failed else again)
        self._waiting.extend(
            number
            for number, member in members.items()
            if member.status not in ENDED and number not in settled
        )
        if self._retry_failed and again:
            for number in again:
                self._outcomes.pop(number, None)
            write_outcomes(self.folder, self._outcomes)  # a retry that is interrupted has not failed

    def release(self) -> None:
        """Leave the sweep to others."""
        self._lock.release()

    def beat(self) -> None:
        """Keep the lock fresh; every few seconds.

        Raises:
            OSError: it cannot be touched.
        """
        self._lock.beat()

    def stop(self) -> None:
        """Start no more runs, and have those at work save and end."""
        self._stopping = True

    def step(self) -> None:
        """Note which runs have ended, stop hopeless ones, and start runs on the workers that are free."""
        for number, (_, process) in list(self._at_work.items()):
            code = process.exit_code()
            if code is not None:
                del self._at_work[number]
                self._note_end(number, code)
                if isinstance(process, AdoptedProcess) and self.members()[number].status == "crashed":
                    self._waiting.appendleft(number)  # as if known to be dead when this one took over
        if self._stopping:
            for _, process in self._at_work.values():
                process.stop()
            return
        if self.plan.eta:
            self._stop_hopeless()
        busy = {worker for worker, _ in self._at_work.values()}
        for worker in range(self._workers.count):
            if worker not in busy and len(self._at_work) < self._workers.count and self._waiting:
                self._start(self._waiting.popleft(), worker)

    def members(self) -> dict[int, Member]:
        """Return all runs with their status."""
        self._folders = member_folders(self._checkpoints, self.plan.name, self._folders)
        done = {
            number: member
            for number, member in self._done.items()
            if member.run is not None and self._folders.get(number) == member.run.folder
        }
        members = list_members(self.folder, self.plan, self._folders, self._outcomes, done)
        self._done = {
            number: member
            for number, member in members.items()
            if member.status == "done" and number not in self._at_work
        }
        return members

    def _adopt(self) -> None:
        """Follow the runs that are at work already."""
        for number in self.plan.numbers:
            if self._lives(number):
                process = AdoptedProcess(partial(self._lives, number), partial(self._folder_of, number))
                self._at_work[number] = (worker_of(self.folder, number), process)

    def _lives(self, number: int) -> bool:
        folder = self._folders.get(number)
        return is_at_work(self.folder, number) or (folder is not None and owner_of(folder).live)

    def _start(self, number: int, worker: int) -> None:
        try:
            process = self._workers.start(number, worker)
        except OSError as error:
            self._note(number, Outcome(error=f"cannot start its process: {error.strerror}"))
        else:
            self._at_work[number] = (worker, process)

    def _note_end(self, number: int, code: int) -> None:
        """Say how run `number` ended, and note what its folder does not say."""
        member = self.members()[number]
        name = self.plan.run_name(number)
        if 0 < code < _SIGNALLED and member.status not in FAILED:
            self._note(number, Outcome(error=self._last_words(number)))
            return
        killed = f", killed by {signal_name(-code)}" if code < 0 else ""
        problem = f": {member.error}" if member.error else killed
        how = "interrupted before it had a folder" if member.run is None else member.status
        self._say(f"run {name} ({self.plan.described(number)}): {how}{problem}")

    def _note(self, number: int, outcome: Outcome) -> None:
        self._outcomes[number] = outcome
        try:
            write_outcomes(self.folder, self._outcomes)
        except RunFailedError as error:  # written with the next one; the other runs need not stop
            self._say(str(error))
        what = f"failed: {outcome.error}"
        if outcome.hopeless_at:
            what = f"hopeless after epoch {outcome.hopeless_at}, stopping it"
        self._say(f"run {self.plan.run_name(number)} ({self.plan.described(number)}): {what}")

    def _last_words(self, number: int) -> str:
        """Return the last sentence that the process of run `number` printed."""
        try:
            with output_file(self.folder, number).open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - _MOST_OUTPUT))
                lines = file.read(_MOST_OUTPUT).decode(errors="replace").split("\n")
        except OSError:
            lines = []
        words = [line.removeprefix(_PREFIX).strip() for line in lines if line.strip()]
        return words[-1] if words else f"see '{output_file(self.folder, number)}'"

    def _folder_of(self, number: int) -> Path | None:
        self._folders = member_folders(self._checkpoints, self.plan.name, self._folders)
        return self._folders.get(number)

    def _stop_hopeless(self) -> None:
        self._folders = member_folders(self._checkpoints, self.plan.name, self._folders)
        for number, folder in self._folders.items():
            self._read_curve(number, folder)
        noted = {number for number, outcome in self._outcomes.items() if outcome.hopeless_at}
        for number, rung in find_hopeless(
            self._curves, self._at_work.keys() - noted, eta=self.plan.eta
        ).items():
            if max(self._curves[number]) < self.plan.config(number).epochs:  # else it is about to end
                self._note(number, Outcome(hopeless_at=rung))
        for number, outcome in self._outcomes.items():
            if outcome.hopeless_at and number in self._at_work:
                self._at_work[number][1].stop()

    def _read_curve(self, number: int, folder: Path) -> None:
        """Read what run `number` has validated since the last look."""
        reader = self._readers.get(number)
        if reader is None or reader.folder != folder:
            reader = self._readers[number] = EventReader(folder)
            self._curves[number] = {}
        try:
            for event in reader.read():
                if isinstance(event, Validated):
                    self._curves[number][event.epoch] = event.accuracy
        except OSError:  # it is not written yet, or not readable now
            return


def list_members(
    folder: Path,
    plan: SweepPlan,
    folders: Mapping[int, Path],
    outcomes: Mapping[int, Outcome],
    known: Mapping[int, Member],
) -> dict[int, Member]:
    """Return the runs of the sweep in `folder` with their status.

    Args:
        folder: the folder of the sweep.
        plan: its plan.
        folders: the folders that its runs have.
        outcomes: what its scheduler has noted.
        known: runs that need not be read.
    """
    members = {}
    for number in plan.numbers:
        if number in known:
            members[number] = known[number]
            continue
        run = list_run(folders[number]) if number in folders else None
        outcome, alive = outcomes.get(number, Outcome()), is_at_work(folder, number)
        members[number] = member_of(number, run, outcome, alive=alive)
    return members


def stop_sweep(folder: Path) -> None:
    """Have the process that works on the sweep in `folder` stop: its runs save and end.

    Raises:
        ConfigError: none does, or it is on another machine.
    """
    owner = owner_of(folder)
    if not owner.live or owner.pid is None:
        raise ConfigError(f"sweep {folder.name} is not running")
    if owner.host != socket.gethostname():
        raise ConfigError(
            f"sweep {folder.name} is running on {owner.host}; stop it there with: kill {owner.pid}"
        )
    with contextlib.suppress(ProcessLookupError):  # it has just ended
        os.kill(owner.pid, signal.SIGTERM)
