"""Find what makes the net that the setting `model` names."""

from collections.abc import Callable
from pathlib import Path

from cifar_tui.engine.models.own.name import own_name
from cifar_tui.engine.models.own.own_net import load_own_net
from cifar_tui.engine.models.published.names import published_name
from cifar_tui.engine.models.published.net import PublishedModel
from cifar_tui.engine.models.source import ModelSource


def load_model(
    model: str, *, kept_in: Path | None, seed: int, say: Callable[[str], object]
) -> tuple[ModelSource, list[str]]:
    """Load what makes the net that the setting `model` names.

    Args:
        model: the setting.
        kept_in: the folder whose kept source of a user's net is taken, if it has one; None to take the file.
        seed: for random numbers that are drawn while a user's modules load.
        say: takes a line for the log.

    Returns:
        It, and what is different from the user's file now, in sentences.

    Raises:
        ConfigError: it cannot be loaded.
    """
    if own_name(model) is not None:
        return load_own_net(model, kept_in=kept_in, seed=seed, say=say)
    return library_model(model), []


def library_model(model: str) -> ModelSource:
    """What makes the net of `model`, which is registered or one of torchvision's.

    Raises:
        ConfigError: torchvision has none of that name.
    """
    return ModelSource(model) if published_name(model) is None else PublishedModel(model)
