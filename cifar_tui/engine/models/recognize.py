"""Tell which model a `state_dict` belongs to, by its names and shapes."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor, nn

from cifar_tui.engine.models.classifier import last_layer, name_of
from cifar_tui.engine.models.load import library_model
from cifar_tui.engine.models.registry import MODELS
from cifar_tui.engine.text import cut

_SHOWN_NAME = 60
_TEMPLATE_CLASSES = 10
_CONVERTED = (torch.float16, torch.bfloat16, torch.float64)
BATCH_COUNTER = "num_batches_tracked"
"""The end of the names that evaluation does not use, and that files of old versions lack."""
STATE_DICT_KEYS = ("state_dict", "model_state_dict", "model", "net", "weights")
"""The keys under which people save a `state_dict`, the usual ones first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Template:
    """The `state_dict` of a model.

    Attributes:
        shapes: by name, for some number of classes.
        dtypes: by name.
        layer: the name of the last layer; "" without one.
        head: the names in it, whose first dimension is the number of classes.
    """

    shapes: dict[str, tuple[int, ...]]
    dtypes: dict[str, torch.dtype]
    layer: str
    head: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """A `state_dict` next to a model.

    Attributes:
        model: its name.
        num_classes: number of logits that the `state_dict` computes; 0 if it does not say.
        difference: the first name, shape or type that does not fit, in words; "" if all do.
        alike: number of names and shapes that fit.
    """

    model: str
    num_classes: int
    difference: str
    alike: int


def compare(model: str, state_dict: Mapping[str, Tensor], *, image_size: int) -> Comparison:
    """Compare `state_dict` with what `model` expects, for whatever number of classes it has."""
    return compare_to(_template(model, image_size), model, state_dict)


def compare_to(template: Template, model: str, state_dict: Mapping[str, Tensor]) -> Comparison:
    """Compare `state_dict` with the `template` of `model`, for whatever number of classes it has."""
    head = [state_dict[name] for name in template.head if name in state_dict]
    rows = [tensor.shape[0] for tensor in head if not tensor.is_nested and tensor.ndim]
    num_classes = rows[0] if rows else 0
    shapes = {
        name: (num_classes, *shape[1:]) if rows and name in template.head else shape
        for name, shape in template.shapes.items()
    }
    return Comparison(
        model=model,
        num_classes=num_classes,
        difference=first_difference(shapes, template.dtypes, state_dict),
        alike=sum(
            name in state_dict and not state_dict[name].is_nested and state_dict[name].shape == shape
            for name, shape in shapes.items()
        ),
    )


def fitting_models(
    state_dict: Mapping[str, Tensor], models: Collection[str] = MODELS, *, image_size: int
) -> list[str]:
    """Return those of `models` that `state_dict` fits, built for images of `image_size` pixels."""
    return [model for model in models if not compare(model, state_dict, image_size=image_size).difference]


def closest(
    state_dict: Mapping[str, Tensor], models: Collection[str] = MODELS, *, image_size: int
) -> Comparison:
    """Compare `state_dict` with the one of `models` that has most names and shapes in common with it."""
    compared = [compare(model, state_dict, image_size=image_size) for model in models]
    return max(compared, key=lambda comparison: comparison.alike)


@cache
def _template(model: str, image_size: int) -> Template:
    with torch.device("meta"):  # neither memory nor random numbers
        net = library_model(model).build(num_classes=_TEMPLATE_CLASSES, image_size=image_size)
    return template_of(net)


def template_of(net: nn.Module) -> Template:
    """What a `state_dict` of `net` has."""
    layer = last_layer(net)
    name = "" if layer is None else name_of(net, layer)
    expected = net.state_dict()
    return Template(
        shapes={name: tuple(tensor.shape) for name, tensor in expected.items()},
        dtypes={name: tensor.dtype for name, tensor in expected.items()},
        layer=name,
        head=() if layer is None else tuple(f"{name}.{part}".lstrip(".") for part in layer.state_dict()),
    )


def first_difference(
    shapes: Mapping[str, tuple[int, ...]], dtypes: Mapping[str, torch.dtype], found: Mapping[str, Tensor]
) -> str:
    """Name the first tensor in `found` without the name, shape or type expected; "" if all have them."""
    extra = next((name for name in found if name not in shapes), None)
    for name, shape in shapes.items():
        tensor = found.get(name)
        if tensor is None:
            if name.endswith(BATCH_COUNTER):
                continue
            return (
                f"expected {name}, found {cut(extra, _SHOWN_NAME)}"
                if extra is not None
                else f"missing {name}"
            )
        if tensor.is_nested or tensor.layout is not torch.strided or tensor.is_meta or tensor.is_quantized:
            return f"{name} is no ordinary tensor with values"
        if tuple(tensor.shape) != shape:
            return f"{name} has shape {tuple(tensor.shape)}, expected {shape}"
        if tensor.dtype not in {dtypes[name], *_CONVERTED} and not name.endswith(BATCH_COUNTER):
            return f"{name} is {tensor.dtype}, expected {dtypes[name]}"
    return "" if extra is None else f"unexpected {cut(extra, _SHOWN_NAME)}"
