"""The first test images, kept in the run's folder for the samples pane of an attached run."""

import io
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from cifar_tui.engine.atomic import disk_errors_explained, write_atomically
from cifar_tui.engine.events import SAMPLE_IMAGES

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from cifar_tui.engine.data.dataset import Dataset


def write_samples(path: Path, dataset: "Dataset") -> None:
    """Write the first `SAMPLE_IMAGES` test images and their targets.

    Raises:
        RunFailedError: the file cannot be written.
    """
    import numpy as np

    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        images=dataset.test.images[:SAMPLE_IMAGES].permute(0, 2, 3, 1).contiguous().numpy(),
        targets=dataset.test.targets[:SAMPLE_IMAGES].numpy(),
    )
    with disk_errors_explained(f"write '{path}'"):
        write_atomically(path, buffer.getvalue())


def read_samples(path: Path) -> "tuple[NDArray[np.uint8], NDArray[np.int64]] | None":
    """Read the images, uint8 (N, 32, 32, 3), and targets, int64 (N,); None if missing or damaged."""
    import numpy as np

    try:
        with np.load(path, allow_pickle=False) as content:
            images, targets = content["images"], content["targets"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    valid = images.dtype == np.uint8 and images.shape[1:] == (32, 32, 3) and targets.shape == images.shape[:1]
    return (images, targets) if valid else None
