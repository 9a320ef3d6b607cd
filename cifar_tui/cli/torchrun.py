"""`cifar-tui train --gpus N`: start torchrun, which trains one run in several processes, and show the run."""

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType

from cifar_tui.app.launch import Attach, Resume, Train
from cifar_tui.cli.dashboard import has_terminal, open_dashboard
from cifar_tui.cli.output import print_message, print_result
from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.device.cores import available_threads
from cifar_tui.engine.disk.regular import read_regular
from cifar_tui.engine.errors import ConfigError, RunFailedError
from cifar_tui.engine.layout import EVENTS_FILE, LOG_FILE
from cifar_tui.runs.disk.job import run_of_job
from cifar_tui.runs.disk.store import attach_hint, check_checkpoints
from cifar_tui.terminal.restore import clear_line, show_cursor
from cifar_tui.terminal.signals import STOP_SIGNALS, StopSignals

_RESTARTS = 3
"""How often all processes are started again when one has died."""

_QUIT_NOW: dict[int, str] = {
    signal.SIGINT: " (ctrl+c to quit now, without saving)",
    signal.SIGTERM: " (SIGTERM to quit now, without saving)",
}
"""What a second signal does, by the first one."""

_POLL_SECONDS = 0.1
_MOST_BYTES = 1 << 20
_OWN = "cifar-tui: "
_THREADS_VARIABLE = "OMP_NUM_THREADS"
_SHUTDOWN_VARIABLE, _SHUTDOWN_SECONDS = "TORCH_ELASTIC_SHUTDOWN_TIMEOUT", 600
"""How long torchrun, once it is stopped, leaves its processes to save before it kills them.

Its default of 30 s is less than a slow disk takes; a second signal ends them at once.
"""


def train_on_gpus(options: argparse.Namespace, launch: Train | Resume, checkpoints: Path) -> int:
    """Train `launch` in as many processes as `options` says, and return the exit code.

    Without --headless or --detach, the dashboard opens on the run, which continues when that is closed.

    Raises:
        ConfigError: there is no terminal, or a setting does not fit several processes.
        RunFailedError: the processes ended before the run began; the message is theirs.
    """
    config, count = launch.config, options.gpus
    if config.batch_size < count:
        raise ConfigError(
            f"batch_size {config.batch_size} leaves nothing for some of {count} processes; set batch_size to "
            f"{count} or more",
            field="batch_size",
        )
    in_terminal = not (options.headless or options.json or options.detach)
    if in_terminal and not has_terminal():
        raise ConfigError("--gpus opens the dashboard, which needs a terminal: add --headless or --detach")
    check_checkpoints(checkpoints)
    job = f"{int(time.time())}-{os.getpid()}"
    command = torchrun_command(count, job, checkpoints, _words_for_ranks(options.words))
    if options.headless or options.json:
        return _in_foreground(command, count)
    print_message(f"cifar-tui: starting {count} processes…")
    log = checkpoints / f".job-{job}.log"
    folder = _start_detached(command, count, checkpoints, job, log)
    _keep_log(log, folder)
    if in_terminal:
        return open_dashboard(Attach(folder=folder, config=TrainConfig(), recap=False), checkpoints)
    print_result(folder.name)
    print_message(f"cifar-tui: {attach_hint(folder, 'training in the background')}")
    return 0


def torchrun_command(count: int, job: str, checkpoints: Path, words: Sequence[str]) -> list[str]:
    """Return the command that has torchrun start `count` processes of this program on this machine."""
    return [
        *(sys.executable, "-m", "cifar_tui.cli.agent", str(_RESTARTS), str(checkpoints)),
        *("--nnodes=1", f"--nproc-per-node={count}", "--max-restarts=0"),
        *("--rdzv-backend=c10d", "--rdzv-endpoint=localhost:0", f"--rdzv-id={job}"),
        *("-m", "cifar_tui", "train", "--headless", *words),
    ]


def _words_for_ranks(words: Sequence[str]) -> list[str]:
    """The words of the command line without those that this process follows."""
    kept: list[str] = []
    skipped = False
    for word in words:
        if skipped or word in {"--headless", "--detach"} or word.startswith("--gpus="):
            skipped = False
        elif word == "--gpus":
            skipped = True
        else:
            kept.append(word)
    return kept


def rank_environment(count: int) -> dict[str, str]:
    """Return the environment of `count` processes, which share the CPU cores that this one may use.

    What the user has set takes precedence.
    """
    threads = max(1, available_threads() // count)  # without it torchrun warns
    own = {_THREADS_VARIABLE: str(threads), _SHUTDOWN_VARIABLE: str(_SHUTDOWN_SECONDS)}
    return own | os.environ


def _in_foreground(command: list[str], count: int) -> int:
    process = subprocess.Popen(command, env=rank_environment(count), start_new_session=True)  # noqa: S603 - this program itself
    received = StopSignals()

    def forward(number: int, _frame: FrameType | None) -> None:
        is_first = not received.first
        quits = received.receive(number)
        if is_first:
            clear_line()
            print_message(f"cifar-tui: stopping and saving…{_QUIT_NOW.get(number, '')}")
        if is_first or quits:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGINT if number == signal.SIGINT else signal.SIGTERM)

    for number in STOP_SIGNALS:
        signal.signal(number, forward)
    # the processes have their own sessions: they notice that the terminal is gone, and go on
    signal.signal(signal.SIGHUP, lambda _number, _frame: None)
    code = process.wait()
    if code and received.first:
        show_cursor()  # the first process may have been killed while it drew a bar
        return received.exit_code
    return code if code >= 0 else RunFailedError.exit_code


def _start_detached(command: list[str], count: int, checkpoints: Path, job: str, log: Path) -> Path:
    """Start the processes in a session of their own, and return the folder of their run once it has one."""
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - this program itself
            command,
            env=rank_environment(count),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    with _ended_by_signals(process, log):
        while True:
            code = process.poll()
            if (run := run_to_attach_to(checkpoints, job)) is not None:
                return run
            if code is not None:
                raise _failure(log, code)
            time.sleep(_POLL_SECONDS)  # the folder is made by a process of torchrun's


def run_to_attach_to(checkpoints: Path, job: str) -> Path | None:
    """Return the folder of the run that `job` trains; None before it has an event log."""
    run = run_of_job(checkpoints, job)
    return run if run is not None and (run / EVENTS_FILE).exists() else None


@contextlib.contextmanager
def _ended_by_signals(process: "subprocess.Popen[bytes]", log: Path) -> Iterator[None]:
    """End `process` with this one while the run has no folder, by which it could be stopped."""

    def end(number: int, _frame: FrameType | None) -> None:
        process.terminate()
        log.unlink(missing_ok=True)
        os._exit(128 + number)

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _failure(log: Path, code: int) -> RunFailedError:
    """What the processes said last, before they ended with exit code `code`."""
    failure = RunFailedError(f"the processes ended before the run began; see '{log}'")
    with contextlib.suppress(OSError):
        lines = read_regular(log, limit=_MOST_BYTES).decode(errors="replace").splitlines()
        said = [line.removeprefix(_OWN) for line in lines if line.startswith(_OWN)]
        said = [line for line in said if not line.startswith("loading")]
        if said:
            log.unlink(missing_ok=True)
            failure = RunFailedError(said[-1])
    failure.exit_code = code if code > 0 else RunFailedError.exit_code
    return failure


def _keep_log(log: Path, folder: Path) -> None:
    """Have what the processes print be the log of the run, unless it has one already."""
    with contextlib.suppress(OSError):
        if not (folder / LOG_FILE).exists():
            log.rename(folder / LOG_FILE)
