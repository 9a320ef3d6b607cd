"""Load a dataset that is named by a keyword or by a path."""

import pkgutil
from collections.abc import Callable
from pathlib import Path

from cifar_tui.engine.data.cifar10 import find_official_files, load_cifar10
from cifar_tui.engine.data.dataset import Dataset
from cifar_tui.engine.data.folder import load_folder
from cifar_tui.engine.data.registry import SOURCES, Progress, source_folder
from cifar_tui.engine.events import LoadingProgress


def load_dataset(
    source: str,
    *,
    data_dir: Path,
    seed: int,
    report: Callable[[LoadingProgress], None],
    cancelled: Callable[[], bool],
) -> Dataset:
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
        load = pkgutil.resolve_name(SOURCES[source])
        dataset: Dataset = load(data_dir=data_dir, seed=seed, progress=progress)
        return dataset
    path = source_folder(source)
    official = find_official_files(path)
    if official is not None:
        return load_cifar10(data_dir=data_dir, seed=seed, progress=progress, folder=official)
    return load_folder(path, data_dir=data_dir, seed=seed, progress=progress)
