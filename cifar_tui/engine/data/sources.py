"""The datasets that `--data` can name, and how one is loaded. Imports no torch."""

import os
import pkgutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from cifar_tui.engine.errors import CancelledError
from cifar_tui.engine.events import LoadingProgress

if TYPE_CHECKING:
    from cifar_tui.engine.data.dataset import Dataset

SOURCES = {
    "auto": "cifar10:load_cifar10",
    "cifar10": "cifar10:load_cifar10",
    "synthetic": "synthetic:load_synthetic",
}
"""The keywords of `--data`, each with its loader as "module:function" of this package, imported on use.

A loader takes `data_dir` (for downloads and caches), `seed` and `progress`, and returns a `Dataset`.
"""

ALTERNATIVES = "use --data PATH with a folder of images, or --data synthetic"
"""What to do without the official files, for the end of an error message."""

_SECONDS_BETWEEN_REPORTS = 0.1


class Progress:
    """Reports the progress of loading, at most ten times a second, and cancels it on request.

    Args:
        report: called on the calling thread only; the last report of a stage with a total always comes.
        cancelled: whether the user requested a stop; checked often.

    Attributes:
        total: how many units the current stage has; None if unknown.
    """

    def __init__(self, report: Callable[[LoadingProgress], None], cancelled: Callable[[], bool]) -> None:
        self.total: int | None = None
        self._report = report
        self._cancelled = cancelled
        self._stage = self._unit = ""
        self._next_report = 0.0

    def begin(self, stage: str, unit: str, total: int | None = None) -> None:
        """Begin a stage.

        Args:
            stage: a gerund phrase for the user, such as "decoding images".
            unit: what is counted: "bytes", "files" or "images".
            total: how many units there are; None if unknown.
        """
        self._stage, self._unit, self.total = stage, unit, total
        self._next_report = 0.0

    def check(self) -> None:
        """Raise CancelledError if the user requested a stop."""
        if self._cancelled():
            raise CancelledError(f"stopped while {self._stage}")

    def update(self, done: int) -> None:
        """Report that `done` units of the stage are done.

        Raises:
            CancelledError: the user requested a stop.
        """
        self.check()
        now = time.monotonic()
        if now >= self._next_report or done == self.total:
            self._next_report = now + _SECONDS_BETWEEN_REPORTS
            self._report(LoadingProgress(stage=self._stage, done=done, total=self.total, unit=self._unit))


def load_dataset(
    source: str,
    *,
    data_dir: Path,
    seed: int,
    report: Callable[[LoadingProgress], None],
    cancelled: Callable[[], bool],
) -> "Dataset":
    """Load a dataset into memory.

    Args:
        source: a key of `SOURCES`, or the path of a folder: of images, or of the official CIFAR-10 files.
        data_dir: where downloads and caches are kept; created if needed.
        seed: random seed of the synthetic images, and of the split of an image folder without one.
        report: receives the progress; see `Progress`.
        cancelled: whether the user requested a stop.

    Raises:
        DataUnavailableError: the images are not available; the message says what to do.
        CancelledError: the user requested a stop; a partial download is kept and resumed next time.
    """
    progress = Progress(report, cancelled)
    if source in SOURCES:
        load = pkgutil.resolve_name(f"{__package__}.{SOURCES[source]}")
        dataset: Dataset = load(data_dir=data_dir, seed=seed, progress=progress)
        return dataset
    from cifar_tui.engine.data.cifar10 import find_official_files, load_cifar10
    from cifar_tui.engine.data.folder import load_folder

    path = Path(os.path.expanduser(source))  # noqa: PTH111 - Path.expanduser raises if there is no such user
    official = find_official_files(path)
    if official is not None:
        return load_cifar10(data_dir=data_dir, seed=seed, progress=progress, folder=official)
    return load_folder(path, data_dir=data_dir, seed=seed, progress=progress)
