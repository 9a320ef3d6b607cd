"""Which values of settings cannot be combined. Imports no torch."""

from typing import TYPE_CHECKING

from cifar_tui.engine.errors import ConfigError
from cifar_tui.engine.models.published.names import FORM, published_name
from cifar_tui.engine.models.registry import MODELS, ModelSpec, model_spec
from cifar_tui.engine.optim.registry import FORM as FORM_TORCH
from cifar_tui.engine.optim.registry import torch_optimizer_name

if TYPE_CHECKING:
    from cifar_tui.engine.config.schema import TrainConfig


def check_combinations(config: "TrainConfig") -> None:
    """Check the values of settings against each other.

    Raises:
        ConfigError: two of them cannot be combined.
    """
    model = model_spec(config.model)
    if config.optimizer_options and torch_optimizer_name(config.optimizer) is None:
        raise ConfigError(
            f"optimizer_options {config.optimizer_options!r} needs optimizer {FORM_TORCH}, not "
            f"{config.optimizer}",
            field="optimizer_options",
        )
    if config.optimizer == "nesterov" and config.momentum == 0:
        raise ConfigError("momentum 0.0 must be above 0 with optimizer nesterov", field="momentum")
    _check_image_size(config, model)
    if config.low_res_fraction and model.image_size is not None:
        size = f"{model.image_size}×{model.image_size}"
        raise ConfigError(
            f"low_res_fraction {config.low_res_fraction} needs another model: {config.model} takes {size} "
            "pixels only",
            field="low_res_fraction",
        )
    if config.pretrained and published_name(config.model) is None:
        raise ConfigError(
            f"pretrained 'yes' needs model {FORM}, which alone has published weights; set pretrained "
            "to no, or model",
            field="pretrained",
        )
    if config.pretrained and config.weights:
        raise ConfigError(
            f"pretrained 'yes' and weights {config.weights!r} are two starts: set one of them",
            field="weights",
        )
    if config.precision == "fp16" and not model.fp16:
        names = ", ".join(name for name, spec in MODELS.items() if spec.fp16)
        raise ConfigError(
            f"precision 'fp16' is only stable with {names}: use bf16, or another model", field="precision"
        )


def _check_image_size(config: "TrainConfig", model: ModelSpec) -> None:
    """Check that the model takes images of this size, and that what is done to them fits into them."""
    size = config.image_size
    if model.image_size not in {None, size}:
        others = ", ".join(name for name, spec in MODELS.items() if spec.image_size is None)
        raise ConfigError(
            f"image_size {size} needs another model: {config.model} takes "
            f"{model.image_size}×{model.image_size} pixels only; choose {others} or a net of your own",
            field="image_size",
        )
    smallest = size * 3 // 4 if config.low_res_fraction else size
    if smallest < model.smallest_image:
        reduced = f" (low_res_fraction reduces them to {smallest}×{smallest})" if smallest < size else ""
        raise ConfigError(
            f"image_size {size} is too small for {config.model}, which takes images from "
            f"{model.smallest_image}×{model.smallest_image} pixels{reduced}",
            field="image_size",
        )
    for name, value, most in (("translate", config.translate, size // 2), ("cutout", config.cutout, size)):
        if value > most:
            raise ConfigError(
                f"{name} {value} must be a whole number from 0 to {most} with image_size {size}", field=name
            )
