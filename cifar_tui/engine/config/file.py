"""Settings in a TOML file, such as the `config.toml` of a run. Imports no torch."""

import codecs
import contextlib
import dataclasses
import io
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tomli_w

from cifar_tui.engine.config.schema import TrainConfig, setting_field
from cifar_tui.engine.errors import ConfigError

_MAX_BYTES = 1 << 20
_MAX_TEXT = 4096  # the longest path
_BITS = 64  # of a whole number in TOML
_MAX_SHOWN = 120


def read_config_file(path: Path) -> dict[str, Any]:
    """The settings in a TOML file, such as the `config.toml` of a run, by name.

    Takes what editors and shells of other systems write: a byte order mark, UTF-16 with one, any line ends.

    Raises:
        ConfigError: the file cannot be read, is not TOML, has an unknown setting, or a value that no setting
            has, such as a list, a date or a number of more than 64 bits.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
        if len(content) > _MAX_BYTES:
            raise ConfigError(f"'{path}' is larger than 1 MiB: give a TOML file with settings")
        utf_16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        encoding = "utf-16" if utf_16 else "utf-8-sig"
        values = tomllib.loads(io.TextIOWrapper(io.BytesIO(content), encoding).read())
    except OSError as error:
        raise ConfigError(
            f"cannot read the config file '{path}': {error.strerror}; check that it exists and is readable"
        ) from None
    except RecursionError:
        raise ConfigError(f"'{path}' is not a TOML file with settings: its values are nested") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"'{path}' is not a TOML file: {_cut(str(error))}") from None
    except ValueError:  # of thousands of digits
        raise ConfigError(f"'{path}' has a number of more than 64 bits") from None
    for name, value in values.items():
        with errors_in_file(path):
            setting_field(_cut(name))
        if isinstance(value, str):
            fits = len(value) <= _MAX_TEXT
        else:
            fits = isinstance(value, float) or (isinstance(value, int) and value.bit_length() < _BITS)
        if not fits:
            raise ConfigError(
                f"{name} in '{path}' must be a number of up to {_BITS} bits, true, false, or text of up to "
                f"{_MAX_TEXT} characters",
                field=name,
            )
    return values


@contextlib.contextmanager
def errors_in_file(path: Path) -> Iterator[None]:
    """Name the file that the settings in a block come from.

    Raises:
        ConfigError: that of the block, after the name of the file.
    """
    try:
        yield
    except ConfigError as error:
        raise ConfigError(f"'{path}': {error}", field=error.field) from None


def config_to_toml(config: TrainConfig) -> str:
    """`config` as TOML that `read_config_file` reads; an empty setting is an empty string."""
    values = dataclasses.asdict(config)
    return tomli_w.dumps({name: "" if value is None else value for name, value in values.items()})


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…"
