"""`PublishedModel`: an architecture of torchvision as the model of a run."""

import importlib
import math
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from cifar_tui.engine.config.fields import suggestion
from cifar_tui.engine.errors import ConfigError, UserError
from cifar_tui.engine.models.own.failure import described, is_of_user
from cifar_tui.engine.models.published.names import published_name
from cifar_tui.engine.models.source import ModelSource

_AUXILIARY = re.compile(r"(aux1|aux2|AuxLogits)\.")
_POSITIONS, _PATCHES = "encoder.pos_embedding", "conv_proj.weight"
_OLD_NAMES = (
    (re.compile(r"(\.denselayer\d+\.(?:norm|conv))\.([12]\.)"), r"\1\2"),
    (re.compile(r"(\.mlp)\.linear_1\."), r"\1.0."),
    (re.compile(r"(\.mlp)\.linear_2\."), r"\1.3."),
)
"""The names in the published files of DenseNet and ViT, which torchvision renames as it loads them."""


class PublishedModel(ModelSource):
    """The architecture of torchvision that the setting `model` names.

    GoogLeNet and Inception are built without the auxiliary classifiers that only their training has, and take
    inputs from -1 to 1, as their published weights do inside torchvision.

    Raises:
        ConfigError: torchvision has none of that name, or cannot be imported.
    """

    is_tried = True

    def __init__(self, model: str) -> None:
        super().__init__(model)
        self._name = published_name(model) or model
        self._models = torchvision_models()
        names = self._models.list_models(module=self._models)
        if self._name not in names:
            raise ConfigError(
                f"model {model!r} is not in torchvision{suggestion(self._name, names)}",
                field="model",
            )

    def build(self, *, num_classes: int, image_size: int) -> nn.Module:
        """Build a freshly initialized net; see `ModelSource`."""
        options: dict[str, Any] = {}
        if self._name.startswith("vit_"):
            options["image_size"] = image_size
        elif self._name.startswith("maxvit_"):
            options["input_size"] = (image_size, image_size)
        elif self._name in {"googlenet", "inception_v3"}:
            options |= {"aux_logits": False, "init_weights": True, "transform_input": False}
        with self.running(ConfigError, doing=f"images of {image_size}×{image_size} pixels"):
            net: nn.Module = self._models.get_model(
                self._name, weights=None, num_classes=num_classes, **options
            )
        return net

    def renamed(self, tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], tuple[str, ...]]:
        """Translate the names in published files, and leave out auxiliary classifiers."""
        found = {_new_name(name): tensor for name, tensor in tensors.items()}
        kept = {name: tensor for name, tensor in found.items() if not _AUXILIARY.match(name)}
        return kept, ("without the auxiliary classifiers",) if len(kept) < len(found) else ()

    def resized(
        self, tensors: Mapping[str, Tensor], image_size: int
    ) -> tuple[Mapping[str, Tensor], tuple[str, ...]]:
        """Interpolate the position embeddings of a ViT for images of another size, as torchvision does."""
        before, patches = tensors.get(_POSITIONS), tensors.get(_PATCHES)
        if before is None or patches is None or before.dim() != 3 or patches.dim() != 4:
            return tensors, ()
        patch = patches.shape[-1]
        try:
            interpolated = self._models.vision_transformer.interpolate_embeddings(
                image_size, patch, dict(tensors)
            )
        except (RuntimeError, ValueError, ZeroDivisionError):  # they are no square of patches
            return tensors, ()
        if interpolated[_POSITIONS].shape == before.shape:
            return tensors, ()
        trained = patch * math.isqrt(before.shape[1] - 1)
        return interpolated, (f"position embeddings resized from {trained}×{trained} pixels",)

    @contextmanager
    def running(
        self,
        kind: type[UserError],
        net: nn.Module | None = None,  # noqa: ARG002 - one of a library has no line to name
        *,
        doing: str = "",
        among_others: bool = False,
    ) -> Iterator[None]:
        """Turn what the net raises in a block into an error of `kind`; see `ModelSource`."""
        try:
            yield
        except Exception as error:
            if among_others or not is_of_user(error):
                raise
            raise kind(
                f"{self.model} does not take {doing} ({described(error)}); set another image_size, "
                "batch_size or model"
            ) from error


def torchvision_models() -> Any:  # noqa: ANN401 - torchvision has no types
    """Import `torchvision.models`.

    Raises:
        ConfigError: it cannot be imported.
    """
    try:
        return importlib.import_module("torchvision.models")
    except (ImportError, RuntimeError, OSError, AttributeError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ConfigError(
            f"torchvision's models are not available ({reason}): install torch and torchvision from the same "
            "source",
            field="model",
        ) from error


def _new_name(name: str) -> str:
    for old, new in _OLD_NAMES:
        name = old.sub(new, name)
    return name
