"""`RunSource`: one interface to a run, whether it trains here, in another process, or has ended."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.runs.control.protocol import Request
from cifar_tui.runs.log_line import LogLine
from cifar_tui.runs.state import Curves, RunSnapshot

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


SAMPLE_BATCH_SIZE = 4
"""Images in a batch of samples, as in the tutorial."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Sample:
    """A test image with its prediction.

    Attributes:
        index: position of the image in the test set.
        image: uint8, shape (32, 32, 3), RGB.
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
class Predictions:
    """Predictions for the first test images, or for all.

    Attributes:
        step: the step after which they were made; None if unknown.
        predicted: class indices, in test set order.
        confidences: their softmax probabilities (0-1).
    """

    step: int | None
    predicted: "Sequence[int] | NDArray[np.integer]"
    confidences: "Sequence[float] | NDArray[np.float32]"


def build_sample_batch(
    number: int,
    *,
    images: "NDArray[np.uint8]",
    targets: "NDArray[np.int64]",
    class_names: Sequence[str],
    snapshot: RunSnapshot,
    evaluated: Predictions | None,
) -> SampleBatch:
    """Build a batch of samples from test images and the newest predictions for them.

    Args:
        number: number of the batch; wraps around.
        images: shape (N, 32, 32, 3), RGB.
        targets: shape (N,), the true classes.
        class_names: name of class 0, 1, …
        snapshot: the state of the run.
        evaluated: predictions of an evaluation; not used unless it is the latest one in `snapshot`.
    """
    count = -(-len(targets) // SAMPLE_BATCH_SIZE)
    number %= count
    batch = range(number * SAMPLE_BATCH_SIZE, min((number + 1) * SAMPLE_BATCH_SIZE, len(targets)))
    known = (made for made in _newest_first(snapshot, evaluated) if len(made.predicted) >= batch.stop)
    made = next(known, None)
    return SampleBatch(
        number=number,
        count=count,
        step=made.step if made is not None else None,
        samples=tuple(
            Sample(
                index=k,
                image=images[k],
                ground_truth=class_names[targets[k]],
                predicted=class_names[made.predicted[k]] if made is not None else None,
                confidence=float(made.confidences[k]) if made is not None else None,
            )
            for k in batch
        ),
    )


def _newest_first(snapshot: RunSnapshot, evaluated: Predictions | None) -> list[Predictions]:
    latest, samples = snapshot.evaluated, snapshot.samples
    found = []
    if evaluated is not None and latest is not None and (evaluated.step or 0) == latest.step:
        found.append(evaluated)
    if samples is not None:
        while_training = Predictions(
            step=samples.step, predicted=samples.predicted, confidences=samples.confidences
        )
        newer = latest is None or samples.step > latest.step
        found.insert(0 if newer else len(found), while_training)
    return found


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

    def sample_batch(self, number: int) -> SampleBatch | None:
        """Return batch `number` of the test images, which wraps around; None before they are loaded."""
        ...

    def request(self, request: Request) -> None:
        """Send `request` to the run; the snapshot shows its effect.

        `EVALUATE` evaluates the saved weights once training is over. A stopped run has ended when `live` is
        false.
        """
        ...
