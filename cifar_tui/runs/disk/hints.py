"""Commands that a sentence tells the user to run."""

import shlex
from pathlib import Path

DEFAULT_CHECKPOINTS = Path("checkpoints")


def command(words: str, folder: Path, *, label: str = "") -> str:
    """Return `cifar-tui WORDS RUN` for the run in `folder`, with the folder of all runs if needed.

    Args:
        words: the command and its options.
        folder: the folder of the run.
        label: what to call the run by; "" for its ID.
    """
    folder = folder.resolve()
    line = f"cifar-tui {words} {shlex.quote(label or folder.name)}"
    if folder.parent == DEFAULT_CHECKPOINTS.resolve():
        return line
    return f"{line} --checkpoints {shlex.quote(str(folder.parent))}"
