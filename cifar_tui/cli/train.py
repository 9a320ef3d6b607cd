"""`cifar-tui train`: start or resume a training run in the dashboard, headless or in the background."""

import argparse
from functools import partial
from pathlib import Path

from cifar_tui.app.launch import Resume, Train
from cifar_tui.cli.dashboard import open_dashboard
from cifar_tui.cli.interrupted import interrupted_run
from cifar_tui.cli.output import print_message, results_lost
from cifar_tui.cli.parser import build_given, build_settings, checkpoints_folder, given_settings
from cifar_tui.engine.distributed.launch import Launch, launched
from cifar_tui.engine.errors import ConfigError
from cifar_tui.runs.disk.config import read_run_config
from cifar_tui.runs.disk.job import run_of_job
from cifar_tui.runs.disk.store import check_name, find_run, how_to_continue, label_of
from cifar_tui.runs.resume_config import config_to_resume
from cifar_tui.terminal.supervisor import ParentLink, run_in_child


def train(options: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    checkpoints = checkpoints_folder(options)
    if options.resume and options.name:
        raise ConfigError("--name and --resume cannot be combined: a resumed run keeps its name")
    if options.json and options.detach:
        raise ConfigError("--json and --detach cannot be combined: --json waits for the results")
    rank = launched()
    if rank is not None:
        _check_in_job(options)
        if options.resume:
            own = run_of_job(checkpoints, rank.job) if rank.restarts else None
            options.resume = options.resume if own is None else own.name  # "latest" may be another run by now
    launch = _resume(checkpoints, options) if options.resume else _start(checkpoints, options, rank)
    if options.gpus is not None:
        from cifar_tui.cli.torchrun import train_on_gpus

        return train_on_gpus(options, launch, checkpoints)
    if options.detach:
        work = partial(_train_headless, launch, checkpoints, as_json=False)
        return run_in_child(
            work, reads_terminal=False, how_to_continue=how_to_continue, results_lost=results_lost
        )
    if options.headless or options.json:
        return _train_headless(launch, checkpoints, as_json=options.json)
    return open_dashboard(launch, checkpoints)


def _start(checkpoints: Path, options: argparse.Namespace, rank: Launch | None) -> Train | Resume:
    """Return what a command without --resume trains: a new run, or the interrupted one that it has begun.

    In the dashboard, the user decides what becomes of an interrupted run.

    Raises:
        ConfigError: the settings are wrong, or another run has the name.
    """
    if options.assume_class_order:
        raise ConfigError("--assume-class-order needs --resume: a new run has no classes yet")
    config = build_settings(options)
    if options.headless or options.json or options.detach:
        processes = (options.gpus or 1) if rank is None else rank.size
        interrupted = interrupted_run(
            checkpoints, config, launch=rank, name=options.name, processes=processes
        )
        if interrupted is not None:
            if options.gpus is None:  # else its processes say so
                print_message(f"cifar-tui: resuming run {label_of(interrupted)}, which was interrupted")
            return Resume(folder=interrupted, config=config_to_resume(interrupted))
    if options.name is not None:
        check_name(checkpoints, options.name)
    return Train(config=config, name=options.name or "")


def _check_in_job(options: argparse.Namespace) -> None:
    """Check that a process which torchrun has started needs no terminal.

    Raises:
        ConfigError: it does.
    """
    if options.gpus is not None:
        raise ConfigError("--gpus starts torchrun, which has started this process: leave out one of them")
    if options.detach or not (options.headless or options.json):
        raise ConfigError(
            "torchrun starts processes without a terminal: add --headless, and watch with: cifar-tui attach"
        )


def _resume(checkpoints: Path, options: argparse.Namespace) -> Resume:
    folder = find_run(checkpoints, options.resume)
    own = read_run_config(folder)
    named = given_settings(options)
    config = config_to_resume(folder, build_given(options, named, base=own))
    return Resume(
        folder=folder,
        config=config,
        assume_class_order=options.assume_class_order,
        edited_model="model" in named,
    )


def _train_headless(
    launch: Train | Resume, checkpoints: Path, parent: ParentLink | None = None, *, as_json: bool
) -> int:
    from cifar_tui.cli.headless import train_headless

    resume = launch.folder if isinstance(launch, Resume) else None
    name = launch.name if isinstance(launch, Train) else ""
    return train_headless(
        launch.config,
        checkpoints=checkpoints,
        as_json=as_json,
        resume=resume,
        name=name,
        parent=parent,
        assume_class_order=isinstance(launch, Resume) and launch.assume_class_order,
        edited_model=isinstance(launch, Resume) and launch.edited_model,
    )
