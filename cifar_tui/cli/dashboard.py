"""`cifar-tui` without a command: open the dashboard, in a child process that can outlive its terminal."""

import argparse
import os
import sys
from pathlib import Path

from cifar_tui.app.launch import Idle, Launch
from cifar_tui.cli.parser import build_settings, checkpoints_folder
from cifar_tui.engine.errors import ConfigError
from cifar_tui.runs.disk.store import how_to_continue
from cifar_tui.terminal.process_tuning import gc_frozen
from cifar_tui.terminal.supervisor import ParentLink, run_in_child


def open_idle(options: argparse.Namespace) -> int:
    """Open the dashboard without a run and return the exit code."""
    return open_dashboard(Idle(config=build_settings(options)), checkpoints_folder(options))


def open_dashboard(launch: Launch, checkpoints: Path) -> int:
    """Open the dashboard and return the exit code.

    Raises:
        ConfigError: there is no terminal.
    """
    if not has_terminal():
        raise ConfigError(
            "the dashboard needs a terminal; without one, train with: cifar-tui train --headless, and see "
            "how far a run is with: cifar-tui runs"
        )

    def work(parent: ParentLink) -> int:
        with gc_frozen():  # saves a twentieth of the time to the first frame
            from cifar_tui.app.run import run_dashboard

        return run_dashboard(launch, parent=parent, checkpoints=checkpoints)

    return run_in_child(work, how_to_continue=how_to_continue)


def has_terminal() -> bool:
    """Return whether the dashboard can read keys from stdin and draw: Textual draws on stderr."""
    capable = os.environ.get("TERM", "dumb") not in {"dumb", "unknown", ""}
    return capable and all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr))
