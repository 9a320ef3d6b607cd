"""Load weights into whatever model they are of."""

from collections.abc import Callable
from pathlib import Path

from cifar_tui.engine.checkpoint.classes import class_names_of_run, training_images
from cifar_tui.engine.checkpoint.weights import RecognizedWeights, load_weights, recognize, recognize_own
from cifar_tui.engine.models.load import load_model
from cifar_tui.engine.models.own.own_net import OwnNet
from cifar_tui.engine.models.source import ModelSource


def find_weights(
    path: Path,
    model: str | None,
    *,
    edited_model: bool = False,
    image_size: int,
    seed: int,
    say: Callable[[str], object],
    alert: Callable[[str], object],
    source: ModelSource | None = None,
) -> RecognizedWeights:
    """Load the weights in the file `path`; see `load_weights`.

    Args:
        path: the file; in the folder of a run with a net of the user's, its source is kept beside it.
        model: the only model allowed; None for any registered one that fits.
        edited_model: whether to take a user's file as it is now instead of the source that was kept.
        image_size: height and width of the images, if the weights do not say what they were trained on.
        seed: for what a user's net draws while it loads.
        say: takes a line for the log.
        alert: takes a sentence about a user's file that has changed.
        source: what makes `model`, if it is loaded already.

    Raises:
        ConfigError: the file cannot be read, or does not fit the model; the model cannot be loaded.
    """
    file = load_weights(path)
    if source is None and model is not None:
        source, changes = load_model(model, kept_in=None if edited_model else path.parent, seed=seed, say=say)
        for change in changes:
            alert(change)
    size = training_images(file).image_size or image_size
    if not isinstance(source, OwnNet):
        return recognize(file, source, image_size=size)
    names = file.class_names or class_names_of_run(path.parent)
    return recognize_own(file, source, None if names is None else len(names), image_size=size)
