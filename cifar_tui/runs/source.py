"""`RunSource`: one interface to a run for every screen."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.runs.control.protocol import Request
from cifar_tui.runs.state import Curves, LogLine, RunSnapshot

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


SAMPLE_BATCH = 4
"""Test images to a batch of samples, as in the tutorial."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Sample:
    """One test image beside what is known of it.

    Attributes:
        image: uint8, shape (32, 32, 3), RGB.
        ground_truth: name of the image's class.
        predicted: name of the class the net takes it for; None while that is not known.
        confidence: softmax probability (0-1) of `predicted`.
    """

    index: int
    image: "NDArray[np.uint8]"
    ground_truth: str
    predicted: str | None
    confidence: float | None


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SampleBatch:
    """A batch of test images: number `number` (from 0) of `count`.

    `step` is when the net predicted; None where that is not known.
    """

    number: int
    count: int
    step: int | None
    samples: tuple[Sample, ...]


class RunSource(Protocol):
    """A run that a screen follows and steers; every method returns at once, on any thread."""

    config: TrainConfig

    @property
    def folder(self) -> Path | None:
        """The run's folder; None while it has none."""
        ...

    @property
    def live(self) -> bool:
        """Whether somebody works on the run now."""
        ...

    @property
    def ownership(self) -> str:
        """Whose the run is, for the title of the screen; "" for a run of this process."""
        ...

    def snapshot(self) -> RunSnapshot:
        """What the run looks like now."""
        ...

    def curves(self) -> Curves:
        """The curves up to now."""
        ...

    def log_since(self, index: int) -> list[LogLine]:
        """The lines of the log from the one numbered `index` on."""
        ...

    def sample_batch(self, number: int) -> SampleBatch | None:
        """Batch `number` of the test images; None while there are no images. `number` wraps around."""
        ...

    def request(self, request: Request) -> None:
        """Request something of the run; what comes of it shows in the snapshot.

        `EVALUATE` evaluates the saved weights when training is over. After `STOP` the run has ended when
        `live` is false.
        """
        ...
