"""Settings in a TOML file, such as the `config.toml` of a run. Imports no torch."""

import dataclasses
import tomllib
from pathlib import Path
from typing import Any

import tomli_w

from cifar_tui.engine.config.schema import TrainConfig, setting_field
from cifar_tui.engine.errors import ConfigError


def read_config_file(path: Path) -> dict[str, Any]:
    """The settings in a TOML file, such as the `config.toml` of a run, by name.

    Raises:
        ConfigError: the file cannot be read, is not TOML, or has an unknown setting.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"cannot read the config file '{path}': {error.strerror}; check that it exists and is readable"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"'{path}' is not a TOML file: {error}") from None
    for name in values:
        setting_field(name)
    return values


def config_to_toml(config: TrainConfig) -> str:
    """`config` as TOML that `read_config_file` reads; an empty setting is an empty string."""
    values = dataclasses.asdict(config)
    return tomli_w.dumps({name: "" if value is None else value for name, value in values.items()})
