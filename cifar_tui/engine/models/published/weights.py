"""The weights that torchvision publishes: in torch's own cache, or downloaded into it."""

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import torch

from cifar_tui.engine.data.fetch import RemoteFile, check_file, exists, fetch_file
from cifar_tui.engine.data.normalization import TUTORIAL, Normalization
from cifar_tui.engine.data.registry import Progress
from cifar_tui.engine.models.published.names import published_name
from cifar_tui.engine.models.published.net import torchvision_models

_HASH = re.compile(r"-([0-9a-f]{8,64})\.[^.]*$")
_OF_OTHER_INPUTS = {"googlenet", "inception_v3"}


@dataclass(frozen=True, kw_only=True, slots=True)
class PublishedWeights:
    """The default weights of an architecture.

    Attributes:
        path: of their file.
        class_names: what their logits stand for.
        normalization: of the inputs that they were trained with.
    """

    path: Path
    class_names: tuple[str, ...]
    normalization: Normalization


def fetch_published_weights(model: str, progress: Progress) -> PublishedWeights:
    """Find the default weights of `torchvision:NAME` in torch's cache, or download them into it.

    The file is checked with the SHA-256 of which its name has the beginning.

    Raises:
        ConfigError: torchvision has no such model.
        DataUnavailableError: no network, a wrong file, a full disk or an unwritable folder.
        CancelledError: the user requested a stop; the part downloaded so far is kept.
    """
    weights = _default_weights(model)
    url = str(weights.url)
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    name = PurePosixPath(urlsplit(url).path).name
    found = _HASH.search(name)
    path = folder / name
    file = RemoteFile(
        urls=(url,),
        file_name=name,
        sha256="" if found is None else found[1],
        title=model,
        room=f"{weights.meta['_file_size']:,.0f} MB",
        alternatives="put the file there yourself, or set weights to a file and pretrained to no",
        elsewhere="set TORCH_HOME to another folder",
    )
    if exists(path):
        check_file(file, path, progress)
    else:
        fetch_file(file, folder, progress)
    return PublishedWeights(
        path=path,
        class_names=tuple(weights.meta["categories"]),
        normalization=published_normalization(model),
    )


def published_normalization(model: str) -> Normalization:
    """What the published weights of `torchvision:NAME` were trained with.

    Inside torchvision GoogLeNet and Inception convert their inputs to ones from -1 to 1; as they are built
    here, they take those.

    Raises:
        ConfigError: torchvision has no such model.
    """
    if published_name(model) in _OF_OTHER_INPUTS:
        return TUTORIAL
    transforms = _default_weights(model).transforms()
    return Normalization(mean=tuple(transforms.mean), std=tuple(transforms.std))


def _default_weights(model: str) -> Any:  # noqa: ANN401 - torchvision has no types
    return torchvision_models().get_model_weights(published_name(model)).DEFAULT
