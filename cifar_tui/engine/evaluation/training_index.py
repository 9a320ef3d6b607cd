"""The training images with their features in a network, to look up those nearest to another image."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from cifar_tui.engine.checkpoint.classes import match_weights, state_of_run, training_images
from cifar_tui.engine.checkpoint.find import find_weights
from cifar_tui.engine.checkpoint.provenance import describe_images
from cifar_tui.engine.checkpoint.weights import RecognizedWeights, build_net
from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.data.dataset import Dataset, ImageSplit, split_positions
from cifar_tui.engine.data.registry import Progress, user_path
from cifar_tui.engine.data.sources import is_downloaded, load_dataset
from cifar_tui.engine.device.cores import available_threads
from cifar_tui.engine.device.memory import FREE_MEMORY, out_of_memory_explained, release_gpu_memory
from cifar_tui.engine.device.random_state import randomness_kept
from cifar_tui.engine.device.select import current_device, intra_op_threads, select_device
from cifar_tui.engine.errors import ConfigError, DataUnavailableError
from cifar_tui.engine.evaluation.neighbours import last_features, nearest
from cifar_tui.engine.events import LoadingProgress
from cifar_tui.engine.models.own.name import own_name, short_model
from cifar_tui.engine.training.build import create_predictor
from cifar_tui.engine.training.loading import image_size_of, normalized

_ADVICE = "end other programs that use it"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class NearImage:
    """A training image near another image.

    Attributes:
        position: in the training images of the dataset.
        image: uint8 (T, T, 3), RGB, as it is shown.
        target: index of its class.
        similarity: cosine of the angle between the features of both, -1 to 1.
        file: its path below the folder of the dataset; "" if it is in no file.
    """

    position: int
    image: npt.NDArray[np.uint8]
    target: int
    similarity: float
    file: str


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TrainingIndex:
    """The N images that a network was trained on, with their D features in it.

    Attributes:
        dataset: the images.
        positions: int64 (N,), those of the images among the training images of `dataset`.
        features: float16 (N, D), of length 1; for 512 features a third of what the images take.
        net: computed them.
        notes: what of the images is not as it was in training, in sentences.
    """

    dataset: Dataset
    positions: Tensor
    features: Tensor
    net: nn.Module
    notes: tuple[str, ...]

    def nearest(self, image: npt.NDArray[np.uint8], count: int, *, place: int = 0) -> tuple[NearImage, ...]:
        """Return the `count` training images nearest to `image`: the nearest one first.

        Args:
            image: uint8 (S, S, 3), or the thumbnail of a test image that is larger.
            count: of images.
            place: of the test image.

        Raises:
            DataUnavailableError: the thumbnail is of another test image than that at `place`.
        """
        pixels = torch.from_numpy(image.transpose(2, 0, 1).copy())[None]
        if len(image) != self.dataset.train.image_size:
            pixels = self._test_image(pixels, place)
        shown = replace(self.dataset.train, images=pixels, targets=torch.zeros(1, dtype=torch.int64))
        with out_of_memory_explained("cpu", _ADVICE), intra_op_threads(1):  # which is faster for so little
            features = last_features(self.net, shown)
            if features is None:
                raise AssertionError("the training images have features")
            indices, similarities = nearest(features[0], self.features, count)
        positions = self.positions[indices].tolist()
        train, files = self.dataset.train.select(torch.tensor(positions)), self.dataset.train_files
        pictures = train.thumbnails(slice(None)).permute(0, 2, 3, 1).numpy()
        return tuple(
            NearImage(
                position=position,
                image=picture,
                target=target,
                similarity=similarity,
                file=files[position] if files else "",
            )
            for position, picture, target, similarity in zip(
                positions, pictures, train.targets.tolist(), similarities.tolist(), strict=True
            )
        )

    def _test_image(self, thumbnail: Tensor, place: int) -> Tensor:
        """The test image at `place`, uint8 (1, 3, S, S), whose thumbnail is known."""
        test, there = self.dataset.test, slice(place, place + 1)
        if not torch.equal(test.thumbnails(there), thumbnail):
            raise DataUnavailableError(
                "the test images have changed since they were evaluated: evaluate again (e in Train), then "
                "compare them"
            )
        return test.take(there)


def index_training_images(
    weights: Path,
    config: TrainConfig,
    *,
    model: str | None,
    edited_model: bool = False,
    dataset: Dataset | None,
    gently: bool,
    report: Callable[[LoadingProgress], None],
    cancelled: Callable[[], bool],
) -> TrainingIndex:
    """Compute the features of the training images in the network with the weights of a file.

    Args:
        weights: the file; see `load_weights`.
        config: the settings that it was trained, or is evaluated, with.
        model: the only model allowed; None for any registered one that fits.
        edited_model: see `find_weights`.
        dataset: the images, with the classes of the weights; None to load them as an evaluation does.
        gently: whether to leave the GPU and half of the processors to a training; otherwise the
            device of `config` computes, or another one where it is not available.
        report: receives the progress.
        cancelled: whether the user requested a stop; checked often.

    Raises:
        UserError: any error the user can fix; one sentence.
        CancelledError: the user requested a stop.
    """
    progress = Progress(report, cancelled)
    if gently and model is not None and own_name(model) is not None:  # it may draw what the training draws
        raise ConfigError("a net of your own finds no images while a training is active; stop it first")
    with out_of_memory_explained("cpu", _ADVICE):
        notes: list[str] = []
        with randomness_kept(torch.device("cpu")):  # a training draws its next order from the same generator
            recognized = find_weights(
                weights,
                model,
                edited_model=edited_model,
                image_size=config.image_size,
                seed=config.seed,
                say=lambda _: None,
                alert=notes.append,
            )
            net = build_net(recognized)
        if dataset is None:
            dataset, differences = _load(recognized, config, report, cancelled)
            notes += differences
        total = len(dataset.train)
        held_out = config.val_size if dataset.validation is None and config.val_size < total else 0
        positions, _ = split_positions(total, held_out, seed=config.seed)
        images = dataset.train.select(positions) if held_out else dataset.train
        progress.begin("computing features", "images", total=len(images))
        with recognized.source.called(net):
            features = _features(net, config, images, progress, gently=gently)
    if features is None:
        name = short_model(recognized.source.model)
        raise ConfigError(
            f"the last layer of the model {name} is not linear, so it has no features to compare images by"
        )
    return TrainingIndex(dataset=dataset, positions=positions, features=features, net=net, notes=tuple(notes))


def _load(
    recognized: RecognizedWeights,
    config: TrainConfig,
    report: Callable[[LoadingProgress], None],
    cancelled: Callable[[], bool],
) -> tuple[Dataset, list[str]]:
    """Load the images of `config` without a download, and say what is not as it was in training."""
    data_dir = user_path(config.data_dir)
    if not is_downloaded(config.data, data_dir):
        raise DataUnavailableError(
            f"the training images are not in '{data_dir}'; press e in Train to download them"
        )
    notes: list[str] = []
    trained_on = training_images(recognized)
    loaded = load_dataset(
        config.data,
        data_dir=data_dir,
        seed=config.seed,
        report=report,
        cancelled=cancelled,
        scales=trained_on.scales,
        image_size=image_size_of(config, trained_on, notes.append),
    )
    loaded = normalized(loaded, config, trained_on)
    dataset, differences = match_weights(recognized, loaded, assume_order=False)
    notes += differences
    provenance = state_of_run(recognized.path.parent).get("provenance")
    if isinstance(provenance, Mapping) and provenance.get("images") != describe_images(dataset):
        notes.append("the training images have changed since the training")
    return dataset, notes


def _features(
    net: nn.Module, config: TrainConfig, images: ImageSplit, progress: Progress, *, gently: bool
) -> Tensor | None:
    """Compute the features of `images` as an evaluation would, and take `net` back to the CPU."""
    device, threads = torch.device("cpu"), max(1, available_threads() // 2)
    if not gently:
        device, threads = _select_device(config.device), available_threads()
    layout = torch.channels_last if config.channels_last else torch.preserve_format
    try:
        with (
            out_of_memory_explained(device, FREE_MEMORY),
            current_device(device),
            intra_op_threads(threads),
        ):
            moved = net.to(device).to(memory_format=layout)
            predictor = create_predictor(moved, config.replace(tta="none"))
            return last_features(predictor, images, progress=progress.update)
    finally:
        net.cpu()
        if device.type == "cuda":
            release_gpu_memory()


def _select_device(name: str) -> torch.device:
    """Return the device called `name`, or the best one where the run was made on another machine."""
    try:
        return select_device(name)
    except ConfigError:
        return select_device("auto")
