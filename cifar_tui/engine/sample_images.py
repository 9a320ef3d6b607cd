"""The first test images of a run, kept in its folder for those who look on without the data."""

import io
from pathlib import Path

import numpy as np

from cifar_tui.engine.atomic import write_atomically
from cifar_tui.engine.data.dataset import Dataset
from cifar_tui.engine.errors import RunFailedError

SAMPLE_IMAGES = 64
"""How many of the first test images are kept, and predicted again and again while training."""


def write_samples(path: Path, dataset: Dataset) -> None:
    """Write the first `SAMPLE_IMAGES` test images with their classes.

    Raises:
        RunFailedError: the file cannot be written.
    """
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        images=dataset.test.images[:SAMPLE_IMAGES].permute(0, 2, 3, 1).contiguous().numpy(),
        targets=dataset.test.targets[:SAMPLE_IMAGES].numpy(),
    )
    try:
        write_atomically(path, buffer.getvalue())
    except OSError as error:
        raise RunFailedError(f"cannot write {path}: {error.strerror}") from error
