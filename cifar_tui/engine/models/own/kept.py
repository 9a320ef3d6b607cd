"""The source of a user's net in the folder of its run: a zip archive with SHA-256 sums."""

import hashlib
import io
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from cifar_tui.engine.atomic import write_atomically
from cifar_tui.engine.disk.regular import read_regular
from cifar_tui.engine.errors import ConfigError
from cifar_tui.engine.layout import MODEL_FILE
from cifar_tui.engine.models.own.sources import SourceFile, find_module

_SUMS = "SHA256SUMS"
"""Lines as `sha256sum` writes and checks them; the first is of the file that has the net."""

_MOST_BYTES = 64 << 20
_DATE = (1980, 1, 1, 0, 0, 0)


def source_hash(files: Iterable[SourceFile]) -> str:
    """Return the SHA-256 of what `files` are called and contain."""
    return hashlib.sha256(_sums(files).encode()).hexdigest()


def write_kept(path: Path, files: Iterable[SourceFile]) -> None:
    """Write `files`, the one that has the net first, to the archive `path`, atomically.

    Raises:
        OSError: it cannot be written.
    """
    archive = io.BytesIO()
    files = list(files)
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as zipped:
        zipped.writestr(zipfile.ZipInfo(_SUMS, _DATE), _sums(files))
        for file in files:
            zipped.writestr(zipfile.ZipInfo(file.path, _DATE), file.content, zipfile.ZIP_DEFLATED)
    write_atomically(path, archive.getvalue())


def kept_hash(folder: Path) -> str:
    """Return the SHA-256 of the source that the run in `folder` has kept; "" without a sound one."""
    try:
        return source_hash(KeptSources(folder / MODEL_FILE).files)
    except (ConfigError, FileNotFoundError):
        return ""


class KeptSources:
    """The modules that a run has kept.

    Args:
        path: the archive.

    Raises:
        ConfigError: it cannot be read, or its content does not have its SHA-256.
        FileNotFoundError: there is none.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            content = read_regular(path, limit=_MOST_BYTES)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise ConfigError(
                f"cannot read the model's source '{path}': {error.strerror}; put the run's own file there"
            ) from None
        self._files = self._read(content)
        self.main = next(iter(self._files.values()))

    @property
    def files(self) -> list[SourceFile]:
        """All modules, the one that has the net first."""
        return list(self._files.values())

    def find(self, name: str) -> SourceFile | None:
        """Find the module `name`; see `Sources`."""
        return find_module(name, self._files.get)

    def _read(self, content: bytes) -> dict[str, SourceFile]:
        damaged = ConfigError(
            f"the source of the model '{self._path}' is damaged or was edited: its content does not have its "
            "SHA-256; put the run's own file there, or name the model's file with --set model=…"
        )
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as zipped:
                if sum(entry.file_size for entry in zipped.infolist()) > _MOST_BYTES:
                    raise damaged
                sums = zipped.read(_SUMS).decode()
                paths = [line.partition("  ")[2] for line in sums.splitlines()]
                files = {path: zipped.read(path) for path in paths}
        except (
            zipfile.BadZipFile,
            zlib.error,
            EOFError,
            KeyError,
            NotImplementedError,
            RuntimeError,
            ValueError,
        ):
            raise damaged from None
        found = {
            path: SourceFile(path=path, origin=str(self._path / path), content=data)
            for path, data in files.items()
            if ".." not in PurePosixPath(path).parts
        }
        if not found or _sums(found.values()) != sums:
            raise damaged
        return found


def _sums(files: Iterable[SourceFile]) -> str:
    return "".join(f"{hashlib.sha256(file.content).hexdigest()}  {file.path}\n" for file in files)
