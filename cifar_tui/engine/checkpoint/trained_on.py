"""What weights say of the images that they were trained on."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cifar_tui.engine.config.schema import SETTINGS
from cifar_tui.engine.data.normalization import TUTORIAL, Normalization, normalization_in
from cifar_tui.engine.data.scales import Scales, scales_in

_IMAGE_SIZE = SETTINGS["image_size"]


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainedOn:
    """The images that weights were trained on, as far as they are known.

    Attributes:
        scales: what is black and white in images of more than 8 bits; None if it is not known.
        image_size: their height and width in pixels; None if it is not known.
        normalization: of the inputs; None if it is not known.
    """

    scales: Scales | None = None
    image_size: int | None = None
    normalization: Normalization | None = None


def trained_on_in(state: Mapping[str, Any]) -> TrainedOn:
    """Return what the content of a `last.pt`, which anybody may have written, says of the images."""
    config = state.get("config")
    size = config.get("image_size", _IMAGE_SIZE.default) if isinstance(config, Mapping) else None
    if type(size) is not int or _IMAGE_SIZE.metadata["check"](size):
        size = None
    normalization = normalization_in(state.get("normalization"))
    if normalization is None and "normalization" not in state:
        normalization = TUTORIAL  # there was no other
    return TrainedOn(scales=scales_in(state.get("scales")), image_size=size, normalization=normalization)
