"""Give a dataset the classes, and what else is known of the images, of the weights that it is for."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from cifar_tui.engine.checkpoint.files import load_own_file
from cifar_tui.engine.checkpoint.provenance import check_image_count
from cifar_tui.engine.checkpoint.state import has_trained
from cifar_tui.engine.checkpoint.trained_on import TrainedOn, trained_on_in
from cifar_tui.engine.checkpoint.weights import RecognizedWeights, WeightsFile
from cifar_tui.engine.data.cifar10 import CLASS_NAMES
from cifar_tui.engine.data.class_names import align_classes, listed, match_dataset, saved_class_names
from cifar_tui.engine.data.dataset import Dataset
from cifar_tui.engine.data.normalization import Normalization
from cifar_tui.engine.disk.regular import read_large
from cifar_tui.engine.errors import ConfigError
from cifar_tui.engine.layout import CONFIG_FILE, LAST_FILE, REPORT_FILE


class Match(Protocol):
    """Gives a dataset the classes of weights, and says in sentences what is assumed or differs."""

    def __call__(self, dataset: Dataset, /) -> tuple[Dataset, list[str]]:
        """Match `dataset`; see `match_dataset`."""


def match_resumed(
    state: Mapping[str, Any], epochs: int, dataset: Dataset, /, *, assume_order: bool
) -> tuple[Dataset, list[str]]:
    """Give `dataset` the classes of the `last.pt` to resume from, all of which it must have.

    Raises:
        ConfigError: the classes differ; or steps of the `epochs` are left, and there are more or fewer
            training images than in those before.
    """
    names = saved_class_names(state)
    if names is None:
        raise ConfigError("the last.pt of this run has no valid class names; start a new run")
    matched = match_dataset(dataset, names, owner="this run", complete=True, assume_order=assume_order)
    if not has_trained(state, epochs):
        check_image_count(state["provenance"], dataset)
    return matched


def match_weights(
    weights: RecognizedWeights, dataset: Dataset, /, *, assume_order: bool
) -> tuple[Dataset, list[str]]:
    """Give `dataset` the classes of `weights`: those in their file, or of the run in whose folder it is.

    The dataset may lack some of them. Weights without names are assumed to have the classes of the dataset.

    Raises:
        ConfigError: the classes differ.
    """
    names = class_names_of(weights)
    images = assumed_images(weights, dataset.train.image_size, dataset.train.normalization)
    if names is not None:
        owner = f"'{weights.path.name}'"
        matched, said = match_dataset(dataset, names, owner=owner, complete=False, assume_order=assume_order)
        return matched, [*said, *images]
    ours = dataset.class_names
    if len(ours) != weights.num_classes:
        raise ConfigError(
            f"'{weights.path}' expects {weights.num_classes} classes, the dataset ({dataset.title}) has "
            f"{len(ours)}; use --data with the dataset it was trained on"
        )
    order = f"the class order of {dataset.title} ({listed(ours)})"
    official = align_classes(CLASS_NAMES, ours)
    if official is not None and not official.absent and official.positions != tuple(range(len(ours))):
        order += f", which is not that of CIFAR-10 ({listed(CLASS_NAMES)})"
    return dataset, [f"'{weights.path}' names no classes: assuming {order}", *images]


def assumed_images(weights: RecognizedWeights, image_size: int, normalization: Normalization) -> list[str]:
    """Say what of the training images of `weights` is assumed, unless they or the settings of a run tell."""
    if weights.trained_on is not None or (weights.path.parent / CONFIG_FILE).is_file():
        return []
    images = f"images of {image_size}×{image_size} pixels, and {normalization.words}"
    return [f"'{weights.path}' does not say what it was trained on: assuming {images}"]


def class_names_of(weights: RecognizedWeights) -> tuple[str, ...] | None:
    """Return the class names in the file of `weights`, or of the run in whose folder it is; None without any.

    Raises:
        ConfigError: there are more or fewer than logits.
    """
    names = weights.class_names or class_names_of_run(weights.path.parent)
    if names is not None and len(names) != weights.num_classes:
        raise ConfigError(
            f"'{weights.path}' names {len(names)} classes ({listed(names)}) for {weights.num_classes} "
            "logits; correct the names, or save the weights without them"
        )
    return names


def name_classes(
    weights: RecognizedWeights, given: Sequence[str] | None
) -> tuple[tuple[str, ...], list[str]]:
    """Name the classes of `weights` without a dataset.

    Args:
        weights: the weights.
        given: the names that the user gave; None for those that the weights have.

    Returns:
        The names, and a sentence on each thing that was assumed. Ten classes without names are assumed to be
        those of CIFAR-10, others are numbered.

    Raises:
        ConfigError: there are more or fewer names than logits.
    """
    path, count = weights.path, weights.num_classes
    own = class_names_of(weights) if given is None else None
    names = own if given is None else tuple(given)
    if names is not None and len(names) != count:
        raise ConfigError(
            f"'{path}' expects {count} classes, {len(names)} are given ({listed(names)}); give all of them, "
            "in the order of its logits"
        )
    if names is not None:
        return names, []
    names, how = tuple(map(str, range(count))), f"numbering its {count} classes from 0"
    if count == len(CLASS_NAMES):
        names, how = CLASS_NAMES, f"assuming those of CIFAR-10 ({listed(CLASS_NAMES)})"
    return names, [f"'{path}' names no classes: {how}; name them with --classes"]


def class_names_of_run(folder: Path) -> tuple[str, ...] | None:
    """Return the class names of the run in `folder`; None if it is none, or they cannot be read."""
    if not (folder / CONFIG_FILE).is_file():
        return None
    if names := saved_class_names(state_of_run(folder)):
        return names
    try:
        report = json.loads(read_large(folder / REPORT_FILE))
    except (OSError, ValueError, RecursionError):
        return None
    return saved_class_names(report)


def training_images(weights: RecognizedWeights | WeightsFile) -> TrainedOn:
    """Return what is known of the images that `weights` were trained on.

    It is in their file, or in the `last.pt` of the run in whose folder it is.
    """
    if weights.trained_on is not None:
        return weights.trained_on
    state = state_of_run(weights.path.parent)
    return trained_on_in(state) if state else TrainedOn()


def state_of_run(folder: Path) -> Mapping[str, Any]:
    """Return the content of the `last.pt` of the run in `folder`; {} if it is none, or it cannot be read."""
    if not (folder / CONFIG_FILE).is_file():
        return {}
    try:
        content = load_own_file(folder / LAST_FILE)
    except ConfigError:
        return {}
    return content if isinstance(content, Mapping) else {}
