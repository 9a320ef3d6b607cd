"""`cifar-tui eval`: evaluate a run's latest weights or a weights file, with the settings of its run."""

import argparse
from pathlib import Path

from cifar_tui.app.launch import Evaluate
from cifar_tui.cli.dashboard import has_terminal, open_dashboard
from cifar_tui.cli.parser import build_given, checkpoints_folder, given_settings
from cifar_tui.engine.layout import WEIGHTS_FILE
from cifar_tui.runs.disk.config import read_run_config
from cifar_tui.runs.disk.store import find_run, is_run

_WEIGHTS_SUFFIXES = {".pth", ".pt", ".tar", ".ckpt", ".bin", ".safetensors"}


def evaluate(options: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    checkpoints = checkpoints_folder(options)
    weights = find_weights(checkpoints, options.target)
    base = read_run_config(weights.parent) if is_run(weights.parent) else None
    named = given_settings(options)
    config = build_given(options, named, base=base)
    seed = config.seed if "seed" in named else None
    launch = Evaluate(
        weights=weights,
        config=config,
        any_model=base is None and named.keys().isdisjoint({"model", "preset"}),
        trained_seed=seed if base is None else base.seed,
        assume_class_order=options.assume_class_order,
        edited_model="model" in named,
    )
    if options.headless or options.json or not has_terminal():
        from cifar_tui.cli.headless import evaluate_headless

        return evaluate_headless(launch, checkpoints=checkpoints, as_json=options.json)
    return open_dashboard(launch, checkpoints)


def find_weights(checkpoints: Path, target: str) -> Path:
    """Return the file of weights `target`, or that of the run called `target`.

    Raises:
        ConfigError: no run is called so.
    """
    path = Path(target)
    if path.is_file() or path.suffix in _WEIGHTS_SUFFIXES:
        return path
    return find_run(checkpoints, target) / WEIGHTS_FILE
