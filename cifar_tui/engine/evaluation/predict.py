"""Classify image files: decoded as a folder of images is, predicted as an evaluation does."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from cifar_tui.engine.checkpoint.classes import assumed_images, name_classes, training_images
from cifar_tui.engine.checkpoint.find import find_weights
from cifar_tui.engine.checkpoint.weights import build_net
from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.data.convert import SIDE, Pixels
from cifar_tui.engine.data.dataset import images_at_a_time
from cifar_tui.engine.data.decode_files import DecodedFiles, decode_files, thread_count
from cifar_tui.engine.data.normalization import TUTORIAL, Normalization
from cifar_tui.engine.data.notes import conversion_notes, resizing, scale_sentence
from cifar_tui.engine.data.registry import Progress
from cifar_tui.engine.data.scales import Scales
from cifar_tui.engine.device.cores import available_threads
from cifar_tui.engine.device.memory import (
    FREE_MEMORY,
    memory_advice,
    out_of_memory_explained,
    release_gpu_memory,
)
from cifar_tui.engine.device.nvidia import unused_gpu
from cifar_tui.engine.device.select import current_device, intra_op_threads, select_device
from cifar_tui.engine.errors import ConfigError, RunFailedError
from cifar_tui.engine.evaluation.evaluate import BATCH_SIZE
from cifar_tui.engine.events import LoadingProgress
from cifar_tui.engine.models.own.name import short_model
from cifar_tui.engine.models.source import ModelSource
from cifar_tui.engine.training.build import create_predictor


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Classifier:
    """Weights that are ready to classify images.

    Attributes:
        net: returns logits (N, C); on the CPU.
        model: its name.
        class_names: what the C logits stand for.
        scales: what is black and white in images of more than 8 bits, as far as the training had such images.
        image_size: height and width of the images that it was trained on, in pixels.
        normalization: of its inputs.
        notes: what was unwrapped, converted and assumed, in sentences.
        source: what made `net`.
    """

    net: nn.Module
    model: str
    class_names: tuple[str, ...]
    scales: Scales
    image_size: int
    normalization: Normalization
    notes: tuple[str, ...]
    source: ModelSource


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PredictedFiles:
    """The predictions for some files.

    Attributes:
        paths: the N files that could be read.
        pixels: uint8 (N, 3, S, S), RGB: what the network saw.
        classes: int64 (N, K), the K most probable classes, the most probable one first.
        confidences: float32 (N, K), their softmax probabilities.
        problems: the path and the reason of each file that could not be read.
    """

    paths: tuple[Path, ...]
    pixels: Pixels
    classes: Tensor
    confidences: Tensor
    problems: tuple[tuple[Path, str], ...]


def load_classifier(
    path: Path,
    *,
    model: str | None = None,
    edited_model: bool = False,
    image_size: int = SIDE,
    normalization: Normalization | None = TUTORIAL,
    seed: int = 0,
    say: Callable[[str], object] = lambda _: None,
    class_names: Sequence[str] | None = None,
) -> Classifier:
    """Load the weights in the file `path`; see `load_weights`.

    Args:
        path: the file; in the folder of a run they have its class names and its scales.
        model: the only model allowed; None for any registered one that fits.
        edited_model: see `find_weights`.
        image_size: height and width of the images; those of the training count, if they are known.
        normalization: likewise that of the inputs; None if it depends on the training images.
        seed: see `find_weights`.
        say: takes what a net of the user's prints, whenever it does.
        class_names: names of the classes; None for those that the weights have, see `name_classes`.

    Raises:
        ConfigError: the file cannot be read, fits no model, or has another number of classes.
    """
    changes: list[str] = []
    recognized = find_weights(
        path,
        model,
        edited_model=edited_model,
        image_size=image_size,
        seed=seed,
        say=say,
        alert=changes.append,
    )
    net = build_net(recognized)
    trained_on = training_images(recognized)
    inputs = trained_on.normalization or normalization
    if inputs is None:
        raise ConfigError(
            f"'{path}' does not say the mean and deviation of its training images, which normalization "
            "dataset needs: name the last.pt of its run, or set it to imagenet or tutorial",
            field="normalization",
        )
    size = trained_on.image_size or image_size
    names, assumed = name_classes(recognized, class_names)
    assumed += assumed_images(recognized, size, inputs)
    unwrapped = [f"'{path}': {'; '.join(recognized.notes)}"] if recognized.notes else []
    return Classifier(
        net=net,
        model=short_model(recognized.source.model),
        class_names=names,
        scales=trained_on.scales or {},
        image_size=size,
        normalization=inputs,
        notes=(*changes, *unwrapped, *assumed),
        source=recognized.source,
    )


class FilePredictor:
    """Classifies files, however many, in batches; remembers what was done to them.

    Args:
        classifier: the weights.
        config: device, precision and test-time augmentation, as in an evaluation.
        top: number of classes to return for each image, at most all.
        say: takes a sentence for the user.
        report: takes the progress.
        cancelled: whether the user requested a stop.

    Attributes:
        predicted: number of files classified so far.
    """

    def __init__(
        self,
        classifier: Classifier,
        config: TrainConfig,
        *,
        top: int,
        say: Callable[[str], None],
        report: Callable[[LoadingProgress], None],
        cancelled: Callable[[], bool],
    ) -> None:
        self.predicted = 0
        self._classifier = classifier
        self._config = config
        self._top = min(top, len(classifier.class_names))
        self._say = say
        self._report = report
        self._cancelled = cancelled
        self._batch_size = images_at_a_time(BATCH_SIZE, classifier.image_size)
        self._memory_advice = f"{self._batch_size} images are classified at a time: {FREE_MEMORY}"
        self._scales: dict[str, tuple[float, float]] = dict(classifier.scales)
        self._scaled: dict[str, tuple[int, float, float]] = {}
        self._fitting: dict[str, tuple[float, float]] = {}
        self._sizes: list[npt.NDArray[np.int32]] = []
        self._conversions: list[npt.NDArray[np.uint8]] = []

    def predict(self, paths: Sequence[Path]) -> Iterator[PredictedFiles]:
        """Yield the predictions for `paths`, batch by batch.

        Images of more than 8 bits have the scale of the training, or one that fits all of them.

        Raises:
            UserError: the device is not available, memory ran out, or the outputs are not finite.
            CancelledError: the user requested a stop.
        """
        try:
            with out_of_memory_explained(self._config.device, FREE_MEMORY):
                device = select_device(self._config.device)
                if self._config.device == "auto" and device.type == "cpu" and (reason := unused_gpu()):
                    self._say(f"computing on the CPU: {reason}")
            with out_of_memory_explained(device, self._memory_advice), current_device(device):
                predictor = create_predictor(self._classifier.net.to(device), self._config).eval()
                for first in range(0, len(paths), self._batch_size):
                    decoded = self._decode(paths, first)
                    yield self._predict(predictor, device, paths[first : first + self._batch_size], decoded)
        finally:
            release_gpu_memory()

    def notes(self) -> list[str]:
        """Say what was resized, converted and scaled so far, each with its count."""
        if not self._sizes:
            return []
        sizes, conversions = np.concatenate(self._sizes), np.concatenate(self._conversions)
        resized = resizing(sizes, self._classifier.image_size)
        scaled = [self._scale_note(kind, *self._scaled[kind]) for kind in self._scaled]
        return [*([resized] if resized else []), *conversion_notes(sizes, conversions), *scaled]

    def _scale_note(self, kind: str, count: int, black: float, white: float) -> str:
        sentence = scale_sentence(kind, (count, black, white))
        if kind not in self._classifier.scales:
            return f"{sentence}, which fits them: what was in training is not known"
        low, high = self._fitting[kind]
        alone = f" (what fits them: {low:,.10g} and {high:,.10g})" if (low, high) != (black, white) else ""
        return f"{sentence}, as in training{alone}"

    def _decode(self, paths: Sequence[Path], first: int) -> DecodedFiles:
        """Decode the batch from `first` on."""
        decoded = self._decode_batch(paths, first, "decoding images", self._scales)
        if decoded.scales.keys() - self._scales.keys():  # measured on the files before, which have no such
            fitting = _widened({}, decoded)
            for start in range(first + self._batch_size, len(paths), self._batch_size):
                later = self._decode_batch(paths, start, "finding black and white", {})
                fitting = _widened(fitting, later)
            self._scales = {**fitting, **self._scales}
            decoded = self._decode_batch(paths, first, "decoding images", self._scales)
        for kind, (count, black, white) in decoded.scales.items():
            before = self._scaled[kind][0] if kind in self._scaled else 0
            self._scaled[kind] = (before + count, black, white)
        self._fitting = _widened(self._fitting, decoded)
        return decoded

    def _decode_batch(self, paths: Sequence[Path], first: int, stage: str, scales: Scales) -> DecodedFiles:
        part = paths[first : first + self._batch_size]

        def report(loading: LoadingProgress) -> None:
            self._report(replace(loading, done=first + loading.done, total=len(paths)))

        progress = Progress(report, self._cancelled)
        progress.begin(stage, "images")
        return decode_files(
            part,
            threads=thread_count(_mean_bytes(part)),
            progress=progress,
            scales=scales,
            image_size=self._classifier.image_size,
        )

    def _predict(
        self, predictor: nn.Module, device: torch.device, paths: Sequence[Path], decoded: DecodedFiles
    ) -> PredictedFiles:
        good = [index for index in range(len(paths)) if index not in decoded.errors]
        pixels, kept = decoded.pixels[good], tuple(paths[index] for index in good)
        self.predicted += len(good)
        self._sizes.append(decoded.sizes[good])
        self._conversions.append(decoded.conversions[good])
        confidences, classes = self._top_classes(predictor, torch.from_numpy(pixels).to(device), kept)
        return PredictedFiles(
            paths=kept,
            pixels=pixels,
            classes=classes,
            confidences=confidences,
            problems=tuple((paths[index], str(error)) for index, error in sorted(decoded.errors.items())),
        )

    @torch.no_grad()
    def _top_classes(
        self, predictor: nn.Module, images: Tensor, paths: Sequence[Path]
    ) -> tuple[Tensor, Tensor]:
        if not paths:
            return torch.zeros(0, self._top), torch.zeros(0, self._top, dtype=torch.int64)
        with (
            memory_advice(self._memory_advice),
            intra_op_threads(available_threads()),
            self._classifier.source.called(self._classifier.net),
        ):
            logits: Tensor = predictor(self._classifier.normalization.apply(images)).float().cpu()
        finite = logits.isfinite().all(dim=1)
        if not finite.all():
            raise RunFailedError(
                f"the outputs for '{paths[int(finite.int().argmin())]}' are not finite; use precision fp32, "
                "or an earlier checkpoint"
            )
        # stable, so that of equal ones the first is predicted, as in an evaluation
        confidences, classes = logits.softmax(dim=1).sort(dim=1, descending=True, stable=True)
        return confidences[:, : self._top].clone(), classes[:, : self._top].clone()


def _widened(
    scales: Mapping[str, tuple[float, float]], decoded: DecodedFiles
) -> dict[str, tuple[float, float]]:
    """Return black and white by kind, so far `scales`, that fit the images in `decoded` as well."""
    widened = dict(scales)
    for kind, (_, low, high) in decoded.fitting.items():
        black, white = widened.get(kind, (low, high))
        widened[kind] = (min(black, low), max(white, high))
    return widened


def _mean_bytes(paths: Sequence[Path]) -> float:
    sizes = []
    for path in paths:
        try:
            sizes.append(path.stat().st_size)
        except OSError:  # said when it is decoded
            continue
    return sum(sizes) / max(len(sizes), 1)
