"""The setting that names a net of the user's: `FILE.py:NAME`. Imports no torch."""

import os.path
import re
from dataclasses import dataclass
from pathlib import Path

from cifar_tui.engine.data.registry import user_path

FORM = "FILE.py:NAME"
"""What such a setting looks like."""

_PATTERN = re.compile(r"(.+\.py):([^\W\d]\w*)")


@dataclass(frozen=True, kw_only=True, slots=True)
class OwnName:
    """A class or function in a file of the user's.

    Attributes:
        file: as the user wrote it.
        name: of the class or function, which returns the net.
    """

    file: Path
    name: str


def own_name(model: str) -> OwnName | None:
    """Split the setting `model`; None if it does not name a net in a file."""
    match = _PATTERN.fullmatch(model) if model.isprintable() else None
    return None if match is None else OwnName(file=user_path(match[1]), name=match[2])


def absolute_model(model: str) -> str:
    """Return the setting `model` with the absolute path of its file, without "..", if it has one."""
    own = own_name(model)
    # Path.resolve would follow a link, which may lead to another file tomorrow
    return model if own is None else f"{os.path.abspath(own.file)}:{own.name}"  # noqa: PTH100


def short_model(model: str) -> str:
    """Return the setting `model` without the folder of its file, if it has one."""
    own = own_name(model)
    return model if own is None else f"{own.file.name}:{own.name}"
