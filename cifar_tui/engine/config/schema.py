"""`TrainConfig`: every setting of a run, the presets, and every check of a value. Imports no torch."""

import dataclasses
import difflib
import math
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli_w

from cifar_tui.engine.config.presets import PRESETS
from cifar_tui.engine.errors import ConfigError

DATA_KEYWORDS = ("auto", "cifar10", "synthetic")
MODELS = (
    "net",
    "resnet18",
    "airbench-tiny",
    "airbench-small",
    "airbench-32",
    "airbench-64",
    "airbench94",
    "airbench95",
    "airbench96",
)
Setting = int | float | str | bool
"""The value of a setting."""

BACKENDS = ("auto", "eager", "fast")

_MAX_SEED = 2**63 - 1
_KINDS: dict[Any, str] = {int: "a whole number", float: "a number", str: "text", bool: "yes or no"}
_TOML_KINDS = _KINDS | {bool: "true or false, without quotes"}
_SWITCH_WORDS = {"yes": True, "true": True, "on": True, "1": True} | {
    "no": False,
    "false": False,
    "off": False,
    "0": False,
}


def _setting(
    default: Any,  # noqa: ANN401 - a field takes it for a default of its own type
    label: str,
    description: str,
    check: Callable[[Any], str | None],
    suggestions: tuple[str, ...] = (),
) -> Any:  # noqa: ANN401 - see above
    """A dataclass field that knows why a value is wrong (None: it is right) and what the form suggests."""
    metadata = {"label": label, "description": description, "check": check, "suggestions": suggestions}
    return dataclasses.field(default=default, metadata=metadata)


def _choice(default: str, label: str, description: str, *names: str) -> Any:  # noqa: ANN401 - see above
    """A field whose value is one of `names`."""
    metadata = {"label": label, "description": description, "check": _one_of(*names), "choices": names}
    return dataclasses.field(default=default, metadata=metadata)


def _switch(default: bool, label: str, description: str) -> Any:  # noqa: ANN401 - see above
    """A field that is on or off."""
    metadata = {"label": label, "description": description, "check": _right, "choices": ("yes", "no")}
    return dataclasses.field(default=default, metadata=metadata)


def _right(value: object) -> None:
    del value


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


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainConfig:
    """Every setting of a run; the defaults are the PyTorch tutorial's.

    Raises:
        ConfigError: a value is outside its range; the message names the field and says what it may be.
    """

    preset: str = _choice("tutorial", "preset", "the recipe the other settings start from", *PRESETS)
    data: str = _setting(
        "auto", "data", "auto, cifar10, synthetic, or a folder of images", _not_empty, DATA_KEYWORDS
    )
    data_dir: str = _setting("data", "data folder", "where downloads and caches are kept", _not_empty)
    device: str = _setting(
        "auto", "device", "auto, cpu, cuda, cuda:N or mps", _device, ("auto", "cpu", "cuda", "cuda:0", "mps")
    )
    model: str = _choice("net", "model", "the network", *MODELS)
    epochs: int = _setting(2, "epochs", "passes over the training images", _whole(1, 100_000))
    batch_size: int = _setting(4, "batch size", "training images to a step", _whole(1, 65_536))
    optimizer: str = _choice(
        "sgd",
        "optimizer",
        "sgd with momentum, also after Nesterov; AdamW; or Muon for filters and Nesterov for the rest",
        *("sgd", "nesterov", "adamw", "muon"),
    )
    learning_rate: float = _setting(
        0.001, "learning rate", "step size of the optimizer", _number(0, 100, above=True)
    )
    bias_lr: float = _setting(
        0.0, "bias rate", "learning rate of biases and normalisation; 0: that of the rest", _number(0, 1000)
    )
    head_lr: float = _setting(
        0.0, "head rate", "learning rate of the last layer; 0: that of the rest", _number(0, 1000)
    )
    momentum: float = _setting(
        0.9, "momentum", "of the optimizer; the first beta of AdamW", _number(0, 1, below=True)
    )
    weight_decay: float = _setting(
        0.0,
        "weight decay",
        "at the learning rate; what has its own rate decays at the same pace",
        _number(0, 10),
    )
    lr_schedule: str = _choice(
        "constant",
        "schedule",
        "how the learning rate goes on after its warm-up",
        *("constant", "linear", "cosine", "one-cycle"),
    )
    warmup_fraction: float = _setting(
        0.0, "warm-up", "share of the steps over which the learning rate rises", _number(0, 1, below=True)
    )
    warmup_start_factor: float = _setting(
        0.2, "warm-up from", "what the learning rate rises from, as a share of it", _number(0, 1)
    )
    final_lr_factor: float = _setting(
        0.0, "final rate", "what the learning rate falls to, as a share of it", _number(0, 1)
    )
    label_smoothing: float = _setting(
        0.0, "smooth labels", "share of a label that goes to all classes alike", _number(0, 1, below=True)
    )
    weight_averaging: str = _choice(
        "none",
        "averaging",
        "of the weights that are saved: a moving average, or lookahead, which also trains on from it",
        *("none", "ema", "lookahead"),
    )
    ema_decay: float = _setting(
        0.95, "average decay", "what a step leaves of the average before it", _number(0, 1, below=True)
    )
    translate: int = _setting(
        0, "translate", "pixels that training images are moved by at most", _whole(0, 16)
    )
    flip: str = _choice(
        "none",
        "flip",
        "mirrors training images: at random, or every other epoch",
        *("none", "random", "alternating"),
    )
    cutout: int = _setting(
        0, "cutout", "side of a square that is cut out of training images, in pixels; 0: none", _whole(0, 32)
    )
    low_res_fraction: float = _setting(
        0.0,
        "small images",
        "share of the epochs, from the first, on images of three quarters the size",
        _number(0, 1, below=True),
    )
    tta: str = _choice(
        "none",
        "test views",
        "views of a test image whose answers are averaged: with its mirror image, or six",
        *("none", "mirror", "six"),
    )
    precision: str = _choice(
        "fp32",
        "precision",
        "that steps are computed in; auto: bf16 where that is faster, else fp32",
        *("auto", "fp32", "tf32", "bf16", "fp16"),
    )
    channels_last: bool = _switch(
        default=False,
        label="channels last",
        description="keeps the channels of a pixel side by side in memory",
    )
    compile: str = _choice(
        "no",
        "compile",
        "compile the net with torch.compile before the first step; auto: on a CUDA GPU",
        *("no", "yes", "auto"),
    )
    seed: int = _setting(0, "seed", "of everything random", _whole(0, _MAX_SEED))
    log_every: int = _setting(2000, "loss window", "batches to a line of the log", _whole(1, 10_000_000))
    chart_every: int = _setting(
        0,
        "chart point",
        "batches to a point of the charts; 0: as many as make 200 images",
        _whole(0, 100_000),
    )
    eval_every: int = _setting(
        1,
        "evaluate every",
        "epochs between evaluations of the test set; 0: only at the end",
        _whole(0, 100_000),
    )

    val_size: int = _setting(
        0,
        "validation",
        "training images held out, on which the best epoch is chosen; 0: none",
        _whole(0, 10_000_000),
    )
    checkpoint_every_epochs: int = _setting(
        1, "save every", "epochs between checkpoints; 0: none at epochs", _whole(0, 100_000)
    )
    checkpoint_every_minutes: float = _setting(
        3.0, "save minutes", "minutes between checkpoints; 0: none by the clock", _number(0, 100_000)
    )
    backend: str = _choice(
        "auto",
        "step path",
        "eager: to the bit of the tutorial; fast: compiled, the same to rounding; auto: the sooner done",
        *BACKENDS,
    )

    def __post_init__(self) -> None:
        for field in SETTINGS.values():
            value = getattr(self, field.name)
            reason = _type_error(field, value) or field.metadata["check"](value)
            if reason:
                raise ConfigError(f"{field.name} {value!r} {reason}", field=field.name)
        if self.optimizer == "nesterov" and self.momentum == 0:
            raise ConfigError("momentum 0.0 must be above 0 for the optimizer nesterov", field="momentum")
        if self.low_res_fraction and self.model == "net":
            raise ConfigError(
                f"low_res_fraction {self.low_res_fraction} needs another model: net takes 32×32 pixels only",
                field="low_res_fraction",
            )
        if self.precision == "fp16" and not self.model.startswith("airbench"):
            raise ConfigError(
                "precision 'fp16' is stable with the airbench models alone: try bf16", field="precision"
            )

    def replace(self, **values: Setting) -> "TrainConfig":
        """A copy with `values` in place of the old ones, checked again."""
        typed: dict[str, Any] = dict(values)  # every value is checked against the type of its field
        return dataclasses.replace(self, **typed)


SETTINGS: dict[str, "dataclasses.Field[Any]"] = {
    field.name: field for field in dataclasses.fields(TrainConfig)
}
"""The fields of `TrainConfig` in the order of the form; `metadata` has `label`, `description` and `check`."""


def preset_config(preset: str) -> TrainConfig:
    """The settings of a preset.

    Raises:
        ConfigError: there is no such preset.
    """
    return TrainConfig(**{"preset": preset, **PRESETS.get(preset, {})})


def parse_setting(name: str, text: str) -> Setting:
    """The value of the setting `name` that the user wrote as `text`.

    Raises:
        ConfigError: no such setting, text where a number is needed, or a value out of range.
    """
    field = _field(name)
    text = text.strip()
    value: Setting = text
    try:
        if field.type is int:
            value = int(text.replace("_", ""))
        elif field.type is float:
            value = float(text)
        elif field.type is bool:
            value = _SWITCH_WORDS[text.lower()]
    except (ValueError, KeyError):
        raise ConfigError(f"{name} {text!r} must be {_KINDS[field.type]}", field=name) from None
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


def _suggestion(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _widened(name: str, value: Setting) -> Setting:
    """A whole number where a float is wanted as that float; `TrainConfig` checks anything else."""
    if SETTINGS[name].type is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return value


def _type_error(field: "dataclasses.Field[Any]", value: object) -> str | None:
    return None if type(value) is field.type else f"must be {_TOML_KINDS[field.type]}"
