"""Pictures of the screen, as files."""

import itertools
import time
from pathlib import Path

from cifar_tui.engine.atomic import disk_errors_explained, write_text_atomically


def write_screenshot(svg: str) -> Path:
    """Write `svg` into a file in the working directory that is named after the time, and return its path.

    Raises:
        RunFailedError: it cannot be written.
    """
    stem = f"cifar-tui-{time.strftime('%Y%m%d-%H%M%S')}"
    with disk_errors_explained(f"save the screenshot '{stem}.svg'"):
        names = itertools.chain([stem], (f"{stem}-{number}" for number in itertools.count(2)))
        path = next(path for name in names if not (path := Path.cwd() / f"{name}.svg").exists())
        write_text_atomically(path, svg)
    return path
