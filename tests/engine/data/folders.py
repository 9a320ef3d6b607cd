"""Loads folders of images."""

import re
from pathlib import Path

from cifar_tui.engine.data.convert import SIDE
from cifar_tui.engine.data.dataset import Dataset
from cifar_tui.engine.data.folder import load_folder
from cifar_tui.engine.data.registry import Progress
from cifar_tui.engine.data.scales import Scales


def load(root: Path, *, seed: int = 0, scales: Scales | None = None, image_size: int = SIDE) -> Dataset:
    """Load the folder `root`, with its cache beside it."""
    return load_folder(
        root,
        data_dir=root.parent / "data",
        seed=seed,
        progress=Progress(lambda _: None, lambda: False),
        scales=scales,
        image_size=image_size,
    )


def skipped(dataset: Dataset) -> list[str]:
    """The files of which the dataset says that they are no images, as "path: reason"."""
    start = re.compile(r"skipped [\d,]+ files? that could not be read as images: ")
    (said,) = [warning for warning in dataset.warnings if start.match(warning)] or [""]
    return start.sub("", said).split("; ") if said else []
