"""`TrainConfig`: every setting of a run and the check of each value. Imports no torch."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cifar_tui.engine.config.combinations import check_combinations
from cifar_tui.engine.config.fields import (
    Group,
    choice,
    not_empty,
    number,
    setting,
    suggestion,
    switch,
    type_error,
    whole,
    widened,
)
from cifar_tui.engine.config.presets import PRESETS
from cifar_tui.engine.config.recipe import RecipeSettings
from cifar_tui.engine.errors import ConfigError
from cifar_tui.engine.steps.registry import BACKENDS

Setting = int | float | str | bool | None
"""The value of a setting."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainConfig(RecipeSettings):
    """Every setting of a run; the defaults are the PyTorch tutorial's.

    Raises:
        ConfigError: a value is out of range; the message names the setting and the range.
    """

    eval_every: int = setting(
        1,
        "epochs between evaluations on the test set",
        whole(0, 100_000),
        in_step=False,
        resumable=True,
        group=Group.EVALUATION,
        words={"at the end": 0},
    )
    val_size: int = setting(
        0,
        "training images held out for validation; best.pt has the weights of the best epoch, while tests use "
        "the last ones",
        whole(0, 10_000_000),
        in_step=False,
        in_recipe=False,
        group=Group.EVALUATION,
        words={"none": 0},
    )
    patience: int = setting(
        0,
        "stop after so many epochs without a better validation accuracy; needs validation images (val_size)",
        whole(0, 100_000),
        in_step=False,
        in_recipe=False,
        resumable=True,
        group=Group.EVALUATION,
        words={"none": 0},
        later=True,
    )
    tta: str = choice(
        "none",
        "test-time augmentation; mirror: average with the mirror image; mirror+translate: also with "
        "one-pixel shifts",
        ("none", "mirror", "mirror+translate"),
        in_step=False,
        resumable=True,
        group=Group.EVALUATION,
    )
    log_every: int = setting(
        2000, "batches per log line", whole(1, 10_000_000), in_step=False, group=Group.EVALUATION
    )
    chart_every: int = setting(
        0,
        "batches per chart point",
        whole(0, 100_000),
        in_step=False,
        group=Group.EVALUATION,
        words={"auto": 0},
    )
    checkpoint_every_epochs: int = setting(
        1,
        "epochs between checkpoints",
        whole(0, 100_000),
        in_step=False,
        resumable=True,
        group=Group.SAVING,
        words={"never": 0},
    )
    checkpoint_every_minutes: float = setting(
        3.0,
        "minutes between checkpoints",
        number(0, 100_000),
        in_step=False,
        in_recipe=False,
        resumable=True,
        group=Group.SAVING,
        words={"never": 0.0},
    )
    backend: str = choice(
        "auto",
        "what runs the training steps; eager: plain PyTorch, bit-identical to the tutorial; "
        "auto: the fastest available",
        ("auto", *BACKENDS),
        in_step=False,
        in_recipe=False,
        group=Group.MACHINE,
    )
    precision: str = choice(
        "fp32",
        "floating-point precision of training; auto: bf16 on a GPU that supports it natively or a CPU that "
        "is clearly faster with it, else fp32; on a CPU, bf16 means auto",
        ("auto", "fp32", "tf32", "bf16", "fp16"),
        group=Group.MACHINE,
    )
    channels_last: bool = switch(
        default=False,
        description="keep the channels of a pixel together in memory: often faster convolutions",
        group=Group.MACHINE,
    )
    accumulate: int = setting(
        1,
        "parts of a batch, computed one after the other where a batch does not fit into memory: the same "
        "arithmetic, except that batch norm sees the parts",
        whole(1, 65_536),
        in_recipe=False,
        group=Group.MACHINE,
        words={"none": 1},
        later=True,
    )
    sync_batchnorm: bool = switch(
        default=False,
        description="batch norm over the whole batch with several processes, on GPUs; otherwise each sees "
        "its part, and the statistics of the first one are saved",
        in_recipe=False,
        group=Group.MACHINE,
        later=True,
    )
    rank_timeout: float = setting(
        30.0,
        "minutes until one of several processes that does not answer counts as lost",
        number(0, 100_000, above=True),
        in_step=False,
        in_recipe=False,
        resumable=True,
        group=Group.MACHINE,
        later=True,
    )
    compile: str = choice(
        "no",
        "compile the model with torch.compile; auto: on a CUDA GPU",
        ("no", "yes", "auto"),
        group=Group.MACHINE,
    )
    data_dir: str = setting(
        "data",
        "folder for downloads and caches",
        not_empty,
        in_step=False,
        in_recipe=False,
        resumable=True,
        group=Group.MACHINE,
    )

    def __post_init__(self) -> None:
        for field in SETTINGS.values():
            value = getattr(self, field.name)
            reason = type_error(field, value) or field.metadata["check"](value)
            if reason:
                raise ConfigError(f"{field.name} {value!r} {reason}", field=field.name)
        check_combinations(self)

    def replace(self, **values: Setting) -> "TrainConfig":
        """A copy with other `values`, checked again."""
        typed: dict[str, Any] = dict(values)  # every value is checked against the type of its field
        return dataclasses.replace(self, **typed)


SETTINGS: dict[str, "dataclasses.Field[Any]"] = {
    field.name: field for field in dataclasses.fields(TrainConfig)
}
"""The fields of `TrainConfig` in the order of the form; for their `metadata` see `fields.setting`."""

LATER: dict[str, Any] = {name: field.default for name, field in SETTINGS.items() if field.metadata["later"]}
"""What the runs of earlier versions were trained with, and do not say."""


def setting_field(name: str) -> "dataclasses.Field[Any]":
    """The field of the setting `name`.

    Raises:
        ConfigError: there is no such setting.
    """
    if name not in SETTINGS:
        hint = suggestion(name, SETTINGS) or "; cifar-tui train --help lists them"
        raise ConfigError(f"unknown setting {name!r}{hint}")
    return SETTINGS[name]


def preset_values(preset: str) -> dict[str, Setting]:
    """The value of every setting that belongs to a recipe, in the preset `preset`."""
    recipe = (field for field in SETTINGS.values() if field.metadata["in_recipe"])
    return {field.name: PRESETS[preset].get(field.name, field.default) for field in recipe}


def preset_config(preset: str) -> TrainConfig:
    """The settings of a preset.

    Raises:
        ConfigError: there is no such preset.
    """
    return TrainConfig(**{"preset": preset, **PRESETS.get(preset, {})})


def build_config(values: Mapping[str, Any], *, base: TrainConfig | None = None) -> TrainConfig:
    """The settings of the preset that `values` or `base` names, then `base`, then `values` on top.

    Args:
        values: settings by name, typed as in `TrainConfig`.
        base: settings to start from instead of the preset's, unless `values` names a preset.

    Raises:
        ConfigError: an unknown setting, or a value of the wrong type or out of range.
    """
    for name in values:
        setting_field(name)
    if base is None or "preset" in values:
        base = preset_config(values.get("preset", "tutorial"))
    return base.replace(**{name: widened(SETTINGS[name], value) for name, value in values.items()})
