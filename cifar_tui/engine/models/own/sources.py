"""Where the modules of a user's net come from: the folder of the file, or what a run has kept of it."""

import errno
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

from cifar_tui.engine.disk.regular import open_regular

_MOST_BYTES = 8 << 20
_INSTALLED = {"site-packages", "dist-packages"}
_ENVIRONMENT = "pyvenv.cfg"
_PACKAGE = "__init__.py"
_NOT_THEIRS = sys.stdlib_module_names | {__name__.partition(".")[0], "numpy", "torch", "torchvision"}
"""Modules that a file of theirs must not hide."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceFile:
    """A module of the user's.

    Attributes:
        path: of the file, relative to the folder of the net's file, with "/".
        origin: its path, as a traceback names it.
        content: what is in it.
    """

    path: str
    origin: str
    content: bytes

    @property
    def is_package(self) -> bool:
        """Whether it is the `__init__.py` of a package."""
        return self.path.rpartition("/")[2] == _PACKAGE and "/" in self.path


class Sources(Protocol):
    """Finds the modules of the user's.

    Attributes:
        main: the file that has the net.
    """

    main: SourceFile

    def find(self, name: str) -> SourceFile | None:
        """Find the module `name`, such as `blocks.attention`; None if it is none of the user's."""
        ...


def main_name(main: SourceFile) -> str:
    """Return the name under which the file `main` is imported, by itself and by the modules beside it."""
    stem = main.path.removesuffix(".py")
    return "net" if "." in stem or stem in _NOT_THEIRS else stem


def find_module(name: str, read: Callable[[str], SourceFile | None]) -> SourceFile | None:
    """Find the module `name`: a package, or else a file, of those that `read` returns by their paths."""
    if name.partition(".")[0] in _NOT_THEIRS:
        return None
    path = name.replace(".", "/")
    return read(f"{path}/{_PACKAGE}") or read(f"{path}.py")


def read_source(path: Path) -> bytes:
    """Return the content of the file `path`, or of the one that it links to.

    Raises:
        OSError: it cannot be read, is no regular file, or too large.
    """
    with os.fdopen(open_regular(path, follow=True), "rb") as file:
        content = file.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        raise OSError(errno.EFBIG, f"it has more than {_MOST_BYTES >> 20} MiB", str(path))
    return content


class FolderSources:
    """The modules beside a file: those that a script there would import, but nothing that is installed.

    Modules of the standard library, of this program and of what every net imports, or in an environment below
    the folder, are not theirs.

    Args:
        file: has the net.

    Raises:
        OSError: it cannot be read, or is no regular file.
    """

    def __init__(self, file: Path) -> None:
        self._folder = file.absolute().parent
        self.main = self._load(file.name)

    def find(self, name: str) -> SourceFile | None:
        """Find the module `name`; see `Sources`."""
        top = name.partition(".")[0]
        if top in _NOT_THEIRS or not self._is_theirs(top):
            return None
        return find_module(name, self._read) or self._namespace(name)

    def _is_theirs(self, top: str) -> bool:
        for path in (self._folder / top, self._folder / f"{top}.py"):
            if os.path.lexists(path) and not _INSTALLED.isdisjoint(path.resolve().parts):
                return False
        return not (self._folder / top / _ENVIRONMENT).exists()

    def _namespace(self, name: str) -> SourceFile | None:
        """A folder without `__init__.py`, unless a package of this name is installed."""
        path = self._folder.joinpath(*name.split("."))
        if not path.is_dir() or ("." not in name and find_spec(name) is not None):
            return None
        relative = f"{name.replace('.', '/')}/{_PACKAGE}"
        return SourceFile(path=relative, origin=str(path / _PACKAGE), content=b"")

    def _read(self, path: str) -> SourceFile | None:
        return self._load(path) if (self._folder / path).is_file() else None

    def _load(self, path: str) -> SourceFile:
        origin = self._folder / path
        return SourceFile(path=path, origin=str(origin), content=read_source(origin))
