"""The optimizers."""

from torch import nn
from torch.optim import SGD, Optimizer

from cifar_tui.engine.config import TrainConfig


def create_optimizer(net: nn.Module, config: TrainConfig) -> Optimizer:
    """SGD over all parameters of `net`, with the settings of `config`."""
    return SGD(
        net.parameters(),
        lr=config.learning_rate,
        momentum=config.momentum,
        weight_decay=config.weight_decay,
    )
