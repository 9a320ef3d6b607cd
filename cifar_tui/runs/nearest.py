"""The training images nearest to a test image, found in a thread that no training waits for."""

import asyncio
import contextlib
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from cifar_tui.engine.device.failure import gpu_failure
from cifar_tui.engine.device.memory import out_of_memory_explained
from cifar_tui.engine.errors import (
    CancelledError,
    ConfigError,
    DataUnavailableError,
    RunFailedError,
    UserError,
)
from cifar_tui.engine.events import LoadingProgress
from cifar_tui.runs.disk.run_lock import owner_of
from cifar_tui.runs.disk.store import run_folders
from cifar_tui.runs.internal_error import internal_error
from cifar_tui.runs.results import Results
from cifar_tui.runs.source import RunSource, SavedWeights
from cifar_tui.terminal.process_tuning import gc_frozen

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from cifar_tui.engine.evaluation.training_index import NearImage, TrainingIndex

MOST_NEAREST = 8
"""Training images that are found for a test image."""

_LOWEST_PRIORITY = 19


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class NearestImages:
    """The training images nearest to a test image.

    Attributes:
        images: the nearest one first.
        class_names: name of class 0, 1, … of `images`.
        notes: what is not as it was in training, in sentences.
    """

    images: "tuple[NearImage, ...]"
    class_names: tuple[str, ...]
    notes: tuple[str, ...]


class NearestFinder:
    """Finds the nearest training images, one search at a time.

    It keeps the images of the last run that it searched, and their features in 2 bytes each; another run
    replaces them.

    Args:
        checkpoints: the folder of the runs that other processes may train on this machine; None for none.

    Attributes:
        progress: of the search; None while there is none.
    """

    def __init__(self, checkpoints: Path | None = None) -> None:
        self._checkpoints = checkpoints
        self.progress: LoadingProgress | None = None
        self._index: TrainingIndex | None = None
        self._key: object = None
        self._forgotten = 0
        self._searching = threading.Lock()

    def knows(self, weights: SavedWeights) -> bool:
        """Whether a search with `weights` has its features in memory."""
        return self._index_of(weights) is not None

    def forget(self) -> None:
        """Free the memory."""
        self._forgotten += 1  # a search that is under way must not keep what it finds
        self._index = self._key = None

    async def find(
        self, weights: SavedWeights, image: "NDArray[np.uint8]", place: int, *, gently: bool
    ) -> NearestImages:
        """Find the training images nearest to a test image; a cancel ends the search.

        Args:
            weights: of the network that compares them.
            image: uint8 (T, T, 3), the test image as it is shown.
            place: of the image in the test set.
            gently: whether to leave the GPU and half of the processors to a training, and to work at the
                lowest priority; done for a training of another process in any case.

        Raises:
            UserError: any error the user can fix; one sentence.
        """
        cancelled = threading.Event()
        found: Future[NearestImages] = Future()
        found.set_running_or_notify_cancel()

        def search() -> None:
            try:
                considerate = gently or self._trains_elsewhere()
                if considerate:
                    _lower_priority()
                found.set_result(self._find(weights, image, place, cancelled.is_set, gently=considerate))
            except Exception as error:  # noqa: BLE001 - raised where it is awaited
                found.set_exception(error)

        # a daemon: nobody who quits waits for a GPU or a disk that hangs
        threading.Thread(target=search, name="cifar-tui-nearest", daemon=True).start()
        try:
            return await asyncio.wrap_future(found)
        finally:
            cancelled.set()

    def _trains_elsewhere(self) -> bool:
        if self._checkpoints is None:
            return False
        return any(owner_of(folder).live for folder in run_folders(self._checkpoints))

    def _find(
        self,
        weights: SavedWeights,
        image: "NDArray[np.uint8]",
        place: int,
        cancelled: Callable[[], bool],
        *,
        gently: bool,
    ) -> NearestImages:
        try:
            with self._searching, out_of_memory_explained("cpu", "end other programs that use it"):
                index = self._index_of(weights) or self._build(weights, cancelled, gently=gently)
                found = index.nearest(image, MOST_NEAREST, place=place)
        except (UserError, CancelledError):
            raise
        except Exception as error:  # an image that nothing is found for must not take the screen with it
            said = gpu_failure(error)
            raise RunFailedError(f"the GPU failed ({said})" if said else internal_error(error)) from error
        finally:
            self.progress = None
        dataset = index.dataset
        return NearestImages(images=found, class_names=dataset.class_names, notes=index.notes)

    def _build(
        self, weights: SavedWeights, cancelled: Callable[[], bool], *, gently: bool
    ) -> "TrainingIndex":
        key = _key_of(weights)  # of the file before it is read
        self.forget()  # first: the memory may not do for two
        forgotten = self._forgotten
        with contextlib.nullcontext() if "torch" in sys.modules else gc_frozen():
            from cifar_tui.engine.evaluation.training_index import index_training_images

        index = index_training_images(
            weights.path,
            weights.config,
            model=weights.model,
            edited_model=weights.edited_model,
            dataset=weights.dataset,
            gently=gently,
            report=self._report,
            cancelled=cancelled,
        )
        if self._forgotten == forgotten:
            self._index, self._key = index, key
        return index

    def _report(self, progress: LoadingProgress) -> None:
        self.progress = progress

    def _index_of(self, weights: SavedWeights) -> "TrainingIndex | None":
        index = self._index
        if index is None or self._key != _key_of(weights):
            return None
        return index if weights.dataset is None or weights.dataset is index.dataset else None


class NearestSearch:
    """Finds the training images nearest to test images of a run, all with the same weights.

    Args:
        finder: finds them.
        run: the run.
        is_training: whether a training is active that must not be slowed down.
    """

    def __init__(self, finder: NearestFinder, run: RunSource, is_training: Callable[[], bool]) -> None:
        self._finder = finder
        self._run = run
        self._is_training = is_training
        self._weights: SavedWeights | None = None

    @property
    def is_cheap(self) -> bool:
        """Whether a search slows nothing down: the features are in memory, or nothing trains."""
        weights = self._weights or self._run.saved_weights()
        return not self._is_training() or (weights is not None and self._finder.knows(weights))

    @property
    def progress(self) -> LoadingProgress | None:
        """How far the search is."""
        return self._finder.progress

    async def find(self, results: Results, position: int) -> NearestImages:
        """Find the training images nearest to the test image at `position`; a cancel ends the search.

        Raises:
            UserError: any error the user can fix; one sentence.
        """
        try:
            image = results.images[position]
        except (OSError, IndexError):
            raise DataUnavailableError("the run has no picture of this image to compare") from None
        if self._weights is None or not self._finder.knows(self._weights):
            self._weights = self._run.saved_weights()  # each checkpoint replaces those before it
        weights = self._weights
        if weights is None:
            later = " yet: save a checkpoint (c in Train), then open the image again"
            raise ConfigError(f"no weights of the run are saved{later if self._run.live else ''}")
        found = await self._finder.find(weights, image, position, gently=self._is_training())
        predicted_at = results.predictions.step
        if weights.step is None or predicted_at is None or weights.step == predicted_at:
            return found
        note = f"by the weights saved at step {weights.step:,}; the prediction is of step {predicted_at:,}"
        return replace(found, notes=(note, *found.notes))


def _key_of(weights: SavedWeights) -> object:
    """Return what the features depend on: the weights and the images."""
    config, version = weights.config, None
    if weights.step is None:  # a file that anything can have replaced
        with contextlib.suppress(OSError):  # said when it is read
            status = weights.path.stat()
            version = status.st_ino, status.st_size, status.st_mtime_ns
    saved = weights.step, weights.saved_at, version
    return (
        weights.path,
        saved,
        config.data,
        config.data_dir,
        config.seed,
        config.val_size,
        config.image_size,
        config.normalization,
    )


def _lower_priority() -> None:
    """Give the calling thread, and those that it starts, what other threads leave of the processor."""
    if sys.platform == "linux":  # elsewhere this is the priority of the process
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _LOWEST_PRIORITY)
