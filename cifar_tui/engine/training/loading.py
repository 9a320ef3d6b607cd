"""Load the images of a run with the classes of its weights, and say what was found."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch

from cifar_tui.engine.checkpoint.classes import Match
from cifar_tui.engine.checkpoint.trained_on import TrainedOn
from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.data.dataset import Dataset, ImageSplit
from cifar_tui.engine.data.file_images import FileImages
from cifar_tui.engine.data.normalization import Normalization, named_normalization
from cifar_tui.engine.data.registry import user_path
from cifar_tui.engine.data.sources import load_dataset
from cifar_tui.engine.data.statistics import measured_normalization
from cifar_tui.engine.device.memory import FREE_MEMORY, out_of_memory_explained
from cifar_tui.engine.events import Alert, DataLoaded, Event, Message, Phase, PhaseChanged
from cifar_tui.engine.models.published.weights import published_normalization


def load_images(
    config: TrainConfig,
    emit: Callable[[Event], None],
    cancelled: Callable[[], bool],
    match: Match | None = None,
    *,
    trained_on: TrainedOn,
) -> Dataset:
    """Load the images of `config`, and emit what was found, left out and assumed.

    Args:
        config: the settings.
        emit: takes every event.
        cancelled: whether the user requested a stop.
        match: gives the dataset the classes of the weights that it is for; None for a new run.
        trained_on: what is known of the images of those weights.

    Raises:
        UserError: the images are not available, or do not match; one sentence.
        CancelledError: the user requested a stop.
    """
    emit(PhaseChanged(phase=Phase.LOADING, message=f"dataset (data={config.data})"))
    size = image_size_of(config, trained_on, lambda text: emit(Alert(text=text)))
    dataset = load_dataset(
        config.data,
        data_dir=user_path(config.data_dir),
        seed=config.seed,
        report=emit,
        cancelled=cancelled,
        scales=trained_on.scales,
        image_size=size,
    )
    for note in dataset.notes:
        emit(Message(text=note))
    for warning in dataset.warnings:  # first: a file left out may be why the weights do not match
        emit(Alert(text=warning))
    dataset = normalized(dataset, config, trained_on)
    if (config.normalization == "dataset" or _is_published(config)) and trained_on.normalization is None:
        emit(Message(text=f"normalization {config.normalization}: {dataset.train.normalization.words}"))
    if match is not None:
        dataset, differences = match(dataset)
        for difference in differences:
            emit(Alert(text=difference))
    emit(
        DataLoaded(
            title=dataset.title,
            synthetic=dataset.synthetic,
            class_names=dataset.class_names,
            train_images=len(dataset.train),
            test_images=len(dataset.test),
        )
    )
    return dataset


def image_size_of(config: TrainConfig, trained_on: TrainedOn, alert: Callable[[str], object]) -> int:
    """The size of the images to load: that of the training, if it is known; says so if another is set."""
    size = trained_on.image_size or config.image_size
    if size != config.image_size:
        alert(
            f"images of {size}×{size} pixels, which the weights were trained on, instead of image_size "
            f"{config.image_size}"
        )
    return size


def normalized(dataset: Dataset, config: TrainConfig, trained_on: TrainedOn) -> Dataset:
    """Return `dataset` with the normalization of the training; that of the settings if it is not known."""
    normalization = (
        trained_on.normalization or normalization_of(config) or measured_normalization(dataset.train)
    )
    change = partial(replace, normalization=normalization)
    return replace(
        dataset,
        train=change(dataset.train),
        test=change(dataset.test),
        validation=None if dataset.validation is None else change(dataset.validation),
    )


def normalization_of(config: TrainConfig) -> Normalization | None:
    """The normalization that the settings name, maybe by `pretrained`; None if the images have to tell."""
    if _is_published(config):
        return published_normalization(config.model)
    return named_normalization(config.normalization)


def _is_published(config: TrainConfig) -> bool:
    return config.pretrained and config.normalization == "auto"


def moved(splits: list[ImageSplit], device: torch.device, log: Callable[[str], None]) -> list[ImageSplit]:
    """Move images to `device`; those in a file stay there unless a GPU has room for them, which is said.

    Raises:
        RunFailedError: images that are in memory have no room on the device.
    """
    needed = sum(split.images.nbytes for split in splits) / 2**20
    with out_of_memory_explained(device, f"the images need {needed:,.0f} MiB; {FREE_MEMORY}"):
        there = [split.to(device) for split in splits]
    if device.type == "cuda" and any(isinstance(split.images, FileImages) for split in there):
        log(f"the images are read batch by batch: they need {needed:,.0f} MiB, too much for {device}")
    return there
