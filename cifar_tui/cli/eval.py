"""`cifar-tui eval`: evaluate a run's latest weights or a weights file, with the settings of its run."""

import argparse
from pathlib import Path

from cifar_tui.app.launch import Evaluate
from cifar_tui.cli.dashboard import has_terminal, open_dashboard
from cifar_tui.cli.parser import build_settings, checkpoints_folder
from cifar_tui.engine.config.file import read_config_file
from cifar_tui.engine.config.schema import build_config
from cifar_tui.engine.layout import CONFIG_FILE, WEIGHTS_FILE
from cifar_tui.runs.disk.store import find_run, is_run

_WEIGHTS_SUFFIXES = {".pth", ".pt"}


def evaluate(options: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    checkpoints = checkpoints_folder(options)
    weights = Path(options.target)
    if not weights.is_file() and weights.suffix not in _WEIGHTS_SUFFIXES:
        weights = find_run(checkpoints, options.target) / WEIGHTS_FILE
    run = weights.parent
    base = build_config(read_config_file(run / CONFIG_FILE)) if is_run(run) else None
    config = build_settings(options, base=base)
    if options.headless or options.json or not has_terminal():
        from cifar_tui.cli.headless import evaluate_headless

        return evaluate_headless(config, weights, checkpoints=checkpoints, as_json=options.json)
    return open_dashboard(Evaluate(weights=weights, config=config), checkpoints)
