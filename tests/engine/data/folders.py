"""Loads folders of images."""

from pathlib import Path

from cifar_tui.engine.data.dataset import Dataset
from cifar_tui.engine.data.folder import load_folder
from cifar_tui.engine.data.registry import Progress


def load(root: Path, *, seed: int = 0) -> Dataset:
    """Load the folder `root`, with its cache beside it."""
    progress = Progress(lambda _: None, lambda: False)
    return load_folder(root, data_dir=root.parent / "data", seed=seed, progress=progress)
