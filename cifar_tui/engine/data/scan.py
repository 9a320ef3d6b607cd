"""List the files of an image folder and their classes, without opening any of them."""

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cifar_tui.engine.data.registry import SOURCES, Progress
from cifar_tui.engine.errors import DataUnavailableError
from cifar_tui.engine.text import printable

EXPECTED_LAYOUT = (
    "it must contain one folder of images per class (two or more), directly or in train/ and test/"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundFile:
    """A file below a class folder.

    Attributes:
        path: relative to the image folder.
        target: index of its class.
        test: whether it is below `test/`.
        size: in bytes.
        regular: False for what must not be opened, such as a pipe or a broken link.
    """

    path: str
    target: int
    test: bool
    size: int
    regular: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundFolder:
    """The content of an image folder.

    Attributes:
        class_names: the names of the class folders, sorted.
        files: the training files in the order of `torchvision.datasets.ImageFolder`, then the test files in
            the same order; all are training files if the folder has no split.
        has_split: whether it has both `train/` and `test/`.
        fingerprint: changes with the class names, and with the path, size or modification time of any file.
    """

    class_names: tuple[str, ...]
    files: tuple[FoundFile, ...]
    has_split: bool
    fingerprint: str


def scan_folder(root: Path, progress: Progress) -> FoundFolder:
    """List the files of the image folder `root`, without hidden ones.

    Raises:
        DataUnavailableError: the folder is missing or unreadable, or has fewer than two class folders.
        CancelledError: the user requested a stop.
    """
    progress.begin("listing files", "files")
    parts = _class_folders(root)
    names = sorted({name for folders in parts.values() for name in folders})
    if len(names) < 2:
        held = f"only one class folder ({printable(names[0])})" if names else "no class folder"
        raise DataUnavailableError(f"the folder '{printable(str(root))}' has {held}: {EXPECTED_LAYOUT}")
    has_split = len(parts) == 2
    files: list[FoundFile] = []
    # The class names are part of it, because an empty class has no files but shifts the targets of others.
    digest = hashlib.sha256(repr((list(parts), names)).encode())
    for part, folders in parts.items():
        for name in folders:
            target = names.index(name)
            for path, status in _files(root, Path(part, name), progress):
                regular = status is not None and stat.S_ISREG(status.st_mode)
                test, size = has_split and part == "test", status.st_size if status else 0
                files.append(FoundFile(path=path, target=target, test=test, size=size, regular=regular))
                changed = status.st_mtime_ns if status else 0
                digest.update(os.fsencode(path) + f"\0{regular} {size} {changed}\0".encode())
                progress.update(len(files))
    return FoundFolder(
        class_names=tuple(printable(name) for name in names),
        files=tuple(files),
        has_split=has_split,
        fingerprint=digest.hexdigest(),
    )


def _class_folders(root: Path) -> dict[str, list[str]]:
    """Return the class folders of `train` and `test`, or under "" those directly in `root`."""
    folders = _subfolders(root)
    parts: dict[str, list[str]] = {
        part: _subfolders(root / part) for part in ("train", "test") if part in folders
    }
    # A "train" without subfolders, beside other folders, is a class (of vehicles).
    if any(parts.values()) or (parts and len(parts) == len(folders)):
        return parts
    return {"": folders}


def _subfolders(folder: Path) -> list[str]:
    return sorted(entry.name for entry in _entries(folder) if _is_folder(entry))


def _entries(folder: Path) -> list["os.DirEntry[str]"]:
    with _errors_explained(folder), os.scandir(folder) as entries:
        return [entry for entry in entries if not entry.name.startswith(".")]


def _identity(folder: Path) -> tuple[int, int]:
    """Return what two paths to the same folder have in common."""
    with _errors_explained(folder):
        status = folder.stat()
    return status.st_dev, status.st_ino


@contextmanager
def _errors_explained(folder: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        reason = "no such folder:"
    except NotADirectoryError:
        reason = "not a folder:"
    except OSError as error:
        raise DataUnavailableError(
            f"cannot read the folder '{printable(str(folder))}' ({error.strerror}): make it readable"
        ) from None
    except ValueError:  # a null character
        reason = "not a path:"
    else:
        return
    raise DataUnavailableError(
        f"{reason} '{printable(str(folder))}'; data takes {', '.join(SOURCES)} or the path of a folder"
    )


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _files(root: Path, class_folder: Path, progress: Progress) -> Iterator[tuple[str, os.stat_result | None]]:
    """Yield the files below a class folder in the order of `ImageFolder`: by folder, then by name.

    Links are followed; a folder is entered only once, so that circular links end.
    """
    found: list[tuple[str, str, os.stat_result | None]] = []
    seen: set[tuple[int, int]] = set()
    waiting = [class_folder]
    while waiting:
        folder = waiting.pop()
        progress.check()
        identity = _identity(root / folder)
        if identity in seen:
            continue
        seen.add(identity)
        for entry in _entries(root / folder):
            if _is_folder(entry):
                waiting.append(folder / entry.name)
            else:
                found.append((str(folder), entry.name, _status(entry)))
    for folder_name, name, status in sorted(found, key=lambda item: item[:2]):
        yield f"{folder_name}/{name}", status


def _status(entry: "os.DirEntry[str]") -> os.stat_result | None:
    try:
        return entry.stat()
    except OSError:  # a broken link, or a file that was just removed
        return None
