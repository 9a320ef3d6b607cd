"""The settings of a run, which are its own: the same folders from any working directory."""

from pathlib import Path

from cifar_tui.engine.config.file import errors_in_file, read_config_file
from cifar_tui.engine.config.schema import TrainConfig, build_config
from cifar_tui.engine.data.registry import PUBLISHED_PREFIX, SOURCES, user_path
from cifar_tui.engine.disk.regular import read_regular
from cifar_tui.engine.errors import ConfigError
from cifar_tui.engine.layout import CONFIG_FILE
from cifar_tui.engine.models.own.name import absolute_model

MOST_CONFIG_BYTES = 1 << 20


def read_run_config(folder: Path) -> TrainConfig:
    """Read the `config.toml` of the run in `folder`.

    Raises:
        ConfigError: it cannot be read, is not a regular file, or has an invalid setting.
    """
    path = folder / CONFIG_FILE
    try:
        read_regular(path, limit=MOST_CONFIG_BYTES)
    except OSError as error:
        raise ConfigError(
            f"cannot read the config file '{path}': {error.strerror}; put the run's own config.toml there"
        ) from None
    values = read_config_file(path)
    with errors_in_file(path):
        return build_config(values)


def with_absolute_folders(config: TrainConfig) -> TrainConfig:
    """Return `config` with the absolute paths of images, downloads, a net of the user's and weights."""
    named = config.data in SOURCES or config.data.startswith(PUBLISHED_PREFIX)  # one with a typo too
    return config.replace(
        model=absolute_model(config.model),
        data=config.data if named else str(user_path(config.data).absolute()),
        weights=config.weights and str(user_path(config.weights).absolute()),
        data_dir=str(user_path(config.data_dir).absolute()),
    )
