"""Gather the image files that a user names, one by one or by folder."""

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cifar_tui.engine.data.registry import Progress
from cifar_tui.engine.data.scan import walk_files

NO_REGULAR_FILE = "not a regular file"


@dataclass(frozen=True, kw_only=True, slots=True)
class GatheredFiles:
    """What was found.

    Attributes:
        paths: the files to open, in the order they were named; those of a folder by folder and name.
        problems: the path and the reason of each file or folder that cannot be opened.
    """

    paths: tuple[Path, ...]
    problems: tuple[tuple[Path, str], ...]


def gather_files(named: Iterable[Path], progress: Progress) -> GatheredFiles:
    """List the files in `named`, and all files below the folders in it as an image folder is scanned.

    Raises:
        CancelledError: the user requested a stop.
    """
    paths: list[Path] = []
    problems: list[tuple[Path, str]] = []
    progress.begin("listing files", "files")
    for path in named:
        try:
            mode = os.stat(path).st_mode  # noqa: PTH116 - as fast as it can be: there may be very many
        except OSError as error:
            problems.append((path, str(error.strerror)))
            continue
        if stat.S_ISDIR(mode):
            files = walk_files(
                path, [Path()], progress, unreadable=lambda folder, reason: problems.append((folder, reason))
            )
            for inner, _, problem in files:
                if problem:
                    problems.append((path / inner, problem))
                else:
                    paths.append(path / inner)
        elif stat.S_ISREG(mode):
            paths.append(path)
        else:
            problems.append((path, NO_REGULAR_FILE))
        progress.update(len(paths))
    return GatheredFiles(paths=tuple(paths), problems=tuple(problems))
