"""Build any optimizer of torch.optim by its name."""

import inspect
from typing import TYPE_CHECKING, Any

import torch
from torch.optim import Optimizer

from cifar_tui.engine.config.fields import suggestion
from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.errors import ConfigError
from cifar_tui.engine.optim.registry import parse_options

if TYPE_CHECKING:
    from collections.abc import Callable

_SETTINGS = {"lr": "learning_rate", "momentum": "momentum", "weight_decay": "weight_decay"}
"""The options that are settings of their own."""


def torch_optimizer(name: str, groups: list[dict[str, Any]], config: TrainConfig) -> Optimizer:
    """Build `torch.optim.NAME` over `groups`, which have their learning rates and weight decays.

    Its option `momentum`, if it has one, is the setting; all else is torch's default or `optimizer_options`.

    Raises:
        ConfigError: it has no such option, refuses a value, or has no weight decay while weight_decay is set.
    """
    create: Callable[..., Optimizer] = getattr(torch.optim, name)
    known = set(inspect.signature(create).parameters) - {"params"}
    options = parse_options(config.optimizer_options)
    for option in options:
        if option in _SETTINGS:
            raise ConfigError(
                f"optimizer_options has {option}: set {_SETTINGS[option]} instead", field="optimizer_options"
            )
        if option not in known:
            hint = suggestion(option, known) or f"; it has {', '.join(sorted(known - _SETTINGS.keys()))}"
            raise ConfigError(f"torch:{name} has no option {option!r}{hint}", field="optimizer_options")
    if "weight_decay" not in known:
        if config.weight_decay:
            raise ConfigError(
                f"torch:{name} has no weight decay: set weight_decay to 0", field="weight_decay"
            )
        groups = [{key: value for key, value in group.items() if key != "weight_decay"} for group in groups]
    if "momentum" in known:
        options["momentum"] = config.momentum
    try:
        return create(groups, **options)
    except (TypeError, ValueError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ConfigError(
            f"torch:{name} refuses its options ({reason}): correct optimizer_options",
            field="optimizer_options",
        ) from error
