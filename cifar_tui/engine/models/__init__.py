"""The networks, by name."""

from collections.abc import Callable, Mapping
from functools import partial

from torch import Tensor, nn

from cifar_tui.engine.models.airbench import SpeedNet, initialise_whitening
from cifar_tui.engine.models.net import Net
from cifar_tui.engine.models.resnet import ResNet18

__all__ = ["Net", "SpeedNet", "classes_told_apart", "create_model", "initialise_whitening"]

_FACTORIES: dict[str, Callable[[int], nn.Module]] = {
    "net": Net,
    "resnet18": ResNet18,
    "speednet-tiny": partial(SpeedNet, (16, 64, 96), activation=nn.ReLU),
    "speednet-small": partial(SpeedNet, (32, 128, 192), activation=nn.ReLU),
    "speednet-32": partial(SpeedNet, (32, 64, 64), activation=nn.ReLU),
    "speednet-64": partial(SpeedNet, (64, 128, 128), activation=nn.ReLU),
    "speednet-94": partial(SpeedNet, (64, 256, 256)),
    "speednet-95": partial(SpeedNet, (128, 384, 384)),
    "speednet-96": partial(SpeedNet, (128, 384, 512), convolutions=3),
}

_LAST_LAYERS = {"net": "fc3", "resnet18": "fc"}


def classes_told_apart(name: str, state_dict: Mapping[str, Tensor]) -> int | None:
    """How many classes weights of the model `name` tell apart; None for another architecture's weights."""
    weight = state_dict.get(f"{_LAST_LAYERS.get(name, 'head')}.weight")
    return None if weight is None else len(weight)


def create_model(name: str, *, num_classes: int) -> nn.Module:
    """A freshly initialised model; draws from torch's global generator.

    Args:
        name: one of `config.MODELS`.
        num_classes: number of logits to an image.
    """
    return _FACTORIES[name](num_classes)
