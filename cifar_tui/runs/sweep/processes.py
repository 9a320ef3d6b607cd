"""The processes that the runs of a sweep are trained in: programs of their own, which outlive the scheduler.

Each keeps a file locked from its first moment on, even before its run has a folder: a scheduler that takes
over after another one was killed sees which are still at work.
"""

import contextlib
import fcntl
import itertools
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cifar_tui.engine.disk.regular import open_regular, read_regular
from cifar_tui.engine.errors import UserError
from cifar_tui.runs.control.client import send_request
from cifar_tui.runs.control.protocol import Request
from cifar_tui.runs.sweep.store import output_file, process_lock

GPUS_VARIABLE = "CUDA_VISIBLE_DEVICES"
_TRIES = 25
_MOST_BYTES = 100
_TRY_SECONDS = 0.02


class MemberProcess(Protocol):
    """The process of a run."""

    def exit_code(self) -> int | None:
        """Return its exit code, negative if a signal killed it; None while it lives."""

    def stop(self) -> None:
        """Have it save and end; once is enough."""


class Workers(Protocol):
    """What runs are started on.

    Attributes:
        count: how many at a time.
    """

    count: int

    def start(self, number: int, worker: int) -> MemberProcess:
        """Start run `number` on the worker `worker`, from 0.

        Raises:
            OSError: it cannot be started.
        """


@dataclass(frozen=True, kw_only=True, slots=True)
class Share:
    """What a worker has of this machine.

    Attributes:
        gpu: the GPU, as `CUDA_VISIBLE_DEVICES` names it; None for all that there are.
        cores: the CPU cores; () for all.
    """

    gpu: str | None = None
    cores: tuple[int, ...] = ()


class LocalWorkers:
    """Runs in processes of this machine.

    Args:
        folder: the folder of the sweep.
        command: the command that trains the run with a number, on some CPU cores or all.
        shares: what each worker has of the machine.
    """

    def __init__(
        self, folder: Path, command: Callable[[int, Sequence[int]], list[str]], shares: Sequence[Share]
    ) -> None:
        self.count = len(shares)
        self._folder = folder
        self._command = command
        self._shares = shares

    def start(self, number: int, worker: int) -> MemberProcess:
        """Start run `number`."""
        share = self._shares[worker]
        environment = os.environ | ({} if share.gpu is None else {GPUS_VARIABLE: share.gpu})
        return start_process(self._command(number, share.cores), environment, self._folder, number, worker)


class ChildProcess:
    """A process that this one has started."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process
        self._stopped = False

    def exit_code(self) -> int | None:
        """Return its exit code; None while it lives."""
        return self._process.poll()

    def stop(self) -> None:
        """Ask it to save and end, once.

        A batch system signals all processes of a job with SIGTERM: a second one would end it at once.
        """
        if not self._stopped:
            self._stopped = True
            self._process.send_signal(signal.SIGUSR1)


class AdoptedProcess:
    """A process that an earlier scheduler has started, or the user; `run_folder` gives its run's folder."""

    def __init__(self, lives: Callable[[], bool], run_folder: Callable[[], Path | None]) -> None:
        self._lives, self._run_folder = lives, run_folder
        self._stopped = False

    def exit_code(self) -> int | None:
        """Return 0 once it has ended, however it did: its folder says more."""
        return None if self._lives() else 0

    def stop(self) -> None:
        """Ask it to save and end as soon as it listens."""
        run = self._run_folder()
        if not self._stopped and run is not None:
            with contextlib.suppress(UserError):  # it does not listen yet, or any more
                send_request(run, Request.STOP)
                self._stopped = True


def start_process(
    command: Sequence[str], environment: dict[str, str], folder: Path, number: int, worker: int
) -> MemberProcess:
    """Start `command` for run `number` of the sweep in `folder` on `worker`, in a session of its own.

    Raises:
        OSError: it cannot be started.
    """
    with contextlib.ExitStack() as opened:
        lock = lock_process(folder, number, worker)
        opened.callback(os.close, lock)
        output = opened.enter_context(output_file(folder, number).open("wb"))
        process = subprocess.Popen(  # noqa: S603 - our own program
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment,
            pass_fds=[lock],
            start_new_session=True,
        )
    return ChildProcess(process)


def lock_process(folder: Path, number: int, worker: int) -> int:
    """Lock the file of the process of run `number`, which says on which worker it is.

    Returns:
        Its descriptor, for the process to inherit.

    Raises:
        OSError: another process has locked it, or it cannot be opened.
    """
    descriptor = open_regular(process_lock(folder, number), os.O_RDWR | os.O_CREAT, mode=0o600)
    for left in reversed(range(_TRIES)):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:  # `is_at_work` in another process holds the lock for a moment
            if not left:
                os.close(descriptor)
                raise
            time.sleep(_TRY_SECONDS)
        else:
            break
    os.pwrite(descriptor, f"{worker}\n".encode(), 0)
    return descriptor


def is_at_work(folder: Path, number: int) -> bool:
    """Whether the process of run `number` of the sweep in `folder` lives, as far as this machine can tell."""
    try:
        descriptor = open_regular(process_lock(folder, number))
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return False


def worker_of(folder: Path, number: int) -> int:
    """Return which worker the process of run `number` was started on; the first one if that is not known."""
    try:
        return int(read_regular(process_lock(folder, number), limit=_MOST_BYTES).split()[0])
    except (OSError, ValueError, IndexError):
        return 0


def divide_cores(cores: Sequence[int], workers: int) -> list[tuple[int, ...]]:
    """Divide CPU cores among workers: each has its own, or shares one where there are more workers."""
    each, left = divmod(len(cores), workers)
    if not each:
        return [(cores[worker % len(cores)],) for worker in range(workers)]
    ends = [worker * each + min(worker, left) for worker in range(workers + 1)]
    return [tuple(cores[start:end]) for start, end in itertools.pairwise(ends)]
