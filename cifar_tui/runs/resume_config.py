"""Check that a run can be resumed, and with which settings."""

from pathlib import Path

from cifar_tui.engine.config.file import read_config_file
from cifar_tui.engine.config.schema import SETTINGS, TrainConfig, build_config
from cifar_tui.engine.errors import ConfigError
from cifar_tui.engine.layout import CONFIG_FILE, LAST_FILE, REPORT_FILE
from cifar_tui.runs.disk.run_lock import check_not_live
from cifar_tui.runs.disk.summary import read_summary


def config_to_resume(folder: Path, wanted: TrainConfig | None = None) -> TrainConfig:
    """Return the settings to resume the run in `folder` with: `wanted`, or by default its own.

    Raises:
        ConfigError: the run is live, has no checkpoint or is finished, or `wanted` changes a setting that is
            not resumable.
    """
    own = build_config(read_config_file(folder / CONFIG_FILE))
    config = wanted or own
    name = folder.name
    check_not_live(folder)
    if not (folder / LAST_FILE).is_file():
        raise ConfigError(f"run {name}: no checkpoint to resume from")
    for setting, field in SETTINGS.items():
        before, after = getattr(own, setting), getattr(config, setting)
        if before != after and not field.metadata["resumable"]:
            raise ConfigError(
                f"run {name} cannot be resumed with {setting} {after!r}: it was trained with {before!r}",
                field=setting,
            )
    summary = read_summary(folder)
    if summary is None:
        return config
    if config.epochs < summary.epoch:
        raise ConfigError(
            f"run {name} is already in epoch {summary.epoch}; set epochs to at least {summary.epoch}",
            field="epochs",
        )
    if summary.completed and (folder / REPORT_FILE).is_file() and config.epochs <= own.epochs:
        raise ConfigError(
            f"run {name} is already finished; to train longer: cifar-tui train --resume {name} "
            f"--epochs N, with N above {own.epochs}"
        )
    return config
