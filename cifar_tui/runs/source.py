"""`RunSource`: one interface to a run, whether it trains here, in another process, or has ended."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.events import SamplesPredicted
from cifar_tui.engine.layout import WEIGHTS_FILE
from cifar_tui.runs.control.protocol import Request
from cifar_tui.runs.curves import Curves
from cifar_tui.runs.log_line import LogLine
from cifar_tui.runs.results import ImagePredictions, Images, Results
from cifar_tui.runs.state import RunSnapshot

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from cifar_tui.engine.data.dataset import Dataset


SAMPLE_BATCH_SIZE = 4
"""Images in a batch of samples, as in the tutorial."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Sample:
    """A test image with its prediction.

    Attributes:
        index: position of the image in the test set.
        image: uint8, shape (S, S, 3), RGB, as it is shown.
        ground_truth: name of the true class.
        predicted: name of the predicted class; None if there is no prediction yet.
        confidence: softmax probability (0-1) of `predicted`.
    """

    index: int
    image: "NDArray[np.uint8]"
    ground_truth: str
    predicted: str | None
    confidence: float | None


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SampleBatch:
    """A batch of test images with their predictions.

    Attributes:
        number: number of the batch, from 0.
        count: number of batches.
        step: the step after which the images were predicted; None if unknown or not predicted yet.
        samples: the images.
    """

    number: int
    count: int
    step: int | None
    samples: tuple[Sample, ...]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SavedWeights:
    """The weights of a run that are on the disk, with what they were trained on.

    Attributes:
        path: their file.
        step: the step after which they were saved; None if unknown.
        saved_at: when the event log says so, in seconds since 1970; None if unknown.
        config: the settings.
        model: the only model that they may be of; None for any.
        edited_model: whether a net of the user's is taken from their file as it is now.
        dataset: the images, if this process has them in memory.
    """

    path: Path
    step: int | None
    config: TrainConfig
    model: str | None
    edited_model: bool = False
    dataset: "Dataset | None" = None
    saved_at: float | None = None


def saved_weights(
    folder: Path | None, snapshot: RunSnapshot, config: TrainConfig, dataset: "Dataset | None" = None
) -> SavedWeights | None:
    """Return the weights in the folder of a run; None before the first are saved."""
    if folder is None or snapshot.checkpoint is None:
        return None
    return SavedWeights(
        path=folder / WEIGHTS_FILE,
        step=snapshot.checkpoint.step,
        saved_at=snapshot.checkpoint.time,
        config=config,
        model=config.model,
        dataset=dataset,
    )


def build_sample_batch(
    number: int,
    among: Sequence[int] | None = None,
    *,
    images: Images,
    targets: "NDArray[np.int64]",
    class_names: Sequence[str],
    samples: SamplesPredicted | None,
    evaluated: ImagePredictions | None,
) -> SampleBatch:
    """Build a batch of samples from test images and the newest predictions for them.

    Args:
        number: number of the batch; wraps around.
        among: positions in the test set of the images that make the batches; None for all in order.
        images: the N test images.
        targets: shape (N,), the true classes.
        class_names: name of class 0, 1, …
        samples: predictions while training; None without any.
        evaluated: predictions of the latest evaluation; None without any.
    """
    chosen = range(len(targets)) if among is None else [k for k in among if k < len(targets)]
    count = max(1, -(-len(chosen) // SAMPLE_BATCH_SIZE))
    number %= count
    batch = chosen[number * SAMPLE_BATCH_SIZE : (number + 1) * SAMPLE_BATCH_SIZE]
    newest = _newest_first(samples, evaluated)
    known = [next((made for made in newest if _predicts(made, k, len(class_names))), None) for k in batch]
    steps = [made.step for made in known if made is not None and made.step is not None]
    return SampleBatch(
        number=number,
        count=count,
        step=min(steps, default=None),
        samples=tuple(
            Sample(
                index=k,
                image=images[k],
                ground_truth=class_names[targets[k]],
                predicted=class_names[made.predicted[k]] if made is not None else None,
                confidence=float(made.confidences[k]) if made is not None else None,
            )
            for k, made in zip(batch, known, strict=True)
        ),
    )


def _predicts(made: SamplesPredicted | ImagePredictions, place: int, classes: int) -> bool:
    return place < len(made.predicted) and made.predicted[place] < classes


def wrong_images(
    targets: "NDArray[np.int64]", samples: SamplesPredicted | None, evaluated: ImagePredictions | None
) -> list[int]:
    """Return the positions in the test set of the images whose newest prediction is wrong.

    Args:
        targets: shape (N,), the true classes.
        samples: see `build_sample_batch`.
        evaluated: likewise.
    """
    import numpy as np

    newest = targets.copy()  # what is not predicted is not wrong
    for made in reversed(_newest_first(samples, evaluated)):
        known = np.asarray(made.predicted)[: len(targets)]
        newest[: len(known)] = known
    return np.flatnonzero(newest != targets).tolist()


def _newest_first(
    samples: SamplesPredicted | None, evaluated: ImagePredictions | None
) -> list[SamplesPredicted | ImagePredictions]:
    found = [made for made in (evaluated, samples) if made is not None]
    return sorted(found, key=lambda made: made.step or 0, reverse=True)


class RunSource(Protocol):
    """A run that a screen shows and steers. No method blocks; all may be called from any thread."""

    config: TrainConfig

    @property
    def folder(self) -> Path | None:
        """The run's folder; None before it is created."""
        ...

    @property
    def live(self) -> bool:
        """Whether a process is working on the run."""
        ...

    @property
    def name(self) -> str:
        """The name that the user gave the run, or ""; it can change at any time."""
        ...

    @property
    def ownership(self) -> str:
        """Which process owns the run, for the title of the screen; "" for this one."""
        ...

    @property
    def can_evaluate_saved(self) -> bool:
        """Whether the run's saved weights can be evaluated now."""
        ...

    def snapshot(self) -> RunSnapshot:
        """Return the state of the run."""
        ...

    def curves(self) -> Curves:
        """Return the curves of the charts."""
        ...

    def log_since(self, index: int) -> list[LogLine]:
        """Return the log lines from number `index` on."""
        ...

    def sample_batch(self, number: int, among: Sequence[int] | None = None) -> SampleBatch | None:
        """Return batch `number` of the test images, which wraps around; None before they are loaded.

        With `among`, positions in the test set, of these images only.
        """
        ...

    def wrong_samples(self) -> list[int]:
        """Return the positions in the test set of the images whose newest prediction is wrong."""
        ...

    def results(self) -> Results | None:
        """Return the latest evaluation, the same object until there is another; None before the first."""
        ...

    def saved_weights(self) -> SavedWeights | None:
        """Return the weights on the disk, the latest ones; None before the first are saved."""
        ...

    def request(self, request: Request) -> None:
        """Send `request` to the run; the snapshot shows its effect.

        `EVALUATE` evaluates the saved weights once training is over. A stopped run has ended when `live` is
        false.
        """
        ...
