"""The datasets that `--data` can name, and the progress of loading one. Imports no torch."""

import os
import time
from collections.abc import Callable
from pathlib import Path

from cifar_tui.engine.errors import CancelledError
from cifar_tui.engine.events import LoadingProgress

PUBLISHED_PREFIX = "torchvision:"

_PUBLISHED = {
    "CIFAR100": "cifar100:CIFAR100",
    "MNIST": "mnist:MNIST",
    "FashionMNIST": "mnist:FASHION_MNIST",
    "KMNIST": "mnist:KMNIST",
    "SVHN": "svhn:SVHN",
    "STL10": "stl10:STL10",
    "Flowers102": "flowers102:FLOWERS102",
}
"""`module:name` in `published` of each dataset that torchvision knows. Another one needs a row here."""

SOURCES: dict[str, str] = {
    "auto": "cifar_tui.engine.data.cifar10:load_cifar10",
    "cifar10": "cifar_tui.engine.data.cifar10:load_cifar10",
    "synthetic": "cifar_tui.engine.data.synthetic:load_synthetic",
    **{
        PUBLISHED_PREFIX + name: f"cifar_tui.engine.data.published.{where}.load"
        for name, where in _PUBLISHED.items()
    },
}
"""`module:name` of the loader of each. A new dataset needs a module and a row here.

A loader takes `data_dir` (for downloads and caches), `seed`, `progress` and `image_size`, and returns a
`Dataset`.
"""

FILES: dict[str, str] = {
    ".csv": "cifar_tui.engine.data.csv_file:load_csv",
    ".npz": "cifar_tui.engine.data.npz_file:load_npz",
}
"""`module:name` of the loader of each kind of file, by how its name ends.

A loader takes the path too, and the `scales` of the run that the images are for.
"""

DOWNLOADED: dict[str, str] = {
    "auto": "cifar_tui.engine.data.cifar10:is_downloaded",
    "cifar10": "cifar_tui.engine.data.cifar10:is_downloaded",
    **{
        PUBLISHED_PREFIX + name: f"cifar_tui.engine.data.published.{where}.is_downloaded"
        for name, where in _PUBLISHED.items()
    },
}
"""The names in `SOURCES` that stand for images that are downloaded, with what tells whether they are."""

ALTERNATIVES = "set data to a folder of images, the path of cifar-10-python.tar.gz, or synthetic"
"""What to do without the official files, for the end of an error message."""

_SECONDS_BETWEEN_REPORTS = 0.1


def user_path(text: str) -> Path:
    """The file or folder that a user wrote as `text`; "~" is the home folder."""
    return Path(os.path.expanduser(text))  # noqa: PTH111 - Path.expanduser raises if there is no such user


class Progress:
    """Reports the progress of loading, at most ten times a second, and cancels it on request.

    Args:
        report: called on the calling thread only; a stage with a known total never skips its last report.
        cancelled: whether the user requested a stop; checked often.

    Attributes:
        total: how many units the current stage has; None if unknown.
        note: what else to tell the user about the current stage; "" for nothing.
    """

    def __init__(self, report: Callable[[LoadingProgress], None], cancelled: Callable[[], bool]) -> None:
        self.total: int | None = None
        self.note = ""
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
        self._stage, self._unit, self.total, self.note = stage, unit, total, ""
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
            self._report(
                LoadingProgress(
                    stage=self._stage, done=done, total=self.total, unit=self._unit, note=self.note
                )
            )
