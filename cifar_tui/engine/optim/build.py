"""Build the optimizer."""

import pkgutil
from typing import Any

from torch import nn
from torch.optim import SGD, AdamW, Optimizer

from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.models.classifier import Classifier, last_layer
from cifar_tui.engine.optim.from_torch import torch_optimizer
from cifar_tui.engine.optim.registry import OPTIMIZERS, torch_optimizer_name

_ADAMW_BETA2 = 0.999


def create_optimizer(net: nn.Module, config: TrainConfig) -> Optimizer:
    """Build the optimizer of `config` over the trainable parameters of `net`.

    The first group has `learning_rate`. Groups with a separate learning rate have their weight decay
    scaled so that all parameters decay at the same pace.

    Raises:
        ConfigError: torch refuses the options of its optimizer.
    """
    name = torch_optimizer_name(config.optimizer)
    if name is not None:
        return torch_optimizer(name, _parameter_groups(net, config), config)
    optimizer: Optimizer = pkgutil.resolve_name(OPTIMIZERS[config.optimizer])(
        _parameter_groups(net, config), config
    )
    return optimizer


def sgd(groups: list[dict[str, Any]], config: TrainConfig) -> Optimizer:
    """SGD with momentum."""
    return SGD(groups, momentum=config.momentum, foreach=True)  # the same bits in fewer calls


def nesterov(groups: list[dict[str, Any]], config: TrainConfig) -> Optimizer:
    """SGD with Nesterov momentum."""
    return SGD(groups, momentum=config.momentum, nesterov=True, foreach=True)


def adamw(groups: list[dict[str, Any]], config: TrainConfig) -> Optimizer:
    """AdamW with `momentum` as its first beta."""
    return AdamW(groups, betas=(config.momentum, _ADAMW_BETA2))


def _parameter_groups(net: nn.Module, config: TrainConfig) -> list[dict[str, Any]]:
    """The trainable parameters grouped by learning rate: base, biases and norms (1-D), head."""
    head = last_layer(net)
    exempt = net.base_lr_biases(config.optimizer) if isinstance(net, Classifier) else []
    base: list[nn.Parameter] = []
    biases = base if config.bias_lr is None else []
    heads = base if config.head_lr is None else []
    for parameter in net.parameters():
        if not parameter.requires_grad:
            continue
        if head is not None and parameter is head.weight:
            heads.append(parameter)
        else:
            is_bias = parameter.ndim == 1 and not any(parameter is other for other in exempt)
            (biases if is_bias else base).append(parameter)
    groups = [(base, config.learning_rate)]
    if config.bias_lr is not None:
        groups.append((biases, config.bias_lr))
    if config.head_lr is not None:
        groups.append((heads, config.head_lr))
    return [
        {"params": parameters, "lr": lr, "weight_decay": config.weight_decay * config.learning_rate / lr}
        for parameters, lr in groups
        if parameters
    ]
