"""Run the dashboard in its terminal, and keep its run going when the terminal is left or lost."""

import contextlib
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import NoReturn, TextIO

from cifar_tui.app.app import CifarApp
from cifar_tui.app.failure import failure_message
from cifar_tui.app.launch import Launch
from cifar_tui.engine.events import Phase
from cifar_tui.engine.layout import LOG_FILE
from cifar_tui.engine.text import escaped
from cifar_tui.runs.disk.run_lock import owner_of
from cifar_tui.runs.disk.store import attach_hint
from cifar_tui.runs.live import LiveRun
from cifar_tui.terminal.native_output import NativeOutput, redirect_native_output
from cifar_tui.terminal.process_tuning import keep_freed_memory, tune_interpreter
from cifar_tui.terminal.restore import TerminalState
from cifar_tui.terminal.signals import PATIENCE_SECONDS, TerminalWatch, stop_process
from cifar_tui.terminal.standard_streams import STDERR
from cifar_tui.terminal.supervisor import ParentLink

_JOIN_SECONDS = 1.0
_POLL_SECONDS = 0.1
_FAILED = 1
"""Exit code of a dashboard that failed, whatever becomes of its run."""


def run_dashboard(launch: Launch, *, parent: ParentLink, checkpoints: Path) -> int:
    """Show the dashboard until the user quits or the terminal is lost, and return the exit code.

    A run that is live when the user detaches or the screen fails continues in this process in the
    background; then this returns at its end.
    """
    tune_interpreter()
    keep_freed_memory()
    terminal = TerminalState(os.dup(STDERR))

    def on_folder(folder: Path) -> None:
        redirect_native_output(folder / LOG_FILE)
        parent.note_run(folder)

    app = CifarApp(launch, checkpoints=checkpoints, on_folder=on_folder)
    with NativeOutput() as output:

        def leave_terminal() -> None:
            """Continue in the background."""
            output.lose_terminal()
            output.leave_terminal()
            code = _FAILED if app.failure else 0
            parent.leave(exit_message(app), hint="\n".join(map(escaped, failures)), exit_code=code)

        def on_lost() -> None:
            screen_open = app.screen_open
            output.lose_terminal()
            # the terminal is still there where the parent was killed, or a user sent the signal
            terminal.restore(screen_open=screen_open)
            app.on_terminal_lost()

        def take_over() -> NoReturn:
            """Replace the main thread, which hangs on its terminal."""
            output.lose_terminal()
            terminal.restore()
            if app.left_at_once:
                os._exit(app.signal_exit_code)
            if not app.signal_exit_code:
                leave_terminal()
            os._exit(_wait_for_run(app))

        watch = TerminalWatch(
            [sys.stdin.fileno(), parent.descriptor],
            on_lost=on_lost,
            on_signal=app.on_signal,
            is_alive=lambda: time.monotonic() - app.polled_at < PATIENCE_SECONDS,
            take_over=take_over,
        )
        failures: list[str] = []

        def on_failed(error: BaseException) -> None:
            watch.expect_exit()
            failures.append(failure_message(error, _folder_of(app.own_run)))

        app.when_failed = on_failed
        watch.start()
        exit_code = _show(app)
        if app.screen_open and not watch.lost:  # what writes to the terminal has failed
            terminal.restore(screen_open=True)
        run = app.own_run
        # a screen that failed does not take its run with it
        if run is not None and run.live and (app.detached or failures) and not app.left_at_once:
            watch.stop()
            _wait_in_terminal(app, run, watch, failures)
            if run.live:
                leave_terminal()
                return _wait_for_run(app)
    if not watch.lost:
        _print(sys.stdout, exit_message(app))
        _print(sys.stderr, *failures)
    return app.signal_exit_code or (_FAILED if app.failure else exit_code or app.return_code or 0)


def _wait_in_terminal(app: CifarApp, run: LiveRun, watch: TerminalWatch, failures: list[str]) -> None:
    """Wait until the run has stopped, if asked to; if the dashboard failed, until it can be attached to."""

    def waits_for_folder() -> bool:
        return bool(app.failure) and not watch.lost and _folder_of(run) is None

    if waits_for_folder() and not app.leaving:
        _print(sys.stderr, f"{failures.pop()}. The run continues here (ctrl+c to stop it)")
    while run.live and (app.leaving or waits_for_folder()):
        run.wait(_POLL_SECONDS)


def _print(stream: TextIO, *texts: str) -> None:
    for text in filter(None, texts):
        with contextlib.suppress(OSError):
            print("\n".join(map(escaped, text.split("\n"))), file=stream, flush=True)


def _show(app: CifarApp) -> int | None:
    """Run the app until it exits, for whatever reason."""

    def on_thread_failed(error: threading.ExceptHookArgs) -> None:
        if error.thread is not None and error.thread.name.startswith("textual-"):
            app.fail(error.exc_value or RuntimeError(error.exc_type.__name__))
        else:
            threading.__excepthook__(error)

    threading.excepthook = on_thread_failed
    try:
        return app.run()
    except BaseException as error:  # noqa: BLE001 - nothing that the screen does may end the run
        app.fail(error)
        return None
    finally:
        # Textual's handlers serve a screen that is no more
        signal.signal(signal.SIGTSTP, stop_process)
        for number in (signal.SIGCONT, signal.SIGWINCH):
            signal.signal(number, signal.SIG_DFL)


def _folder_of(run: LiveRun | None) -> Path | None:
    """Return the folder of a run that can be attached to: this process owns it."""
    if run is not None and run.folder is not None and owner_of(run.folder).pid == os.getpid():
        return run.folder
    return None


def exit_message(app: CifarApp) -> str:
    """Return what to print after the screen: how the run ended, or how to reattach; "" without a run."""
    run = app.own_run or app.presenter.run
    if run is None:
        return ""
    snapshot = run.snapshot()
    if run.live and not app.left_at_once and run.folder is not None:
        state = "paused" if snapshot.phase is Phase.PAUSED else "still running"
        return escaped(attach_hint(run.folder, state))
    lines = []
    if run.folder is not None:
        quit_now = app.left_at_once and snapshot.ended is None
        how = "quit before it was saved" if quit_now else snapshot.message or snapshot.phase
        lines.append(f"run {run.name or run.folder.name} in {run.folder}: {how}")
    elif snapshot.message and snapshot.ended is not None:
        lines.append(f"cifar-tui: {snapshot.message}")
    if snapshot.evaluated is not None and snapshot.evaluated.final:
        lines.append(snapshot.evaluated.tutorial_line())
    return "\n".join(map(escaped, lines))


def _wait_for_run(app: CifarApp) -> int:
    """Wait for the end of the run, which is now steered through its socket, and return its exit code."""
    run = app.own_run
    while run is not None and not run.wait(_JOIN_SECONDS):
        pass
    ended = run.snapshot().ended if run is not None else None
    return app.signal_exit_code or (ended.exit_code if ended is not None else 0)
