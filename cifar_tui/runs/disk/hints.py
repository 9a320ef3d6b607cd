"""Commands that a sentence tells the user to run."""

import os
import re
import shlex
from pathlib import Path

from cifar_tui.engine.text import escaped

DEFAULT_CHECKPOINTS = Path("checkpoints")


def command(words: str, folder: Path, *, label: str = "") -> str:
    """Return `cifar-tui WORDS RUN` for the run in `folder`, with the folder of all runs if needed.

    Args:
        words: the command and its options.
        folder: the folder of the run.
        label: what to call the run by; "" for its ID.
    """
    folder = folder.resolve()
    line = f"cifar-tui {words} {_quoted(label or folder.name)}"
    if folder.parent == DEFAULT_CHECKPOINTS.resolve():
        return line
    return f"{line} --checkpoints {_quoted(str(folder.parent))}"


def _quoted(word: str) -> str:
    """Quote `word` for a shell; one that would not be printed as it is gets its bytes as `$'…'` has them."""
    if escaped(word) == word:
        return shlex.quote(word)
    text = re.sub(rb"[^ -~]|[\\']", lambda byte: b"\\%03o" % ord(byte[0]), os.fsencode(word)).decode("ascii")
    return f"$'{text}'"
