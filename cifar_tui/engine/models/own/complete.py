"""Complete the name of a net of the user's while it is typed. Imports no torch."""

import ast
import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from cifar_tui.engine.data.registry import user_path
from cifar_tui.engine.models.own.sources import read_source

_MOST_ENTRIES = 2000


def complete_model(text: str) -> str | None:
    """Return `text` with the file, and the class or function in it, that it may be meant to name.

    Reads a folder and a file, which takes long on a slow disk; None if there is nothing to add.
    """
    file, colon, start = text.rpartition(":")
    if not text.strip():
        return None
    try:
        if not colon:
            file, start = _file(text), ""
        names = [name for name in _nets(user_path(file)) if name.startswith(start)]
    except (OSError, RecursionError, SyntaxError, ValueError):  # none is found, or it is no Python yet
        return None
    return f"{file}:{names[0]}" if names else None


def _file(text: str) -> str:
    """The path that begins with `text` and is the first of a Python file."""
    folder, slash, start = text.rpartition("/")
    with os.scandir(user_path(folder + slash or ".")) as entries:
        names = [entry.name for entry in islice(entries, _MOST_ENTRIES)]
    return folder + slash + min(name for name in names if name.startswith(start) and name.endswith(".py"))


def _nets(file: Path) -> Iterator[str]:
    """Yield what may make a net: first the classes that are modules, the last one first, then functions."""
    body = ast.parse(read_source(file)).body
    for node in reversed(body):
        if isinstance(node, ast.ClassDef) and any("Module" in ast.unparse(base) for base in node.bases):
            yield node.name
    for node in reversed(body):
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            yield node.name
