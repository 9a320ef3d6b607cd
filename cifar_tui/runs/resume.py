"""What a run can be resumed with."""

import dataclasses
from pathlib import Path

from cifar_tui.engine.config.schema import TrainConfig, build_config, read_config_file
from cifar_tui.engine.errors import ConfigError
from cifar_tui.engine.layout import CONFIG_FILE, LAST_FILE, REPORT_FILE
from cifar_tui.runs.disk.run_lock import owner_of, refusal
from cifar_tui.runs.disk.summary import read_summary, rebuild_summary

_CHANGEABLE = {
    "epochs",
    "data",
    "data_dir",
    "device",
    "tta",
    "eval_every",
    "checkpoint_every_epochs",
    "checkpoint_every_minutes",
}
"""What may change without changing what the steps compute; for other images an alert says so."""


def config_to_resume(folder: Path, wanted: TrainConfig | None = None) -> TrainConfig:
    """The settings to go on with the run in `folder` with: its own, or `wanted` where that can be.

    Raises:
        ConfigError: it is live, has no checkpoint, is complete, or `wanted` would make it another run.
    """
    own = build_config(read_config_file(folder / CONFIG_FILE))
    config = wanted or own
    name = folder.name
    owner = owner_of(folder)
    if owner.live:
        raise refusal(name, owner)
    if not (folder / LAST_FILE).is_file():
        raise ConfigError(f"run {name} has no checkpoint to go on from: train anew")
    for field in dataclasses.fields(TrainConfig):
        before, after = getattr(own, field.name), getattr(config, field.name)
        if before != after and field.name not in _CHANGEABLE:
            raise ConfigError(
                f"run {name} was started with {field.name} {before} and keeps it: "
                f"leave {field.name} {after} out",
                field=field.name,
            )
    summary = read_summary(folder) or rebuild_summary(folder)
    if summary is not None and config.epochs < summary.epoch:
        raise ConfigError(
            f"run {name} is in epoch {summary.epoch} already: give at least as many epochs", field="epochs"
        )
    complete = summary is not None and summary.completed and (folder / REPORT_FILE).is_file()
    if complete and config.epochs <= own.epochs:
        raise ConfigError(f"run {name} is complete: to train on, give more epochs than {own.epochs}")
    return config
