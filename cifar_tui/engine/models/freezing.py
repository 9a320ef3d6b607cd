"""Freeze parts of a net for some epochs: no gradients, no updates, no new statistics."""

from dataclasses import dataclass

from torch import nn

from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.errors import ConfigError
from cifar_tui.engine.models.classifier import Classifier, last_layer, name_of


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Frozen:
    """What of a net training steps leave as it is.

    Attributes:
        parameters: get no gradient, so an optimizer leaves them out.
        modules: are in evaluation mode, which keeps their buffers.
    """

    parameters: tuple[nn.Parameter, ...] = ()
    modules: tuple[nn.Module, ...] = ()

    def freeze(self) -> None:
        """Freeze it, before the gradients of the last step are cleared."""
        for parameter in self.parameters:
            parameter.requires_grad = False
        for module in self.modules:
            module.training = False

    def thaw(self) -> None:
        """Undo `freeze`."""
        for parameter in self.parameters:
            parameter.requires_grad = True
        for module in self.modules:
            module.training = True


class Freezing:
    """Freezes and thaws parts of `net` from epoch to epoch, as `config` and the net itself say."""

    def __init__(self, net: nn.Module, config: TrainConfig) -> None:
        self._net = net
        self._backbone = _backbone(net) if config.freeze == "backbone" else Frozen()
        self._epochs = config.freeze_epochs
        self._now = Frozen()

    def in_epoch(self, epoch: int) -> Frozen:
        """What is frozen in `epoch`, from 0."""
        backbone = self._backbone if not self._epochs or epoch < self._epochs else Frozen()
        by_itself = self._net.frozen_parameters(epoch) if isinstance(self._net, Classifier) else []
        parameters = dict.fromkeys((*backbone.parameters, *by_itself))
        return Frozen(parameters=tuple(parameters), modules=backbone.modules)

    def begin(self, epoch: int) -> None:
        """Freeze what is frozen in `epoch`, from 0, and thaw the rest."""
        self._now.thaw()
        self._now = self.in_epoch(epoch)
        self._now.freeze()


def check_head(net: nn.Module, num_classes: int) -> None:
    """Check that the head of `net` can be trained alone.

    Raises:
        ConfigError: the last layer does not compute the logits.
    """
    head = last_layer(net)
    if head is None:
        raise ConfigError(
            "freeze 'backbone' needs a net with a linear layer or a convolution: set freeze to none",
            field="freeze",
        )
    outputs = head.weight.shape[0]
    if outputs != num_classes:
        raise ConfigError(
            f"freeze 'backbone' takes {name_of(net, head)} for the last layer, which has {outputs:,} outputs "
            f"for {num_classes:,} classes: define the last layer last, or set freeze to none",
            field="freeze",
        )


def freezing_sentence(net: nn.Module, config: TrainConfig) -> str:
    """Say which parameters of `net` train in which epochs; "" if all always do."""
    head = last_layer(net)
    if config.freeze == "none" or head is None:
        return ""
    everything = sum(parameter.numel() for parameter in net.parameters() if parameter.requires_grad)
    frozen = sum(parameter.numel() for parameter in _backbone(net).parameters)
    alone = f"the last layer {name_of(net, head)} trains alone"
    counts = f"{everything - frozen:,} of {everything:,} parameters"
    epochs = config.freeze_epochs
    if not epochs or epochs >= config.epochs:
        return f"freeze backbone: {alone}, {counts}"
    first = "epoch 1" if epochs == 1 else f"epochs 1 to {epochs}"
    return f"freeze backbone: {alone} in {first}, {counts}; from epoch {epochs + 1} all {everything:,}"


def _backbone(net: nn.Module) -> Frozen:
    """All of `net` but its head: the trainable parameters, and the modules with buffers."""
    head = last_layer(net)
    kept: set[object] = set() if head is None else {*head.parameters(), *head.modules()}
    return Frozen(
        parameters=tuple(
            parameter for parameter in net.parameters() if parameter.requires_grad and parameter not in kept
        ),
        modules=tuple(
            module
            for module in net.modules()
            if module not in kept and any(True for _ in module.buffers(recurse=False))
        ),
    )
