"""The test images of a run, here or in its folder, and what the latest evaluation predicted for them."""

import errno
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cifar_tui.engine.errors import ConfigError, DataUnavailableError
from cifar_tui.runs.disk.config import read_run_config
from cifar_tui.runs.disk.samples import (
    StoredImages,
    read_predictions,
    read_samples,
    read_test_files,
    write_predictions,
    write_samples,
    write_test_files,
)
from cifar_tui.runs.results import ImagePredictions, Images, Results, history_of
from cifar_tui.runs.source import SampleBatch, build_sample_batch, wrong_images
from cifar_tui.runs.state import RunSnapshot

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from cifar_tui.engine.data.dataset import Dataset, ImageSplit
    from cifar_tui.engine.events import Evaluated
    from cifar_tui.engine.session import Session

_AHEAD_SECONDS = 0.02
"""How long each update may read images ahead."""


class EvaluatedImages:
    """Keeps the predictions for the test images of `session`, in memory and in the run's folder.

    The run's thread writes them, screens read them from any thread.

    Attributes:
        session: the engine's side of the run; None until torch is imported.
    """

    def __init__(self) -> None:
        self.session: Session | None = None
        self._predictions: ImagePredictions | None = None
        self._results: Results | None = None
        self._results_of: object = None

    @property
    def dataset(self) -> "Dataset | None":
        """The images; None before they are loaded."""
        return None if self.session is None else self.session.dataset

    def sample_batch(
        self, number: int, among: Sequence[int] | None, snapshot: RunSnapshot
    ) -> SampleBatch | None:
        """Return batch `number` of the test images; see `RunSource.sample_batch`."""
        dataset, results = self.dataset, self.results(snapshot)
        if dataset is None:
            return None
        try:
            return build_sample_batch(
                number,
                among,
                images=_TestImages(dataset.test),
                targets=dataset.test.targets.numpy(),
                class_names=dataset.class_names,
                samples=snapshot.samples,
                evaluated=None if results is None else results.predictions,
            )
        except OSError:  # somebody has written over the file, or its disk is gone
            return None

    def wrong_samples(self, snapshot: RunSnapshot) -> list[int]:
        """Return the positions of the images whose newest prediction is wrong."""
        dataset, results = self.dataset, self.results(snapshot)
        if dataset is None:
            return []
        evaluated = None if results is None else results.predictions
        return wrong_images(dataset.test.targets.numpy(), snapshot.samples, evaluated)

    def results(self, snapshot: RunSnapshot) -> Results | None:
        """Return the latest evaluation, if it is one of those in `snapshot`; None before the first."""
        dataset, predictions = self.dataset, self._predictions
        if dataset is None or predictions is None:
            return None
        made = predictions, snapshot.evaluations
        if self._results_of != made:
            history = history_of(*made)
            if snapshot.evaluated is None:
                self._results = None
            if history:  # else the predictions are of an evaluation to come
                self._results = Results(
                    class_names=dataset.class_names,
                    predictions=predictions,
                    images=_TestImages(dataset.test),
                    files=dataset.test_files,
                    root=dataset.root,
                    history=history,
                )
            self._results_of = made
        return self._results

    def keep(self, step: int) -> None:
        """Keep what the evaluation after `step` steps predicted; 0 if unknown, as of a file of weights."""
        report = None if self.session is None else self.session.report
        if report is None:
            raise AssertionError("an evaluation leaves its report")
        self._predictions = ImagePredictions(
            step=step or None,
            targets=report.targets.numpy(),
            losses=report.losses.numpy(),
            top_classes=report.top_classes.numpy(),
            top_confidences=report.top_confidences.numpy(),
        )

    def write_images(self, folder: Path) -> None:
        """Write the test images and the names of their files into the run's `folder`, for others to read.

        Raises:
            RunFailedError: a file cannot be written.
        """
        if self.dataset is None:
            raise AssertionError("the images are loaded before the folder is created")
        write_samples(folder, self.dataset.test)
        write_test_files(folder, self.dataset.root, self.dataset.test_files)

    def write_predictions(self, folder: Path) -> None:
        """Write the latest predictions, if there are any, into the run's `folder`.

        Raises:
            OSError: the file cannot be written.
        """
        if self._predictions is not None:
            write_predictions(folder, self._predictions)

    def read_predictions(self, folder: Path) -> None:
        """Take the predictions that an earlier process of the run left in its `folder`."""
        import numpy as np

        if self.dataset is None:
            return
        found = read_predictions(folder, classes=len(self.dataset.class_names))
        if found is not None and np.array_equal(found.targets, self.dataset.test.targets.numpy()):
            self._predictions = found


class StoredEvaluation:
    """The test images and predictions in the folder of a run, read when its log says that they have changed.

    One thread calls `update`. Screens read from any thread and wait for no disk: by then all is in memory,
    except the last images of a large test set.

    Attributes:
        results: the latest evaluation whose predictions are in the folder; None without one.
    """

    def __init__(self) -> None:
        self.results: Results | None = None
        self._samples: tuple[StoredImages, NDArray[np.int64], tuple[str, ...]] | None = None
        self._samples_of: object = None
        self._predictions: ImagePredictions | None = None
        self._predictions_of: Evaluated | None = None
        self._results_of: object = None

    def update(self, folder: Path, snapshot: RunSnapshot) -> None:
        """Read what `snapshot` says has changed in `folder`, and some more of the images."""
        if snapshot.data is None:
            return
        names = snapshot.data.class_names
        written = snapshot.data, snapshot.started  # a resume may write other images
        if self._samples is None or self._samples_of != written:
            samples = read_samples(folder, classes=len(names))
            self._samples = None if samples is None else (*samples, names)
            self._samples_of = written
        if snapshot.evaluated is not self._predictions_of:
            self._predictions = read_predictions(folder, classes=len(names))
            self._predictions_of = snapshot.evaluated
        made = self._samples, self._predictions, snapshot.evaluations
        if self._results_of != made:
            results = None
            if self._predictions is not None:
                kept = None if self._samples is None else self._samples[:2]
                results = _stored_results(folder, kept, self._predictions, snapshot.evaluations)
            if results is not None or snapshot.evaluated is None:  # else they are of an evaluation to come
                self.results = results
            self._results_of = made
        if self._samples is not None:
            self._samples[0].read_ahead(_AHEAD_SECONDS)

    def sample_batch(
        self, number: int, among: Sequence[int] | None, snapshot: RunSnapshot
    ) -> SampleBatch | None:
        """Return batch `number` of the images; see `RunSource.sample_batch`."""
        samples, results = self._samples, self.results
        if samples is None:
            return None
        images, targets, names = samples
        try:
            return build_sample_batch(
                number,
                among,
                images=images,
                targets=targets,
                class_names=names,
                samples=snapshot.samples,
                evaluated=None if results is None else results.predictions,
            )
        except OSError:  # somebody has written over the file, or its disk is gone
            return None

    def wrong_samples(self, snapshot: RunSnapshot) -> list[int]:
        """Return the positions of the images whose newest prediction is wrong."""
        samples, results = self._samples, self.results
        if samples is None:
            return []
        return wrong_images(samples[1], snapshot.samples, None if results is None else results.predictions)


def read_results(folder: Path, evaluations: tuple["Evaluated", ...]) -> Results | None:
    """Read the latest predictions in `folder`; None if none are stored that one of `evaluations` has made.

    Predictions of steps that a resume trained again are of none of them.
    """
    classes = len(evaluations[-1].per_class) if evaluations else 0
    predictions = read_predictions(folder, classes=classes)
    if predictions is None:
        return None
    return _stored_results(folder, read_samples(folder, classes=classes), predictions, evaluations)


def _stored_results(
    folder: Path,
    samples: "tuple[StoredImages, NDArray[np.int64]] | None",
    predictions: ImagePredictions,
    evaluations: tuple["Evaluated", ...],
) -> Results | None:
    import numpy as np

    history = history_of(predictions, evaluations)
    if not history:
        return None
    images: Images = np.zeros((0, 32, 32, 3), np.uint8)
    if samples is not None and np.array_equal(samples[1], predictions.targets[: len(samples[1])]):
        images = samples[0]  # else they are of another test set
    root, files = read_test_files(folder, count=len(predictions.targets))
    return Results(
        class_names=tuple(entry.name for entry in history[-1].per_class),
        predictions=predictions,
        images=images,
        files=files,
        root=root,
        image_size=_image_size(folder),
        history=history,
    )


def _image_size(folder: Path) -> int | None:
    """Return the size of the images of the run in `folder`; None if its settings cannot be read."""
    try:
        return read_run_config(folder).image_size
    except ConfigError:
        return None


class _TestImages:
    """The test images of a run of this process as they are shown: those in a file are read when indexed.

    Args:
        test: the images, on the CPU.
    """

    def __init__(self, test: "ImageSplit") -> None:
        self._test = test

    def __len__(self) -> int:
        return len(self._test)

    def __getitem__(self, number: int) -> "NDArray[np.uint8]":
        """Return an image, uint8 (S, S, 3); OSError if it cannot be read any more."""
        if not 0 <= number < len(self):
            raise IndexError(number)
        try:
            return self._test.thumbnails(slice(number, number + 1))[0].permute(1, 2, 0).numpy()
        except DataUnavailableError as error:
            raise OSError(errno.EIO, str(error)) from error
