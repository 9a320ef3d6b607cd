"""The optimizers, and which parameters they treat in their own way."""

from typing import Any

from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer

from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.models import AirbenchNet
from cifar_tui.engine.optim.muon import Muon

_SGD_MOMENTUM_BESIDE_MUON = 0.85
_ADAMW_SECOND_BETA = 0.999


def create_optimizer(net: nn.Module, config: TrainConfig) -> Optimizer:
    """The optimizer of `config` over the parameters of `net` that are trained.

    Its first group has the configured learning rate, or what a schedule makes of it; the others have a rate
    of their own and a weight decay such that both decay at the same pace.
    """
    if config.optimizer == "muon":
        return Muon(_muon_groups(net, config))
    groups = [
        {"params": parameters, "lr": rate, "weight_decay": config.weight_decay * config.learning_rate / rate}
        for parameters, rate in _parameters_by_rate(net, config)
    ]
    if config.optimizer == "adamw":
        return AdamW(groups, betas=(config.momentum, _ADAMW_SECOND_BETA))
    sgd = SGD(groups, momentum=config.momentum, nesterov=config.optimizer == "nesterov")
    _update_in_one_call(sgd)
    sgd.register_load_state_dict_post_hook(_update_in_one_call)  # an older checkpoint says otherwise
    return sgd


def _update_in_one_call(sgd: Optimizer) -> None:
    """All parameters of a group, as PyTorch does by itself on a GPU only: the same bits in less time."""
    for group in sgd.param_groups:
        group["foreach"] = True


def _parameters_by_rate(net: nn.Module, config: TrainConfig) -> list[tuple[list[nn.Parameter], float]]:
    """The parameters of `net` and their learning rates: in one group where they have the same.

    The bias of a whitening layer has the rate of the biases with Muon alone, as published: in the other
    recipe only those of normalisation have it, and this one that of the rest.
    """
    head = _head(net)
    whitening = net.whitening.bias if isinstance(net, AirbenchNet) and config.optimizer != "muon" else None
    own: list[tuple[list[nn.Parameter], float]] = [([], config.learning_rate)]
    biases, heads = own[0][0], own[0][0]
    if config.bias_lr:
        biases = []
        own.append((biases, config.bias_lr))
    if config.head_lr:
        heads = []
        own.append((heads, config.head_lr))
    for parameter in net.parameters():
        if not parameter.requires_grad:
            continue
        if parameter is head:
            heads.append(parameter)
        else:
            is_bias = parameter.ndim == 1 and parameter is not whitening
            (biases if is_bias else own[0][0]).append(parameter)
    return [(parameters, rate) for parameters, rate in own if parameters]


def _muon_groups(net: nn.Module, config: TrainConfig) -> list[dict[str, Any]]:
    """Muon for the filters of convolutions, and beside it SGD for what else is trained."""
    filters = []
    groups = []
    for parameters, rate in _parameters_by_rate(net, config):
        filters += [parameter for parameter in parameters if parameter.ndim == 4]
        rest = [parameter for parameter in parameters if parameter.ndim != 4]
        if rest:
            decay = config.weight_decay * config.learning_rate / rate
            momentum = _SGD_MOMENTUM_BESIDE_MUON
            groups.append({"params": rest, "lr": rate, "weight_decay": decay, "momentum": momentum})
    first = {"params": filters, "lr": config.learning_rate, "momentum": config.momentum, "orthogonal": True}
    return [first, *groups]


def _head(net: nn.Module) -> Tensor | None:
    """The weight of the last layer."""
    linear = [module for module in net.modules() if isinstance(module, nn.Linear)]
    return linear[-1].weight if linear else None
