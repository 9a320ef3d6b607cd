"""The dashboard in its terminal: from the first frame to the last, and the run that goes on without it."""

import contextlib
import os
import sys
import time
from pathlib import Path
from typing import NoReturn

from cifar_tui.app.app import CifarApp
from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.terminal.interpreter import tune_interpreter
from cifar_tui.terminal.memory import keep_freed_memory
from cifar_tui.terminal.native_output import NativeOutput
from cifar_tui.terminal.supervisor import ParentLink
from cifar_tui.terminal.watch import PATIENCE_SECONDS, TerminalWatch

_JOIN_SECONDS = 1.0


def run_dashboard(
    config: TrainConfig,
    *,
    shell: ParentLink,
    checkpoints: Path,
    start: bool = False,
    weights: Path | None = None,
    resume: Path | None = None,
    attach: Path | None = None,
) -> int:
    """Show the dashboard until the user leaves or the terminal is gone, and return the exit code.

    A run that is left to itself goes on in this process, in the background: then this returns at its end.
    """
    tune_interpreter()
    keep_freed_memory()
    app = CifarApp(
        config, checkpoints=checkpoints, start=start, weights=weights, resume=resume, attach=attach
    )
    with NativeOutput() as output:

        def on_lost() -> None:
            output.lose_terminal()
            app.on_terminal_lost()

        def take_over() -> NoReturn:
            """The screen hangs on its terminal: nothing is to be expected of the main thread."""
            output.lose_terminal()
            if app.left_at_once:
                os._exit(app.signal_exit_code)
            if not app.signal_exit_code:
                output.leave_terminal()
                shell.leave("")
            os._exit(_outlive(app))

        watch = TerminalWatch(
            [sys.stdin.fileno(), shell.descriptor],
            on_lost=on_lost,
            on_signal=app.on_signal,
            is_alive=lambda: time.monotonic() - app.polled_at < PATIENCE_SECONDS,
            take_over=take_over,
        )
        watch.start()
        exit_code = app.run()
        run = app.own_run
        # a screen that failed takes no run with it
        goes_on = run is not None and run.live and (app.detached or app.return_code not in {0, None})
        if goes_on and not app.left_at_once:
            watch.stop()
            _leave_terminal(output, shell, exit_message="" if watch.lost else app.exit_message())
            return _outlive(app)
    exit_message = app.exit_message()
    if exit_message and not watch.lost:
        with contextlib.suppress(OSError):
            print(exit_message, flush=True)
    return exit_code if exit_code is not None else app.return_code or 0


def _leave_terminal(output: NativeOutput, shell: ParentLink, *, exit_message: str) -> None:
    output.lose_terminal()
    output.leave_terminal()
    shell.leave(exit_message)


def _outlive(app: CifarApp) -> int:
    """Wait for the end of the run, which others steer through its socket; its exit code."""
    run = app.own_run
    while run is not None and not run.wait(_JOIN_SECONDS):
        pass
    ended = run.snapshot().ended if run is not None else None
    return app.signal_exit_code or (ended.exit_code if ended is not None else 0)
