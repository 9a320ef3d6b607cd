"""Read folders that people and their tools filled: without clutter, and with errors that say what to do."""

import os
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cifar_tui.engine.data.registry import SOURCES
from cifar_tui.engine.errors import DataUnavailableError
from cifar_tui.engine.text import cut_path

Entry = os.DirEntry[str]

# What archives, file managers, network drives and editors leave behind; compared without case.
_CLUTTER = {
    "$recycle.bin",
    "recycler",
    "system volume information",
    "lost+found",
    "__macosx",
    "@eadir",
    "#recycle",
    "#snapshot",
    "@recycle",
    "@recently-snapshot",
    "network trash folder",
    "temporary items",
    "__pycache__",
    "thumbs.db",
    "thumbs.db:encryptable",
    "ehthumbs.db",
    "ehthumbs_vista.db",
    "desktop.ini",
    "picasa.ini",
    "icon\r",
}
_CLUTTER_SUFFIX = ":zone.identifier"  # Windows' mark of a download, as a file of its own elsewhere

_LONGEST_PATH = 200


def list_folder(folder: Path) -> tuple[list[str], list[Entry]]:
    """Return the sorted names of the folders in `folder`, and its other entries, both without clutter.

    Hidden files and folders are clutter too. A link to a folder is a folder.

    Raises:
        DataUnavailableError: the folder is missing or unreadable.
    """
    with errors_explained(folder), os.scandir(folder) as entries:
        kept = [entry for entry in entries if not _is_clutter(entry.name)]
    folders, others = [], []
    for entry in kept:
        if _is_folder(entry):
            folders.append(entry.name)
        else:
            others.append(entry)
    return sorted(folders), others


def folder_identity(folder: Path) -> tuple[int, int]:
    """Return what two paths to the same folder have in common.

    Raises:
        DataUnavailableError: the folder is missing or unreadable.
    """
    with errors_explained(folder):
        status = folder.stat()
    return status.st_dev, status.st_ino


def canonical(name: str) -> str:
    """Return `name` in NFC: macOS writes accents and Hangul in parts, other systems in one piece."""
    return unicodedata.normalize("NFC", name)


def shown(path: Path | str) -> str:
    """Return `path` for an error message, with its middle left out if it is very long."""
    return cut_path(str(path), _LONGEST_PATH)


@contextmanager
def errors_explained(folder: Path) -> Iterator[None]:
    """Turn what reading `folder` raises into one sentence.

    Raises:
        DataUnavailableError: the folder is missing or unreadable.
    """
    try:
        yield
    except FileNotFoundError:
        reason = "no such folder:"
    except NotADirectoryError:
        reason = "not a folder:"
    except OSError as error:
        raise DataUnavailableError(
            f"cannot read the folder '{shown(folder)}' ({error.strerror}): make it readable, or move it"
        ) from None
    except ValueError:  # a null character
        reason = "not a path:"
    else:
        return
    raise DataUnavailableError(
        f"{reason} '{shown(folder)}'; data takes {', '.join(SOURCES)} or the path of a folder, a .csv or "
        "a .npz"
    )


def _is_clutter(name: str) -> bool:
    lower = name.lower()
    return name.startswith(".") or lower in _CLUTTER or lower.endswith(_CLUTTER_SUFFIX)


def _is_folder(entry: Entry) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False
