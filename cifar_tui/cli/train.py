"""`cifar-tui train`: start or resume a training run in the dashboard, headless or in the background."""

import argparse
from functools import partial
from pathlib import Path

from cifar_tui.app.launch import Resume, Train
from cifar_tui.cli.dashboard import open_dashboard
from cifar_tui.cli.parser import build_settings, checkpoints_folder
from cifar_tui.engine.config.file import read_config_file
from cifar_tui.engine.config.schema import build_config
from cifar_tui.engine.errors import ConfigError
from cifar_tui.engine.layout import CONFIG_FILE
from cifar_tui.runs.disk.store import check_name, find_run
from cifar_tui.runs.resume_config import config_to_resume
from cifar_tui.terminal.supervisor import ParentLink, run_in_child


def train(options: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    checkpoints = checkpoints_folder(options)
    if options.resume and options.name:
        raise ConfigError("--name and --resume cannot be combined: a resumed run keeps its name")
    if options.name is not None:
        check_name(checkpoints, options.name)
    launch: Train | Resume
    if options.resume:
        launch = _resume(checkpoints, options)
    else:
        launch = Train(config=build_settings(options), name=options.name or "")
    if options.detach:
        if options.json:
            raise ConfigError("--json and --detach cannot be combined: --json waits for the results")
        work = partial(_train_headless, launch, checkpoints, as_json=False)
        return run_in_child(work, reads_terminal=False)
    if options.headless or options.json:
        return _train_headless(launch, checkpoints, as_json=options.json)
    return open_dashboard(launch, checkpoints)


def _resume(checkpoints: Path, options: argparse.Namespace) -> Resume:
    folder = find_run(checkpoints, options.resume)
    own = build_config(read_config_file(folder / CONFIG_FILE))
    return Resume(folder=folder, config=config_to_resume(folder, build_settings(options, base=own)))


def _train_headless(
    launch: Train | Resume, checkpoints: Path, parent: ParentLink | None = None, *, as_json: bool
) -> int:
    from cifar_tui.cli.headless import train_headless

    resume = launch.folder if isinstance(launch, Resume) else None
    name = launch.name if isinstance(launch, Train) else ""
    return train_headless(
        launch.config, checkpoints=checkpoints, as_json=as_json, resume=resume, name=name, parent=parent
    )
