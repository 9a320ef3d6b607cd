"""The networks, by name."""

from collections.abc import Callable, Mapping
from functools import partial

from torch import Tensor, nn

from cifar_tui.engine.models.airbench import AirbenchNet, init_whitening
from cifar_tui.engine.models.net import Net
from cifar_tui.engine.models.resnet import ResNet18

__all__ = ["AirbenchNet", "Net", "create_model", "infer_num_classes", "init_whitening"]

_FACTORIES: dict[str, Callable[[int], nn.Module]] = {
    "net": Net,
    "resnet18": ResNet18,
    "airbench-tiny": partial(AirbenchNet, (16, 64, 96), activation=nn.ReLU),
    "airbench-small": partial(AirbenchNet, (32, 128, 192), activation=nn.ReLU),
    "airbench-32": partial(AirbenchNet, (32, 64, 64), activation=nn.ReLU),
    "airbench-64": partial(AirbenchNet, (64, 128, 128), activation=nn.ReLU),
    "airbench94": partial(AirbenchNet, (64, 256, 256)),
    "airbench95": partial(AirbenchNet, (128, 384, 384)),
    "airbench96": partial(AirbenchNet, (128, 384, 512), convolutions=3),
}

_LAST_LAYERS = {"net": "fc3", "resnet18": "fc"}


def infer_num_classes(name: str, state_dict: Mapping[str, Tensor]) -> int | None:
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
