"""`cifar-tui attach`: open the dashboard for a running or finished run."""

import argparse

from cifar_tui.app.launch import Attach
from cifar_tui.cli.dashboard import open_dashboard
from cifar_tui.cli.parser import checkpoints_folder
from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.runs.attached import AttachedRun
from cifar_tui.runs.disk.store import find_run, find_run_to_attach


def attach(options: argparse.Namespace) -> int:
    """Run the command and return its exit code.

    Raises:
        ConfigError: there is no such run, or it cannot be shown.
    """
    checkpoints = checkpoints_folder(options)
    folder = find_run(checkpoints, options.run) if options.run else find_run_to_attach(checkpoints)
    AttachedRun(folder)  # a run that cannot be shown is refused before the screen opens
    return open_dashboard(Attach(folder=folder, config=TrainConfig()), checkpoints)
