"""`TrainConfig`: every setting of a run and the check of each value. Imports no torch."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cifar_tui.engine.config.combinations import check_combinations
from cifar_tui.engine.config.fields import (
    Group,
    choice,
    device_name,
    not_empty,
    number,
    setting,
    suggestion,
    switch,
    type_error,
    whole,
    widened,
)
from cifar_tui.engine.config.presets import PRESET_SUMMARIES, PRESETS
from cifar_tui.engine.data.registry import SOURCES
from cifar_tui.engine.errors import ConfigError
from cifar_tui.engine.models.own.name import FORM
from cifar_tui.engine.models.registry import MODELS, model_problem
from cifar_tui.engine.optim.lr_schedule import LR_SCHEDULES
from cifar_tui.engine.optim.registry import OPTIMIZERS
from cifar_tui.engine.steps.registry import BACKENDS

Setting = int | float | str | bool | None
"""The value of a setting."""

_MAX_SEED = 2**63 - 1


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainConfig:
    """Every setting of a run; the defaults are the PyTorch tutorial's.

    Raises:
        ConfigError: a value is out of range; the message names the setting and the range.
    """

    preset: str = choice(
        "tutorial",
        "recipe that the other settings start from",
        PRESETS,
        explained=PRESET_SUMMARIES,
        in_step=False,
        in_recipe=False,
        group=Group.ESSENTIALS,
    )
    data: str = setting(
        "auto",
        "cifar10 (auto: the same), torchvision:NAME, synthetic, a folder, .csv, .npz, cifar-10-python.tar.gz",
        not_empty,
        suggestions=SOURCES,
        in_step=False,
        in_recipe=False,
        resumable=True,
        group=Group.ESSENTIALS,
        folder=True,
    )
    model: str = setting(
        PRESETS["tutorial"]["model"],
        "model architecture, or a net of your own: FILE.py:NAME, a class or function that makes it",
        model_problem,
        choices=MODELS,
        explained={name: spec.summary for name, spec in MODELS.items()},
        other=FORM,
        group=Group.ESSENTIALS,
    )
    epochs: int = setting(
        2,
        "passes over the training images",
        whole(1, 100_000),
        in_step=False,
        resumable=True,
        group=Group.ESSENTIALS,
    )
    batch_size: int = setting(4, "training images per step", whole(1, 65_536), group=Group.ESSENTIALS)
    learning_rate: float = setting(
        0.001, "step size of the optimizer", number(0, 100, above=True), group=Group.ESSENTIALS
    )
    device: str = setting(
        "auto",
        "auto, cpu, cuda, cuda:N or mps",
        device_name,
        suggestions=("auto", "cpu", "cuda", "cuda:0", "mps"),
        in_step=False,
        in_recipe=False,
        resumable=True,
        group=Group.ESSENTIALS,
    )
    seed: int = setting(
        0,
        "seed of weights, order, augmentation, random splits and synthetic images; repeatable on a CPU",
        whole(0, _MAX_SEED),
        in_step=False,
        in_recipe=False,
        group=Group.ESSENTIALS,
    )
    optimizer: str = choice(
        "sgd",
        "sgd, nesterov, adamw, or muon (convolution filters only; Nesterov SGD for the rest)",
        OPTIMIZERS,
        group=Group.OPTIMIZER,
    )
    momentum: float = setting(
        0.9,
        "share of the last update kept in the next; beta1 for adamw; for muon, that of convolution filters "
        "(0.85 for the rest)",
        number(0, 1, below=True),
        group=Group.OPTIMIZER,
    )
    weight_decay: float = setting(
        0.0,
        "pull of the weights towards 0, rescaled where bias_lr and head_lr apply so that all weights decay "
        "equally fast; with muon, none on convolution filters",
        number(0, 10),
        group=Group.OPTIMIZER,
    )
    bias_lr: float | None = setting(
        None,
        "learning rate of biases and norms",
        number(0, 1000, above=True),
        group=Group.OPTIMIZER,
        words={"same as learning_rate": None},
    )
    head_lr: float | None = setting(
        None,
        "learning rate of the last layer",
        number(0, 1000, above=True),
        group=Group.OPTIMIZER,
        words={"same as learning_rate": None},
    )
    label_smoothing: float = setting(
        0.0,
        "share of the target spread evenly over all classes",
        number(0, 1, below=True),
        group=Group.OPTIMIZER,
    )
    class_weights: str = choice(
        "none",
        "weights of the classes in the training loss; balanced: images / (classes × images of the class)",
        ("none", "balanced"),
        in_recipe=False,
        group=Group.OPTIMIZER,
        later=True,
    )
    sampler: str = choice(
        "shuffle",
        "training images of an epoch; weighted: drawn with replacement, every class equally often",
        ("shuffle", "weighted"),
        in_step=False,
        in_recipe=False,
        group=Group.OPTIMIZER,
        later=True,
    )
    weight_averaging: str = choice(
        "none",
        "evaluate and save averaged weights; lookahead also continues training from them",
        ("none", "ema", "lookahead"),
        group=Group.OPTIMIZER,
    )
    ema_decay: float = setting(
        0.95,
        "share of the average kept at each step",
        number(0, 1, below=True),
        group=Group.OPTIMIZER,
        used_if=lambda values: values["weight_averaging"] != "none",
    )
    lr_schedule: str = choice(
        "constant", "how the learning rate changes after the warm-up", LR_SCHEDULES, group=Group.SCHEDULE
    )
    warmup_fraction: float = setting(
        0.0,
        "fraction of the steps used for warm-up",
        number(0, 1, below=True),
        group=Group.SCHEDULE,
        words={"none": 0.0},
    )
    warmup_start_factor: float = setting(
        0.2,
        "learning rate at the start of the warm-up, as a multiple of learning_rate",
        number(0, 1),
        group=Group.SCHEDULE,
        used_if=lambda values: values["warmup_fraction"] != 0,
    )
    final_lr_factor: float = setting(
        0.0,
        "final learning rate, as a multiple of learning_rate",
        number(0, 1),
        group=Group.SCHEDULE,
        used_if=lambda values: values["lr_schedule"] != "constant",
    )
    flip: str = choice(
        "none",
        "horizontal flip: random, or alternating (each image flipped every other epoch)",
        ("none", "random", "alternating"),
        group=Group.AUGMENTATION,
    )
    translate: int = setting(
        0,
        "largest random shift of training images, in pixels",
        whole(0, 16),
        group=Group.AUGMENTATION,
        words={"none": 0},
    )
    cutout: int = setting(
        0,
        "side of the square masked in training images, in pixels",
        whole(0, 32),
        group=Group.AUGMENTATION,
        words={"none": 0},
    )
    low_res_fraction: float = setting(
        0.0,
        "fraction of the epochs, at the start, trained at 3/4 resolution",
        number(0, 1, below=True),
        group=Group.AUGMENTATION,
        words={"none": 0.0},
    )
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


def setting_field(name: str) -> "dataclasses.Field[Any]":
    """The field of the setting `name`.

    Raises:
        ConfigError: there is no such setting.
    """
    if name not in SETTINGS:
        hint = suggestion(name, SETTINGS) or f"; valid settings: {', '.join(SETTINGS)}"
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
