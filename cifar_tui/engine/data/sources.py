"""From what the user names after `--data` to the images in memory."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from cifar_tui.engine.data.cifar10 import (
    FOLDER_NAME,
    archive_of,
    cached_cifar10,
    official_class,
    read_cifar10,
)
from cifar_tui.engine.data.dataset import Dataset
from cifar_tui.engine.data.fetch import fetch
from cifar_tui.engine.data.folder import load_folder
from cifar_tui.engine.data.synthetic import draw_dataset
from cifar_tui.engine.events import LoadingProgress


def load_dataset(
    source: str,
    *,
    data_dir: Path,
    seed: int,
    report: Callable[[LoadingProgress], None],
    cancelled: Callable[[], bool],
    dataset_class: Any = None,  # noqa: ANN401 - torchvision has no types
) -> Dataset:
    """The images of `source`, in memory.

    Args:
        source: "auto" or "cifar10" (the official files, downloaded where they are not in `data_dir`),
            "synthetic", or the path of a folder: of images, or one that torchvision made for CIFAR-10.
        data_dir: where downloads and caches are kept; made where it is needed.
        seed: of the synthetic images, and of the split of a folder that has no split of its own.
        report: takes the progress; called from the calling thread alone, about ten times a second at most.
        cancelled: whether the user asked to stop; asked often.
        dataset_class: in place of `torchvision.datasets.CIFAR10`, a subclass with another address and MD5s.

    Raises:
        DataUnavailableError: the images cannot be had; the message names what else can be done.
        ConfigError: torchvision is needed and cannot be imported.
        CancelledError: the user asked to stop; a partial download is left to be resumed, nothing else.
    """
    if source == "synthetic":
        return draw_dataset(seed=seed, report=report, cancelled=cancelled)
    batches = data_dir / FOLDER_NAME
    if source not in {"auto", "cifar10"}:
        path = _expanded(source)
        found = find_batches(path)
        if found is None:
            return load_folder(path, data_dir=data_dir, seed=seed, report=report, cancelled=cancelled)
        batches = found
    cached = cached_cifar10(batches, data_dir)
    if cached is not None:
        return cached
    dataset_class = dataset_class or official_class()
    if not _exists(batches):
        batches = fetch(archive_of(dataset_class), data_dir, report=report, cancelled=cancelled)
    return read_cifar10(
        batches, data_dir=data_dir, dataset_class=dataset_class, report=report, cancelled=cancelled
    )


def find_batches(path: Path) -> Path | None:
    """The folder of the official files that `path` is or holds; None if there is none."""
    inner = path / FOLDER_NAME
    if _exists(inner / "data_batch_1") or _exists(inner / "batches.meta"):
        return inner
    if _exists(path / "data_batch_1") and _exists(path / "batches.meta"):
        return path
    return None


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a folder on the way cannot be searched; whoever reads it says so
        return False


def _expanded(source: str) -> Path:
    try:
        return Path(source).expanduser()
    except RuntimeError:  # ~name, and there is no user of that name
        return Path(source)
