"""Training and evaluating without the dashboard: results on stdout, progress and messages on stderr."""

import contextlib
import json
import math
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
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
from cifar_tui.runs.live import LiveRun
from cifar_tui.runs.state import RunSnapshot
from cifar_tui.terminal.descriptors import STDERR, STDOUT, redirect_to_devnull
from cifar_tui.terminal.memory import keep_freed_memory
from cifar_tui.terminal.supervisor import SIGNAL_DEBOUNCE_SECONDS, ParentLink

_POLL_SECONDS = 0.1
_PLAIN_PROGRESS_SECONDS = 10.0


def train_headless(
    config: TrainConfig,
    *,
    checkpoints: Path,
    as_json: bool,
    resume: Path | None = None,
    shell: ParentLink | None = None,
) -> int:
    """Train with `config`, or go on with the run in the folder `resume`, and return the exit code.

    The tutorial's lines go to stdout, or to stderr where `as_json` puts one object with results on stdout.
    With a `shell` the terminal is left as soon as the run has a folder; it goes on in the background.
    Where the terminal is hung up the run goes on, too; output goes to its log.
    """
    keep_freed_memory()
    terminal = _Terminal()

    def on_folder(folder: Path) -> None:
        terminal.folder = folder
        if shell is not None or terminal.left:  # it was hung up while there was no log yet
            terminal.leave()
        if shell is not None:
            shell.leave(folder.name, hint=f"cifar-tui: {attach_hint(folder, checkpoints)}")

    run = LiveRun(config, checkpoints=checkpoints, interactive=False, on_folder=on_folder, resume=resume)
    with _signals_stop(run, terminal) as received:
        run.start_training()
        # a bar would be left on the terminal half drawn, with the cursor hidden
        _follow(run, terminal, results_to_stderr=as_json, bar=shell is None)
    if as_json and run.snapshot().finished is not None:
        _say(json.dumps(_training_results(run)), to_stderr=False)
    return _exit_code(run.snapshot(), received)


def evaluate_headless(config: TrainConfig, weights: Path, *, checkpoints: Path, as_json: bool) -> int:
    """Evaluate the weights in a file and return the exit code; output goes where `train_headless` puts it."""
    keep_freed_memory()
    run = LiveRun(config, checkpoints=checkpoints, interactive=False)
    terminal = _Terminal()
    with _signals_stop(run, terminal) as received:
        run.start_evaluation(weights)
        _follow(run, terminal, results_to_stderr=as_json)
    session = run.session
    if as_json and session is not None and session.report is not None:
        report = session.report
        results = {"test": report.to_dict(), "confusion": report.confusion.tolist()}
        _say(json.dumps(results), to_stderr=False)
    return _exit_code(run.snapshot(), received)


def _training_results(run: LiveRun) -> dict[str, Any]:
    finished = run.snapshot().finished
    folder, session = run.folder, run.session
    if finished is None or folder is None or session is None:
        raise AssertionError("a finished training has a folder")
    evaluated = run.snapshot().evaluated
    # a report from the way is not one of the saved weights
    report = session.report if evaluated is not None and evaluated.final else None
    seconds = finished.train_seconds
    return {
        "run": folder.name,
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
    """What the output goes to, until it is left or hung up.

    Attributes:
        folder: the run's, once there is one; its log takes the output over.
        left: whether nobody sees the output any more.
    """

    def __init__(self) -> None:
        self.folder: Path | None = None
        self.left = False

    def leave(self) -> None:
        """Have the output go to the run's log, and read from nowhere."""
        self.left = True
        path = os.devnull if self.folder is None else self.folder / LOG_FILE
        try:
            output = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        except OSError:  # a full disk must not end the run
            output = os.open(os.devnull, os.O_WRONLY)
        null = os.open(os.devnull, os.O_RDONLY)
        for number, descriptor in ((0, null), (STDOUT, output), (STDERR, output)):
            os.dup2(descriptor, number)
        os.close(output)
        os.close(null)


@contextmanager
def _signals_stop(run: LiveRun, terminal: _Terminal) -> Iterator[list[int]]:
    """Let SIGINT and SIGTERM stop and save the run, a second one end the process at once, SIGHUP go on."""
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
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as nohup leaves it
        before[signal.SIGHUP] = signal.signal(signal.SIGHUP, leave)
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _follow(run: LiveRun, terminal: _Terminal, *, results_to_stderr: bool, bar: bool = True) -> None:
    """Print what the run says until its thread has returned."""
    shown = 0
    ended = False
    with contextlib.ExitStack() as stack:
        progress: _Bar | _PlainLines = _Bar() if bar and sys.stderr.isatty() else _PlainLines()
        stack.enter_context(progress)
        while not ended:
            ended = run.wait(_POLL_SECONDS)
            if terminal.left:
                stack.close()  # a bar is nothing for a file
            snapshot = run.snapshot()
            for line in run.log_since(shown):
                shown = line.number + 1
                if line.earlier:
                    continue
                if line.kind == "printed":
                    _say(line.text, to_stderr=results_to_stderr)
                else:
                    _say(f"cifar-tui: {line.text}", to_stderr=True)
            if not terminal.left:
                progress.show(snapshot)


def _say(text: str, *, to_stderr: bool) -> None:
    """Print a line; where whoever read the stream has left, the run goes on without it."""
    try:
        # asked anew: the progress bar stands in for a stream that is its terminal
        print(text, file=sys.stderr if to_stderr else sys.stdout, flush=True)
    except OSError:
        redirect_to_devnull(STDERR if to_stderr else STDOUT)


class _PlainLines:
    """Progress for a file or a pipe: a line when the phase changes, and one every few seconds."""

    def __init__(self) -> None:
        self._phase: Phase | None = None
        self._due = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def show(self, snapshot: RunSnapshot) -> None:
        """Print a line if one is due."""
        if snapshot.phase is self._phase and time.monotonic() < self._due:
            return
        self._phase, self._due = snapshot.phase, time.monotonic() + _PLAIN_PROGRESS_SECONDS
        done, total, detail = _amounts(snapshot)
        share = f" {100 * done // total} %" if total else ""
        _say(f"cifar-tui: {snapshot.phase}{share} {detail}".rstrip(), to_stderr=True)


class _Bar:
    """Progress for a terminal: a bar on stderr, with the lines of the log above it."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.percentage:>3.0f} %"),
            TextColumn("{task.fields[detail]}"),
            console=Console(stderr=True),
            transient=True,
            expand=True,
            # a bar and lines on one terminal must take turns; a file gets its lines as they are
            redirect_stdout=sys.stdout.isatty(),
        )
        self._task = self._progress.add_task(str(Phase.LOADING), total=None, detail="")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, snapshot: RunSnapshot) -> None:
        """Draw the bar anew."""
        done, total, detail = _amounts(snapshot)
        self._progress.update(
            self._task, description=str(snapshot.phase), completed=done, total=total, detail=detail
        )


def _amounts(snapshot: RunSnapshot) -> tuple[int, int | None, str]:
    """How much of the present phase is done, of how much, and the rest in words."""
    if snapshot.phase is Phase.LOADING:
        loading = snapshot.loading
        return (
            (0, None, snapshot.message) if loading is None else (loading.done, loading.total, loading.stage)
        )
    if snapshot.phase is Phase.EVALUATING and snapshot.evaluating is not None:
        evaluating = snapshot.evaluating
        return evaluating.done, evaluating.total, f"{evaluating.done:,} of {evaluating.total:,} images"
    started = snapshot.started
    if started is None:
        return 0, None, snapshot.message
    parts = [f"step {snapshot.step:,} of {started.total_steps:,}"]
    if snapshot.images_per_second is not None:
        parts.append(f"{snapshot.images_per_second:,.0f} images/s")
    if snapshot.seconds_left:
        parts.append(f"{timedelta(seconds=round(snapshot.seconds_left))} left")
    return snapshot.step, started.total_steps, ", ".join(parts)
