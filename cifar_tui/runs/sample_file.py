"""Reads the test images that a run keeps in its folder for those who look on. Imports no torch."""

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def read_samples(path: Path) -> "tuple[NDArray[np.uint8], NDArray[np.int64]] | None":
    """The images, uint8 (N, 32, 32, 3), and targets, int64 (N,), in `path`; None where there are none."""
    import numpy as np

    try:
        with np.load(path, allow_pickle=False) as content:
            images, targets = content["images"], content["targets"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    right = images.dtype == np.uint8 and images.shape[1:] == (32, 32, 3) and targets.shape == images.shape[:1]
    return (images, targets) if right else None
