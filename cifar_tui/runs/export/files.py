"""Write exported files: whole or not at all, and never over a file of somebody else."""

import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cifar_tui.engine.atomic import disk_errors_explained, write_atomically
from cifar_tui.engine.errors import ConfigError

MARK = "exported by cifar-tui"
"""In the first bytes of every exported file that has no other mark."""

_HEAD_BYTES = 512


@dataclass(frozen=True, kw_only=True, slots=True)
class ExportFile:
    """A file to write.

    Attributes:
        path: where to.
        content: what.
        mark: an existing file is replaced only if its first bytes contain this.
    """

    path: Path
    content: bytes
    mark: bytes = MARK.encode()


def write_files(files: Sequence[ExportFile]) -> None:
    """Write `files`, after a check of all of them; missing folders are created.

    Raises:
        ConfigError: a file would replace one that no export has written, or two have one name; nothing is
            written.
        RunFailedError: a file cannot be written; those before it are.
    """
    named: set[Path] = set()
    for file in files:
        _check_replaceable(file)
        if file.path.absolute() in named:
            raise ConfigError(f"'{file.path}' is named twice; name a file for each format")
        named.add(file.path.absolute())
    for file in files:
        with disk_errors_explained(f"write '{file.path}'"):
            file.path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(file.path, file.content)


def _check_replaceable(file: ExportFile) -> None:
    try:
        found = file.path.stat()
        if stat.S_ISDIR(found.st_mode):
            raise ConfigError(f"'{file.path}' is a folder; name a file")
        if stat.S_ISREG(found.st_mode):
            with file.path.open("rb") as opened:
                head = opened.read(_HEAD_BYTES)
            if not head or file.mark in head:
                return
    except FileNotFoundError:
        return
    except NotADirectoryError:
        raise ConfigError(f"cannot write '{file.path}': a file is in the place of a folder") from None
    except OSError as error:
        raise ConfigError(f"cannot write '{file.path}': {error.strerror}; choose another place") from None
    raise ConfigError(
        f"'{file.path}' exists and was not exported by cifar-tui: remove it or choose another place"
    )
