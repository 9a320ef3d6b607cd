"""Run the dashboard in its terminal, and keep its run going when the terminal is left or lost."""

import contextlib
import os
import sys
import time
from pathlib import Path
from typing import NoReturn

from cifar_tui.app.app import CifarApp
from cifar_tui.app.launch import Launch
from cifar_tui.engine.events import Phase
from cifar_tui.runs.disk.store import attach_hint
from cifar_tui.terminal.native_output import NativeOutput
from cifar_tui.terminal.process_tuning import keep_freed_memory, tune_interpreter
from cifar_tui.terminal.signals import PATIENCE_SECONDS, TerminalWatch
from cifar_tui.terminal.supervisor import ParentLink

_JOIN_SECONDS = 1.0


def run_dashboard(launch: Launch, *, parent: ParentLink, checkpoints: Path) -> int:
    """Show the dashboard until the user quits or the terminal is lost, and return the exit code.

    A detached run continues in this process in the background; then this returns at its end.
    """
    tune_interpreter()
    keep_freed_memory()
    app = CifarApp(launch, checkpoints=checkpoints)
    with NativeOutput() as output:

        def on_lost() -> None:
            output.lose_terminal()
            app.on_terminal_lost()

        def take_over() -> NoReturn:
            """Replace the main thread, which hangs on its terminal."""
            output.lose_terminal()
            if app.left_at_once:
                os._exit(app.signal_exit_code)
            if not app.signal_exit_code:
                output.leave_terminal()
                parent.leave("")
            os._exit(_wait_for_run(app))

        watch = TerminalWatch(
            [sys.stdin.fileno(), parent.descriptor],
            on_lost=on_lost,
            on_signal=app.on_signal,
            is_alive=lambda: time.monotonic() - app.polled_at < PATIENCE_SECONDS,
            take_over=take_over,
        )
        watch.start()
        exit_code = app.run()
        run = app.own_run
        # a screen that crashed does not take its run with it
        continues = run is not None and run.live and (app.detached or app.return_code not in {0, None})
        if continues and not app.left_at_once:
            watch.stop()
            output.lose_terminal()
            output.leave_terminal()
            parent.leave("" if watch.lost else exit_message(app))
            return _wait_for_run(app)
    message = exit_message(app)
    if message and not watch.lost:
        with contextlib.suppress(OSError):
            print(message, flush=True)
    return exit_code if exit_code is not None else app.return_code or 0


def exit_message(app: CifarApp) -> str:
    """Return what to print after the screen: how the run ended, or how to reattach; "" without a run."""
    run = app.own_run or app.presenter.run
    if run is None:
        return ""
    snapshot = run.snapshot()
    continues = app.detached or (run is not app.own_run and run.live)
    if continues and run.folder is not None:
        return attach_hint(run.folder, "paused" if snapshot.phase is Phase.PAUSED else "still running")
    lines = []
    if run.folder is not None:
        quit_now = app.left_at_once and snapshot.ended is None
        how = "quit before it was saved" if quit_now else snapshot.message or snapshot.phase
        lines.append(f"run {run.name or run.folder.name} in {run.folder}: {how}")
    elif snapshot.message and snapshot.ended is not None:
        lines.append(f"cifar-tui: {snapshot.message}")
    if snapshot.evaluated is not None and snapshot.evaluated.final:
        lines.append(snapshot.evaluated.tutorial_line())
    return "\n".join(lines)


def _wait_for_run(app: CifarApp) -> int:
    """Wait for the end of the run, which is now steered through its socket, and return its exit code."""
    run = app.own_run
    while run is not None and not run.wait(_JOIN_SECONDS):
        pass
    ended = run.snapshot().ended if run is not None else None
    return app.signal_exit_code or (ended.exit_code if ended is not None else 0)
