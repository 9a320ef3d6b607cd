"""`TrainConfig`: every setting of a run, the presets, and every check of a value. Imports no torch."""

import dataclasses
import difflib
import math
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli_w

from cifar_tui.engine.errors import ConfigError

DATA_KEYWORDS = ("auto", "cifar10", "synthetic")
MODELS = ("net",)
STEP_PATHS = ("auto", "eager", "fast")

_MAX_SEED = 2**63 - 1


def _setting(default: Any, label: str, description: str, check: Callable[[Any], str | None]) -> Any:  # noqa: ANN401 - a setting has its own type
    """A dataclass field that knows how the form labels it and why a value is wrong (None: it is right)."""
    return dataclasses.field(
        default=default, metadata={"label": label, "description": description, "check": check}
    )


def _whole(low: int, high: int) -> Callable[[int], str | None]:
    def check(value: int) -> str | None:
        return None if low <= value <= high else f"must be a whole number from {low} to {high}"

    return check


def _number(
    low: float, high: float, *, above: bool = False, below: bool = False
) -> Callable[[float], str | None]:
    start = f"above {low:g}" if above else f"from {low:g}"
    end = f"and below {high:g}" if below else f"to {high:g}"
    sentence = f"must be a number {start} {end}"

    def check(value: float) -> str | None:
        too_low = value <= low if above else value < low
        too_high = value >= high if below else value > high
        return sentence if not math.isfinite(value) or too_low or too_high else None

    return check


def _one_of(*names: str) -> Callable[[str], str | None]:
    def check(value: str) -> str | None:
        return None if value in names else f"must be one of {', '.join(names)}{_suggestion(value, names)}"

    return check


def _device(value: str) -> str | None:
    right = re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", value)
    return None if right else "must be auto, cpu, cuda, cuda:N or mps"


def _not_empty(value: str) -> str | None:
    return None if value.strip() else "must not be empty"


def _preset(value: str) -> str | None:
    return _one_of(*PRESETS)(value)


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainConfig:
    """Every setting of a run; the defaults are the PyTorch tutorial's.

    Raises:
        ConfigError: a value is outside its range; the message names the field and says what it may be.
    """

    preset: str = _setting("tutorial", "preset", "the recipe the other settings start from", _preset)
    data: str = _setting("auto", "data", "auto, cifar10, synthetic, or a folder of images", _not_empty)
    data_dir: str = _setting("data", "data folder", "where downloads and caches are kept", _not_empty)
    device: str = _setting("auto", "device", "auto, cpu, cuda, cuda:N or mps", _device)
    model: str = _setting("net", "model", "the network", _one_of(*MODELS))
    epochs: int = _setting(2, "epochs", "passes over the training images", _whole(1, 100_000))
    batch_size: int = _setting(4, "batch size", "training images to a step", _whole(1, 65_536))
    learning_rate: float = _setting(0.001, "learning rate", "step size of SGD", _number(0, 100, above=True))
    momentum: float = _setting(0.9, "momentum", "of SGD", _number(0, 1, below=True))
    weight_decay: float = _setting(0.0, "weight decay", "L2 penalty of SGD", _number(0, 10))
    seed: int = _setting(0, "seed", "of everything random", _whole(0, _MAX_SEED))
    loss_window: int = _setting(2000, "loss window", "batches to a line of the log", _whole(1, 10_000_000))
    point_every: int = _setting(
        0,
        "chart point",
        "batches to a point of the charts; 0: as many as make 200 images",
        _whole(0, 100_000),
    )
    evaluate_every: int = _setting(
        1,
        "evaluate every",
        "epochs between evaluations of the test set; 0: only at the end",
        _whole(0, 100_000),
    )

    validation_images: int = _setting(
        0,
        "validation",
        "training images held out, on which the best epoch is chosen; 0: none",
        _whole(0, 10_000_000),
    )
    checkpoint_every: int = _setting(
        1, "save every", "epochs between checkpoints; 0: none at epochs", _whole(0, 100_000)
    )
    checkpoint_minutes: float = _setting(
        3.0, "save minutes", "minutes between checkpoints; 0: none by the clock", _number(0, 100_000)
    )
    step_path: str = _setting(
        "auto",
        "step path",
        "eager: to the bit of the tutorial; fast: compiled, the same to rounding; auto: the sooner done",
        _one_of(*STEP_PATHS),
    )

    def __post_init__(self) -> None:
        for field in SETTINGS.values():
            value = getattr(self, field.name)
            reason = _type_error(field, value) or field.metadata["check"](value)
            if reason:
                raise ConfigError(f"{field.name} {value!r} {reason}", field=field.name)

    def replace(self, **values: Any) -> "TrainConfig":  # noqa: ANN401 - a setting has its own type
        """A copy with `values` in place of the old ones, checked again."""
        return dataclasses.replace(self, **values)


SETTINGS: dict[str, "dataclasses.Field[Any]"] = {
    field.name: field for field in dataclasses.fields(TrainConfig)
}
"""The fields of `TrainConfig` in the order of the form; `metadata` has `label`, `description` and `check`."""

PRESETS: dict[str, dict[str, Any]] = {
    # https://docs.pytorch.org/tutorials/beginner/blitz/cifar10_tutorial.html
    "tutorial": {
        "model": "net",
        "epochs": 2,
        "batch_size": 4,
        "learning_rate": 0.001,
        "momentum": 0.9,
        "weight_decay": 0.0,
        "loss_window": 2000,
    },
}


def preset_config(preset: str) -> TrainConfig:
    """The settings of a preset.

    Raises:
        ConfigError: there is no such preset.
    """
    return TrainConfig(**{"preset": preset, **PRESETS.get(preset, {})})


def parse_setting(name: str, text: str) -> Any:  # noqa: ANN401 - a setting has its own type
    """The value of the setting `name` that the user wrote as `text`.

    Raises:
        ConfigError: no such setting, text where a number is needed, or a value out of range.
    """
    field = _field(name)
    text = text.strip()
    value: Any = text
    try:
        if field.type is int:
            value = int(text.replace("_", ""))
        elif field.type is float:
            value = float(text)
    except ValueError:
        kind = "a whole number" if field.type is int else "a number"
        raise ConfigError(f"{name} {text!r} must be {kind}", field=name) from None
    reason = field.metadata["check"](value)
    if reason:
        raise ConfigError(f"{name} {text!r} {reason}", field=name)
    return value


def build_config(values: Mapping[str, Any], *, base: TrainConfig | None = None) -> TrainConfig:
    """The settings of the preset that `values` (or `base`) names, with `base` and then `values` on top.

    Args:
        values: settings by name, typed as in `TrainConfig`.
        base: settings to start from in place of the preset's, if `values` names no preset.

    Raises:
        ConfigError: an unknown setting, or a value of the wrong type or out of range.
    """
    for name in values:
        _field(name)
    if base is None or "preset" in values:
        base = preset_config(values.get("preset", "tutorial"))
    return base.replace(**{name: _widened(name, value) for name, value in values.items()})


def read_config_file(path: Path) -> dict[str, Any]:
    """The settings in a TOML file, such as the `config.toml` of a run, by name.

    Raises:
        ConfigError: the file cannot be read, is not TOML, or has an unknown setting.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read the configuration {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not a TOML file: {error}") from None
    for name in values:
        _field(name)
    return values


def config_to_toml(config: TrainConfig) -> str:
    """`config` as TOML that `read_config_file` reads."""
    return tomli_w.dumps(dataclasses.asdict(config))


def _field(name: str) -> "dataclasses.Field[Any]":
    if name not in SETTINGS:
        hint = _suggestion(name, SETTINGS) or f"; known are {', '.join(SETTINGS)}"
        raise ConfigError(f"unknown setting {name!r}{hint}")
    return SETTINGS[name]


def _suggestion(name: str, known: Any) -> str:  # noqa: ANN401 - a setting has its own type
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _widened(name: str, value: Any) -> Any:  # noqa: ANN401 - a setting has its own type
    """A whole number where a float is wanted as that float; `TrainConfig` checks anything else."""
    if SETTINGS[name].type is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return value


def _type_error(field: "dataclasses.Field[Any]", value: object) -> str | None:
    right = {
        int: isinstance(value, int) and not isinstance(value, bool),
        float: isinstance(value, float),
        str: isinstance(value, str),
    }
    kinds = {int: "a whole number", float: "a number", str: "text"}
    kind = next(kind for kind in kinds if field.type is kind)
    return None if right[kind] else f"must be {kinds[kind]}"
