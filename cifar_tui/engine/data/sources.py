"""Load a dataset that is named by a keyword or by a path."""

import difflib
import pkgutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cifar_tui.engine.data.cifar10 import find_official_files, is_folder, is_regular_file, load_cifar10
from cifar_tui.engine.data.convert import SIDE
from cifar_tui.engine.data.dataset import Dataset
from cifar_tui.engine.data.fetch import exists
from cifar_tui.engine.data.folder import load_folder
from cifar_tui.engine.data.registry import DOWNLOADED, FILES, PUBLISHED_PREFIX, SOURCES, Progress, user_path
from cifar_tui.engine.data.scales import Scales
from cifar_tui.engine.errors import DataUnavailableError
from cifar_tui.engine.events import LoadingProgress


def is_downloaded(source: str, data_dir: Path) -> bool:
    """Whether loading `source` needs no network."""
    return source not in DOWNLOADED or bool(pkgutil.resolve_name(DOWNLOADED[source])(data_dir))


def load_dataset(
    source: str,
    *,
    data_dir: Path,
    seed: int,
    report: Callable[[LoadingProgress], None],
    cancelled: Callable[[], bool],
    scales: Scales | None = None,
    image_size: int = SIDE,
) -> Dataset:
    """Load a dataset: into memory, or into a file if its images are not of 32x32 pixels.

    Args:
        source: a key of `SOURCES`, the path of a folder, of images or of the official CIFAR-10 files, that of
            their archive, or that of a file that `FILES` knows.
        data_dir: where downloads and caches are kept; created if needed.
        seed: random seed of the synthetic images, and of the split of an image folder without one.
        report: receives the progress; see `Progress`.
        cancelled: whether the user requested a stop.
        scales: what is black and white in images of more than 8 bits, in the run that they are for.
        image_size: height and width of the images, in pixels.

    Raises:
        DataUnavailableError: the images are not available; the message says what to do.
        CancelledError: the user requested a stop; a partial download is kept and resumed next time.
    """
    common: dict[str, Any] = {
        "data_dir": data_dir,
        "seed": seed,
        "progress": Progress(report, cancelled),
        "image_size": image_size,
    }
    if source in SOURCES:
        load = pkgutil.resolve_name(SOURCES[source])
        dataset: Dataset = load(**common)
        return dataset
    if source.startswith(PUBLISHED_PREFIX):
        raise DataUnavailableError(_unknown(source))
    path = user_path(source)
    loader = FILES.get(path.suffix.lower())
    if loader is not None and "\0" not in source and not is_folder(path):
        if exists(path) and not is_regular_file(path):  # a pipe would never end
            raise DataUnavailableError(f"'{path}' is not a regular file: give the path of one")
        load = pkgutil.resolve_name(loader)
        loaded: Dataset = load(path, scales=scales, **common)
        return loaded
    official = path if is_regular_file(path) else find_official_files(path)
    if official is not None:
        return load_cifar10(path=official, **common)
    return load_folder(path, scales=scales, **common)


def _unknown(source: str) -> str:
    """The refusal of a dataset that torchvision may know, but that is not registered."""
    names = {name.casefold(): name for name in SOURCES if name.startswith(PUBLISHED_PREFIX)}
    near = difflib.get_close_matches(source.casefold(), names, n=1)
    hint = f"; did you mean {names[near[0]]!r}?" if near else ""
    return f"there is no dataset {source!r}{hint}; there are {', '.join(names.values())}"
