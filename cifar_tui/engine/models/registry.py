"""The models by name, and what the settings must know of each and of others. Imports no torch."""

import pkgutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cifar_tui.engine.config.fields import suggestion
from cifar_tui.engine.data.registry import PUBLISHED_PREFIX
from cifar_tui.engine.models.own.name import FORM, own_name
from cifar_tui.engine.models.published.names import FORM as PUBLISHED
from cifar_tui.engine.models.published.names import published_name, published_problem

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelSpec:
    """A registered model.

    Attributes:
        factory: `module:name` of what builds it, called with `num_classes`.
        summary: what it is, in one line, with its number of weights for ten classes.
        image_size: the only height and width it accepts, in pixels; None for any.
        smallest_image: the least height and width it accepts, in pixels.
        fp16: whether it trains stably in fp16.
    """

    factory: str
    summary: str
    image_size: int | None = None
    smallest_image: int = 1
    fp16: bool = False


_AIRBENCH = "cifar_tui.engine.models.airbench"
_AIRBENCH_SMALLEST = 9  # 8 after the whitening, halved in each of three blocks

MODELS: dict[str, ModelSpec] = {
    "net": ModelSpec(
        factory="cifar_tui.engine.models.net:Net",
        summary="the tutorial's: 2 convolutions, 3 linear layers; 62k parameters",
        image_size=32,
    ),
    "resnet18": ModelSpec(
        factory="cifar_tui.engine.models.resnet:ResNet18",
        summary="ResNet-18 with a stem for small images; 11.2M parameters",
    ),
    "airbench-tiny": ModelSpec(
        factory=f"{_AIRBENCH}:airbench_tiny",
        summary="airbench94, much narrower; for a CPU; 0.2M parameters",
        smallest_image=_AIRBENCH_SMALLEST,
        fp16=True,
    ),
    "airbench-small": ModelSpec(
        factory=f"{_AIRBENCH}:airbench_small",
        summary="airbench94, narrower; for a CPU; 0.8M parameters",
        smallest_image=_AIRBENCH_SMALLEST,
        fp16=True,
    ),
    "airbench94": ModelSpec(
        factory=f"{_AIRBENCH}:airbench94",
        summary="whitening and three blocks: 94 % in seconds on a fast GPU; 2.0M parameters",
        smallest_image=_AIRBENCH_SMALLEST,
        fp16=True,
    ),
    "airbench95": ModelSpec(
        factory=f"{_AIRBENCH}:airbench95",
        summary="airbench94 with wider blocks; 4.6M parameters",
        smallest_image=_AIRBENCH_SMALLEST,
        fp16=True,
    ),
    "airbench96": ModelSpec(
        factory=f"{_AIRBENCH}:airbench96",
        summary="airbench94, wider and deeper, with skip connections; 9.9M parameters",
        smallest_image=_AIRBENCH_SMALLEST,
        fp16=True,
    ),
}
"""A new model needs a module and a row here."""


_OTHER = ModelSpec(factory="", summary="an architecture of torchvision, or a net of your own")


def model_spec(name: str) -> ModelSpec:
    """Return what the settings must know of the model `name`, registered or not."""
    return MODELS.get(name, _OTHER)


def model_problem(name: str) -> str | None:
    """Say what `name` must be; None if it is a key of `MODELS`, `torchvision:NAME` or `FILE.py:NAME`."""
    if name in MODELS or own_name(name) is not None:
        return None
    if name.startswith(PUBLISHED_PREFIX):
        published = published_name(name)
        return f"must be {PUBLISHED}" if published is None else published_problem(published)
    file, python, _ = name.rpartition(".py")
    if python:
        return f"must end with the name of a class or function, as in {file}.py:Net"
    names = ", ".join(MODELS)
    return f"must be one of {names}, {PUBLISHED}, or a net of your own, {FORM}{suggestion(name, MODELS)}"


def create_model(name: str, *, num_classes: int) -> "nn.Module":
    """Build a freshly initialized model; draws from torch's global generator.

    Args:
        name: a key of `MODELS`.
        num_classes: number of logits per image.
    """
    net: nn.Module = pkgutil.resolve_name(MODELS[name].factory)(num_classes=num_classes)
    return net
