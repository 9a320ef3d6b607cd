"""Start a net from the weights in a file, whose classes may be others."""

from collections.abc import Sequence
from pathlib import Path

from torch import nn

from cifar_tui.engine.checkpoint.classes import class_names_of_run, training_images
from cifar_tui.engine.checkpoint.weights import StateDict, load_into, load_weights, notes_on, unwrapped_states
from cifar_tui.engine.data.dataset import ImageSplit
from cifar_tui.engine.data.normalization import Normalization
from cifar_tui.engine.errors import ConfigError
from cifar_tui.engine.models.own.name import short_model
from cifar_tui.engine.models.published.weights import PublishedWeights
from cifar_tui.engine.models.recognize import compare_to, template_of
from cifar_tui.engine.models.source import ModelSource


def start_from(
    path: Path,
    net: nn.Module,
    source: ModelSource,
    class_names: Sequence[str],
    *,
    train: ImageSplit,
    published: PublishedWeights | None = None,
) -> str:
    """Give `net` the weights in the file at `path`, without those of the last layer if it has other classes.

    Args:
        path: the file; see `load_weights`.
        net: freshly initialized, on the CPU.
        source: what made it.
        class_names: those of the dataset.
        train: its training images.
        published: what is known of the file if it is a published one; None for what it, or its run, says.

    Returns:
        What was done, in a sentence.

    Raises:
        ConfigError: the file cannot be read, does not fit the net, or has weights that are not finite.
    """
    file = load_weights(path)
    template = template_of(net)
    states = [_resized(unwrapped, source, train.image_size) for unwrapped in unwrapped_states(file, source)]
    compared = [(state, compare_to(template, source.model, state.tensors)) for state in states]
    fits = [(unwrapped, comparison) for unwrapped, comparison in compared if not comparison.difference]
    if not fits:
        _, best = max(compared, key=lambda pair: pair[1].alike)
        raise ConfigError(
            f"weights '{path}' do not match the model {short_model(source.model)}: {best.difference}; set "
            "weights to a file of this model",
            field="weights",
        )
    taken, comparison = fits[0]
    if published is None:
        names = file.class_names or class_names_of_run(path.parent)
        trained_with = training_images(file).normalization
    else:
        names, trained_with = published.class_names, published.normalization
    same = comparison.num_classes == len(class_names) and (
        names is None or tuple(names) == tuple(class_names)
    )
    fresh = bool(template.head) and not same
    tensors = {
        name: tensor for name, tensor in taken.tensors.items() if not fresh or name not in template.head
    }
    load_into(net, tensors, path)
    said = [f"starting from the weights in '{path}'", *([] if file.own else notes_on(taken, []))]
    if fresh:
        classes, ours = comparison.num_classes, len(class_names)
        others = (
            "other classes than the dataset"
            if classes == ours
            else f"{classes:,} classes, the dataset {ours:,}"
        )
        said.append(f"it has {others}: the last layer {template.layer} starts fresh")
    return "; ".join(said + _different_inputs(trained_with, train.normalization))


def _different_inputs(trained_with: Normalization | None, ours: Normalization) -> list[str]:
    """Say that the weights were trained on other inputs, or that this is not known."""
    if trained_with is None:
        return [f"assuming that they were trained on {ours.words} (normalization)"]
    if trained_with == ours:
        return []
    return [f"they were trained on {trained_with.words}, and train now on {ours.words} (normalization)"]


def _resized(state: StateDict, source: ModelSource, image_size: int) -> StateDict:
    tensors, notes = source.resized(state.tensors, image_size)
    return StateDict(tensors=dict(tensors), where=state.where, notes=(*state.notes, *notes))
