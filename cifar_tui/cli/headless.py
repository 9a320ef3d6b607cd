"""Train and evaluate without the dashboard: results on stdout, progress and messages on stderr."""

import contextlib
import json
import math
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.events import Phase
from cifar_tui.engine.layout import LOG_FILE, WEIGHTS_FILE
from cifar_tui.runs.control.protocol import Request
from cifar_tui.runs.disk.store import attach_hint
from cifar_tui.runs.format import duration, throughput
from cifar_tui.runs.live import LiveRun
from cifar_tui.runs.state import RunSnapshot
from cifar_tui.terminal.native_output import (
    STDERR,
    STDOUT,
    TerminalStream,
    detach_standard_streams,
    redirect_to_devnull,
)
from cifar_tui.terminal.process_tuning import keep_freed_memory
from cifar_tui.terminal.supervisor import SIGNAL_DEBOUNCE_SECONDS, ParentLink

_POLL_SECONDS = 0.1
_PROGRESS_SECONDS = 10.0


def train_headless(
    config: TrainConfig,
    *,
    checkpoints: Path,
    as_json: bool,
    resume: Path | None = None,
    name: str = "",
    parent: ParentLink | None = None,
) -> int:
    """Train a run called `name`, or resume the run in the folder `resume`, and return the exit code.

    The tutorial's lines go to stdout; with `as_json` they go to stderr and one object of results to stdout.
    With a `parent`, the process leaves the terminal as soon as the run has a folder. When the terminal hangs
    up, the run continues and its output goes to its log.
    """
    keep_freed_memory()
    terminal = _Terminal()

    def on_folder(folder: Path) -> None:
        terminal.log = folder / LOG_FILE
        if parent is not None or terminal.left:  # it hung up before there was a log
            terminal.leave()
        if parent is not None:
            parent.leave(folder.name, hint=f"cifar-tui: {attach_hint(folder, 'training in the background')}")

    run = LiveRun(
        config, checkpoints=checkpoints, interactive=False, on_folder=on_folder, resume=resume, name=name
    )
    with _stop_on_signals(run, terminal) as received:
        run.start_training()
        # no bar for a process that leaves: it would stay half drawn, with the cursor hidden
        _follow(run, terminal, results_to_stderr=as_json, bar=parent is None)
    if as_json and run.snapshot().finished is not None:
        _print(json.dumps(_training_results(run)), to_stderr=False)
    return _exit_code(run.snapshot(), received)


def evaluate_headless(config: TrainConfig, weights: Path, *, checkpoints: Path, as_json: bool) -> int:
    """Evaluate a weights file and return the exit code; prints to the same streams as `train_headless`."""
    keep_freed_memory()
    run = LiveRun(config, checkpoints=checkpoints, interactive=False)
    terminal = _Terminal()
    with _stop_on_signals(run, terminal) as received:
        run.start_evaluation(weights)
        _follow(run, terminal, results_to_stderr=as_json)
    report = run.session.report if run.session is not None else None
    if as_json and report is not None:
        results = {"test": report.to_dict(), "confusion": report.confusion.tolist()}
        _print(json.dumps(results), to_stderr=False)
    return _exit_code(run.snapshot(), received)


def _training_results(run: LiveRun) -> dict[str, Any]:
    snapshot, folder, session = run.snapshot(), run.folder, run.session
    finished, evaluated = snapshot.finished, snapshot.evaluated
    if finished is None or folder is None or session is None:
        raise AssertionError("a finished run has a folder")
    # a report made during training does not describe the saved weights
    report = session.report if evaluated is not None and evaluated.final else None
    seconds = finished.train_seconds
    return {
        "run": folder.name,
        "name": run.name or None,
        "steps": finished.step,
        "epochs": finished.epoch,
        "train_seconds": seconds,
        "images_per_second": finished.images / seconds if seconds else None,
        "final_loss": finished.final_loss if math.isfinite(finished.final_loss) else None,
        "checkpoint": str(folder / WEIGHTS_FILE),
        "test": report.to_dict() if report is not None else None,
    }


def _exit_code(snapshot: RunSnapshot, received: list[int]) -> int:
    if snapshot.ended is None:
        raise AssertionError("a run whose thread has returned has ended")
    if snapshot.ended.exit_code == 0 and received:
        return 128 + received[0]
    return snapshot.ended.exit_code


class _Terminal:
    """Where the output goes.

    Attributes:
        log: the run's log, which takes the output over; None until the run has a folder.
        left: whether the terminal was left or hung up.
    """

    def __init__(self) -> None:
        self.log: Path | None = None
        self.left = False

    def leave(self) -> None:
        self.left = True
        detach_standard_streams(self.log)


@contextmanager
def _stop_on_signals(run: LiveRun, terminal: _Terminal) -> Iterator[list[int]]:
    """Stop and save on SIGINT and SIGTERM, exit at once on a second one; keep running on SIGHUP."""
    received: list[int] = []
    received_at: list[float] = []

    def stop(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        received_at.append(time.monotonic())
        if received_at[-1] - received_at[0] > SIGNAL_DEBOUNCE_SECONDS:
            os._exit(128 + number)
        run.request(Request.STOP)

    def leave(_number: int, _frame: FrameType | None) -> None:
        terminal.leave()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as under nohup
        before[signal.SIGHUP] = signal.signal(signal.SIGHUP, leave)
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _follow(run: LiveRun, terminal: _Terminal, *, results_to_stderr: bool, bar: bool = True) -> None:
    """Print the log and the progress of the run until its thread has returned."""
    printed = 0
    ended = False
    with contextlib.ExitStack() as stack:
        progress: _Bar | _ProgressLines = _Bar() if bar and sys.stderr.isatty() else _ProgressLines()
        stack.enter_context(progress)
        while not ended:
            ended = run.wait(_POLL_SECONDS)
            snapshot = run.snapshot()
            for line in run.log_since(printed):
                if terminal.left:
                    stack.close()  # lines go to the log, and no longer above a bar
                printed = line.number + 1
                if line.earlier:
                    continue
                if line.kind == "printed":
                    _print(line.text, to_stderr=results_to_stderr)
                else:
                    _print(f"cifar-tui: {line.text}", to_stderr=True)
            if not terminal.left:
                progress.show(snapshot)


def _print(text: str, *, to_stderr: bool) -> None:
    """Print a line; continue without the stream if its reader is gone."""
    try:
        # looked up each time: the progress bar replaces a stream that is a terminal
        print(text, file=sys.stderr if to_stderr else sys.stdout, flush=True)
    except OSError:
        redirect_to_devnull(STDERR if to_stderr else STDOUT)


class _ProgressLines:
    """Progress for a file or a pipe: a line for every phase, and one every few seconds."""

    def __init__(self) -> None:
        self._phase: Phase | None = None
        self._due = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def show(self, snapshot: RunSnapshot) -> None:
        """Print a line if one is due."""
        if snapshot.phase is Phase.FAILED:  # the log has said why
            return
        if snapshot.phase is self._phase and time.monotonic() < self._due:
            return
        self._phase, self._due = snapshot.phase, time.monotonic() + _PROGRESS_SECONDS
        done, total, details = _progress_of(snapshot)
        what, *rest = details
        share = f"({100 * done // total} %)" if total else ""
        first = " ".join(filter(None, (what, share)))
        text = ", ".join(filter(None, (first, *rest)))
        _print(f"cifar-tui: {snapshot.status}" + (f": {text}" if text else ""), to_stderr=True)


class _Bar:
    """Progress for a terminal: a bar on stderr below the lines of the log."""

    def __init__(self) -> None:
        # another descriptor: what is half drawn when the terminal hangs up must not end in the log
        self._stream = TerminalStream(STDERR)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.percentage:>3.0f} %"),
            TextColumn("{task.fields[detail]}"),
            console=Console(file=self._stream),
            transient=True,
            expand=True,
            # rich moves the bar below each line of a terminal; a file gets its lines unchanged
            redirect_stdout=sys.stdout.isatty(),
        )
        self._task = self._progress.add_task(str(Phase.LOADING), total=None, detail="")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()
        self._stream.close()

    def show(self, snapshot: RunSnapshot) -> None:
        """Update the bar."""
        done, total, details = _progress_of(snapshot)
        self._progress.update(
            self._task,
            description=snapshot.status,
            completed=done,
            total=total,
            detail=", ".join(details),
        )


def _progress_of(snapshot: RunSnapshot) -> tuple[int, int | None, list[str]]:
    """Return how much of the current phase is done, of how much, and details in words."""
    if snapshot.phase is Phase.LOADING and snapshot.loading is not None:
        return snapshot.loading.done, snapshot.loading.total, [snapshot.loading.stage]
    if snapshot.phase is Phase.EVALUATING and snapshot.evaluating is not None:
        evaluating = snapshot.evaluating
        return evaluating.done, evaluating.total, [f"{evaluating.done:,} of {evaluating.total:,} images"]
    started = snapshot.started
    if started is None or snapshot.phase is Phase.LOADING:
        return 0, None, [snapshot.message]
    parts = [f"step {snapshot.step:,} of {started.total_steps:,}"]
    if snapshot.images_per_second is not None:
        parts.append(throughput(snapshot.images_per_second, "now"))
    if snapshot.seconds_left:
        parts.append(f"{duration(snapshot.seconds_left)} left")
    return snapshot.step, started.total_steps, parts
