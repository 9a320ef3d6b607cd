"""Train, evaluate or test learning rates without the dashboard: results on stdout, the rest on stderr."""

import contextlib
import math
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Protocol, Self

from cifar_tui.app.launch import Evaluate
from cifar_tui.cli.output import json_text, print_line, print_message, results_lost
from cifar_tui.cli.progress import ProgressBar
from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.distributed.launch import MEETING_CANCELLED, launched, report_failure
from cifar_tui.engine.events import Phase
from cifar_tui.engine.layout import LOG_FILE, WEIGHTS_FILE
from cifar_tui.engine.text import escaped
from cifar_tui.runs.control.protocol import Request
from cifar_tui.runs.disk.membership import Membership
from cifar_tui.runs.disk.store import attach_hint
from cifar_tui.runs.format import duration, throughput
from cifar_tui.runs.live import LiveRun
from cifar_tui.runs.state import RunSnapshot
from cifar_tui.terminal.native_output import detach_standard_streams
from cifar_tui.terminal.process_tuning import keep_freed_memory
from cifar_tui.terminal.restore import show_cursor
from cifar_tui.terminal.signals import STOP_SIGNALS, StopSignals, is_hung_up, stop_process
from cifar_tui.terminal.standard_streams import (
    CLOSED,
    STDERR,
    STDOUT,
    discard_stdout,
    redirect_to_devnull,
)
from cifar_tui.terminal.supervisor import ParentLink

if TYPE_CHECKING:
    from cifar_tui.runs.log_line import LogLine
    from cifar_tui.runs.range_test import LiveRangeTest

_POLL_SECONDS = 0.1
_PROGRESS_SECONDS = 10.0
_NOTE_SECONDS = 60.0


def train_headless(
    config: TrainConfig,
    *,
    checkpoints: Path,
    as_json: bool,
    resume: Path | None = None,
    name: str = "",
    membership: Membership | None = None,
    parent: ParentLink | None = None,
    assume_class_order: bool = False,
    edited_model: bool = False,
) -> int:
    """Train a run called `name`, or resume the run in the folder `resume`, and return the exit code.

    A new run with a `membership` is one of a sweep.

    The tutorial's lines go to stdout; with `as_json` they go to stderr and one object of results to stdout.
    With a `parent`, the process leaves the terminal as soon as the run has a folder. When the terminal hangs
    up, the run continues and its output goes to its log, but what goes to a file or a pipe still goes there.
    """
    keep_freed_memory()
    terminal = _Terminal()

    def on_folder(folder: Path) -> None:
        terminal.log = folder / LOG_FILE
        if parent is not None:
            terminal.keeps_stdout = False  # whoever reads it waits for its end
        if parent is not None or terminal.left:  # it hung up before there was a log
            terminal.leave()
        if parent is not None:
            hint = f"cifar-tui: {attach_hint(folder, 'training in the background')}"
            parent.leave(escaped(folder.name), hint=escaped(hint))

    run = LiveRun(
        config,
        checkpoints=checkpoints,
        interactive=False,
        on_folder=on_folder,
        resume=resume,
        name=name,
        membership=membership,
        assume_class_order=assume_class_order,
        edited_model=edited_model,
    )
    with _stop_on_signals(run, terminal) as received:
        run.start_training()
        # no bar for a process that leaves: it would stay half drawn, with the cursor hidden
        _follow(run, terminal, results_to_stderr=as_json, bar=parent is None)
    if as_json and run.snapshot().finished is not None:
        terminal.print(json_text(_training_results(run)))
    code = _exit_code(run.snapshot(), received)
    if run.snapshot().phase is Phase.FAILED:
        report_failure(escaped(run.snapshot().message))
    # closed by whoever started a run whose results are in its folder
    if code == 0 and terminal.lost and (as_json or terminal.lost != CLOSED):
        raise results_lost(terminal.lost)
    return code


def evaluate_headless(launch: Evaluate, *, checkpoints: Path, as_json: bool) -> int:
    """Evaluate a weights file and return the exit code; prints to the same streams as `train_headless`."""
    keep_freed_memory()
    run = LiveRun(
        launch.config,
        checkpoints=checkpoints,
        interactive=False,
        assume_class_order=launch.assume_class_order,
        edited_model=launch.edited_model,
    )
    terminal = _Terminal()
    with _stop_on_signals(run, terminal) as received:
        run.start_evaluation(launch.weights, any_model=launch.any_model, trained_seed=launch.trained_seed)
        _follow(run, terminal, results_to_stderr=as_json)
    report = run.session.report if run.session is not None else None
    if as_json and report is not None:
        terminal.print(json_text({"test": report.to_dict(), "confusion": report.confusion.tolist()}))
    code = _exit_code(run.snapshot(), received)
    if code == 0 and terminal.lost:
        raise results_lost(terminal.lost)
    return code


def range_test_headless(test: "LiveRangeTest", describe: Callable[[], list[str]]) -> int:
    """Run a learning-rate range test and return the exit code; the lines of `describe` go to stdout."""
    keep_freed_memory()
    terminal = _Terminal()
    with _stop_on_signals(test, terminal, only_for_stdout=True) as received:
        test.start()
        _follow(test, terminal, results_to_stderr=True)
    if test.suggestion is not None:
        for line in describe():
            terminal.print(line)
    code = _exit_code(test.snapshot(), received)
    if code == 0 and terminal.lost:
        raise results_lost(terminal.lost)
    return code


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


def _exit_code(snapshot: RunSnapshot, received: StopSignals) -> int:
    if snapshot.ended is None:
        raise AssertionError("a run whose thread has returned has ended")
    return snapshot.ended.exit_code or received.exit_code


class _Followed(Protocol):
    """What works in a thread of this process until it ends or is stopped."""

    @property
    def folder(self) -> Path | None: ...

    def wait(self, seconds: float) -> bool: ...

    def snapshot(self) -> RunSnapshot: ...

    def log_since(self, index: int) -> "list[LogLine]": ...

    def request(self, request: Request) -> None: ...


class _Terminal:
    """Where the output goes.

    Attributes:
        log: the run's log, which takes the output over; None until the run has a folder.
        has_stdout: whether results go to the terminal, not to a file or a pipe.
        keeps_stdout: whether stdout, a file or a pipe, stays where it is when the terminal is left.
        left: whether the terminal was left or hung up.
        lost: why results could not be written to stdout; "" if all could be, or if their reader has left.
    """

    def __init__(self) -> None:
        self.log: Path | None = None
        self.has_stdout = os.isatty(STDOUT)
        self.keeps_stdout = not self.has_stdout
        self.left = False
        self.lost = ""

    def leave(self) -> None:
        self.left = True
        detach_standard_streams(self.log, keep_stdout=self.keeps_stdout)

    def print(self, text: str, *, to_stderr: bool = False) -> None:
        """Print a line; continue without a stream that cannot be written."""
        try:
            # looked up each time: the progress bar replaces a stream that is a terminal
            print_line(text, sys.stderr if to_stderr else sys.stdout, flush=True)
        except OSError as error:
            if to_stderr:
                redirect_to_devnull(STDERR)
                return
            self.lost = discard_stdout(error)
            with contextlib.suppress(OSError):
                sys.stdout.flush()  # else it would come again with the next line
            if self.left and self.keeps_stdout:  # its reader, such as `tee`, was closed with the terminal
                self.keeps_stdout = False
                self.leave()
                self.print(text)


@contextmanager
def _stop_on_signals(
    run: _Followed, terminal: _Terminal, *, only_for_stdout: bool = False
) -> Iterator[StopSignals]:
    """Stop and save on `STOP_SIGNALS`, exit at once on a second one; keep running on SIGHUP.

    What keeps nothing, and works `only_for_stdout`, stops on SIGHUP if that is the terminal.
    """
    received = StopSignals()

    def stop(number: int, _frame: FrameType | None) -> None:
        is_first = not received.first
        if received.receive(number):
            show_cursor()
            os._exit(received.exit_code)
        if launched() is not None:
            MEETING_CANCELLED.set()
        if is_first:  # another request would give up a save that is being retried
            run.request(Request.STOP)

    def leave(number: int, frame: FrameType | None) -> None:
        _leave(terminal, run)
        if only_for_stdout and terminal.has_stdout:
            stop(number, frame)

    # torchrun passes on the end of its terminal, and then ends its processes
    hung_up = leave if launched() is None else stop
    handlers = dict.fromkeys(STOP_SIGNALS, stop) | {signal.SIGHUP: hung_up, signal.SIGTSTP: stop_process}
    before = {}
    for number, handler in handlers.items():
        # as under nohup; a job in the background of a script ignores SIGINT, which stops it all the same
        if number in {signal.SIGINT, signal.SIGTERM} or signal.getsignal(number) is not signal.SIG_IGN:
            before[number] = signal.signal(number, handler)
    try:
        yield received
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


def _leave(terminal: _Terminal, run: _Followed) -> None:
    if terminal.log is not None and run.folder is not None:
        terminal.log = run.folder / LOG_FILE  # it may have been renamed
    terminal.leave()


def _follow(run: _Followed, terminal: _Terminal, *, results_to_stderr: bool, bar: bool = True) -> None:
    """Print the log and the progress of the run until its thread has returned."""
    printed = 0
    note_due = 0.0
    ended = False
    with contextlib.ExitStack() as stack:
        progress: _RunBar | _ProgressLines = _RunBar() if bar and sys.stderr.isatty() else _ProgressLines()
        stack.enter_context(progress)
        while not ended:
            ended = run.wait(_POLL_SECONDS)
            snapshot = run.snapshot()
            if not terminal.left and is_hung_up(STDERR):  # a process of a job gets no signal of it
                _leave(terminal, run)
            for line in run.log_since(printed):
                if terminal.left:
                    stack.close()  # lines go to the log, and no longer above a bar
                printed = line.number + 1
                if line.earlier:
                    continue
                if line.kind == "printed":
                    terminal.print(line.text, to_stderr=results_to_stderr)
                else:
                    terminal.print(f"cifar-tui: {line.text}", to_stderr=True)
            note = snapshot.loading.note if snapshot.loading is not None else ""
            if note and snapshot.phase is Phase.LOADING and time.monotonic() >= note_due:
                note_due = time.monotonic() + _NOTE_SECONDS
                terminal.print(f"cifar-tui: {note}", to_stderr=True)
            if not terminal.left:
                progress.show(snapshot)


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
        print_message(f"cifar-tui: {snapshot.status}" + (f": {text}" if text else ""))


class _RunBar(ProgressBar):
    """Progress for a terminal: a bar below the lines of the log."""

    def __init__(self) -> None:
        super().__init__(str(Phase.LOADING))

    def show(self, snapshot: RunSnapshot) -> None:
        """Update the bar."""
        self.update(snapshot.status, *_progress_of(snapshot))


def _progress_of(snapshot: RunSnapshot) -> tuple[int, int | None, list[str]]:
    """Return how much of the current phase is done, of how much, and details in words."""
    if snapshot.phase is Phase.LOADING and snapshot.loading is not None:
        return snapshot.loading.done, snapshot.loading.total, [snapshot.loading.stage]
    if snapshot.phase is Phase.EVALUATING and snapshot.evaluating is not None:
        evaluating = snapshot.evaluating
        return evaluating.done, evaluating.total, [f"{evaluating.done:,} of {evaluating.total:,} images"]
    started = snapshot.started
    if started is None or snapshot.phase is Phase.LOADING:
        return 0, None, ["" if snapshot.message == snapshot.status else snapshot.message]
    parts = [f"step {snapshot.step:,} of {started.total_steps:,}"]
    if snapshot.images_per_second is not None:
        parts.append(throughput(snapshot.images_per_second, "now"))
    if snapshot.seconds_left:
        parts.append(f"{duration(snapshot.seconds_left)} left")
    return snapshot.step, started.total_steps, parts
