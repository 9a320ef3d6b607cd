"""List the files of an image folder and their classes, without opening any of them."""

import hashlib
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cifar_tui.engine.data.entries import Entry, folder_identity, list_folder
from cifar_tui.engine.data.registry import Progress
from cifar_tui.engine.data.splits import TEST, UNSPLIT, VALIDATION, Layout, find_layout
from cifar_tui.engine.errors import DataUnavailableError

_FILES_BETWEEN_REPORTS = 64


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundFile:
    """A file below a class folder.

    Attributes:
        path: relative to the image folder.
        inner: relative to its class folder.
        target: index of its class.
        split: TRAIN, VALIDATION, TEST or UNSPLIT of `splits`.
        size: in bytes.
        problem: why it must not be opened, such as a pipe or a broken link; "" if it can be.
    """

    path: str
    inner: str
    target: int
    split: str
    size: int
    problem: str


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundFolder:
    """The content of an image folder.

    Attributes:
        layout: its splits and classes.
        files: in the order of the splits, and in each of `torchvision.datasets.ImageFolder`.
        fingerprint: changes with the layout, and with the path, size, inode or time of any file. Of the two
            times, only that of the last change of the inode cannot be set back.
    """

    layout: Layout
    files: tuple[FoundFile, ...]
    fingerprint: str


def scan_folder(root: Path, progress: Progress) -> FoundFolder:
    """List the files of the image folder `root`, without hidden ones and clutter.

    Raises:
        DataUnavailableError: the folder is missing or unreadable, or not laid out as `find_layout` requires.
        CancelledError: the user requested a stop.
    """
    progress.begin("listing files", "files")
    layout = find_layout(root)
    target_of = {name: target for target, name in enumerate(layout.class_names)}
    files: list[FoundFile] = []
    # The class names are part of it, because an empty class has no files but shifts the targets of others.
    digest = hashlib.sha256(repr((dict(layout.splits), layout.class_names)).encode(errors="surrogateescape"))
    for split, classes in layout.classes.items():
        for name, folders in sorted(classes.items()):
            target = target_of[name]
            depth = len(folders[0].parts)
            for path, status, problem in walk_files(root, folders, progress):
                size, changed = _size_and_change(status)
                inner = path.split("/", depth)[depth]
                files.append(
                    FoundFile(path=path, inner=inner, target=target, split=split, size=size, problem=problem)
                )
                digest.update(os.fsencode(path) + f"\0{problem} {changed}\0".encode())
                if len(files) % _FILES_BETWEEN_REPORTS == 0:
                    progress.update(len(files))
    return FoundFolder(layout=layout, files=tuple(files), fingerprint=digest.hexdigest())


def find_listed(
    root: Path, listed: Sequence[tuple[str, str, str]], layout: Layout, progress: Progress
) -> FoundFolder:
    """Look for files that are listed with their classes and splits, without opening any of them.

    Args:
        root: the folder that their paths are relative to.
        listed: of each file its path, the name of its class and its split.
        layout: the splits and classes; with UNSPLIT, the splits in `listed` have no meaning.
        progress: its stage counts files.

    Raises:
        CancelledError: the user requested a stop.
    """
    progress.begin("looking for files", "files", total=len(listed))
    target_of = {name: target for target, name in enumerate(layout.class_names)}
    files = []
    digest = hashlib.sha256(repr((dict(layout.splits), layout.class_names)).encode(errors="surrogateescape"))
    for number, (name, label, own_split) in enumerate(listed):
        path, status, problem = _look_for(root, name)
        size, changed = _size_and_change(status)
        split = UNSPLIT if UNSPLIT in layout.splits else own_split
        if layout.validation_is_test and split == VALIDATION:
            split = TEST
        target = target_of[label]
        files.append(FoundFile(path=path, inner=path, target=target, split=split, size=size, problem=problem))
        digest.update(f"{path}\0{split}\0{problem} {changed}\0".encode(errors="surrogateescape"))
        if number % _FILES_BETWEEN_REPORTS == 0:
            progress.update(number)
    return FoundFolder(layout=layout, files=tuple(files), fingerprint=digest.hexdigest())


def _look_for(root: Path, name: str) -> tuple[str, os.stat_result | None, str]:
    """The path of a file as it is found, its status if it has one, and why it must not be opened, if so.

    A path with the separators of Windows is found too.
    """
    error = ""
    for path in dict.fromkeys((name, name.replace("\\", "/"))):
        try:
            status = (root / path).stat()
        except FileNotFoundError:
            error = error or "no such file"
        except (OSError, ValueError) as reason:  # ValueError: a null character
            error = error or getattr(reason, "strerror", None) or "not a path"
        else:
            return path, status, "" if stat.S_ISREG(status.st_mode) else "not a regular file"
    return name, None, error


def _size_and_change(status: os.stat_result | None) -> tuple[int, str]:
    """The size of a file, and what changes with its content; 0 and "" without a status."""
    if status is None:
        return 0, ""
    return status.st_size, f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns} {status.st_ino}"


def walk_files(
    root: Path,
    inner: Sequence[Path],
    progress: Progress,
    *,
    unreadable: Callable[[Path, str], None] | None = None,
) -> Iterator[tuple[str, os.stat_result | None, str]]:
    """Yield the files below folders in the order of `ImageFolder`: by folder, then by name.

    Links are followed; a folder is entered only once, so that circular links end. Hidden files and clutter
    are left out.

    Args:
        root: the folder that the paths are relative to.
        inner: the folders in it.
        progress: checked for a cancel.
        unreadable: takes a folder that cannot be read, which is left out, and the reason; None to raise.

    Yields:
        Its path relative to `root`, its status if it has one, and why it must not be opened, "" if it can be.

    Raises:
        DataUnavailableError: a folder is missing or unreadable.
        CancelledError: the user requested a stop.
    """
    found: list[tuple[str, Entry]] = []
    seen: set[tuple[int, int]] = set()
    waiting = list(inner)
    while waiting:
        folder = waiting.pop()
        progress.check()
        try:
            identity = folder_identity(root / folder)
            if identity in seen:
                continue
            seen.add(identity)
            folders, others = list_folder(root / folder)
        except DataUnavailableError as error:
            if unreadable is None:
                raise
            unreadable(root / folder, getattr(error.__context__, "strerror", None) or str(error))
            continue
        waiting += [folder / name for name in folders]
        found += [(str(folder), entry) for entry in others]
    for folder_name, entry in sorted(found, key=lambda item: (item[0], item[1].name)):
        yield f"{folder_name}/{entry.name}", *_status(entry)


def _status(entry: Entry) -> tuple[os.stat_result | None, str]:
    """Return the status of a file, if it has one, and why it must not be opened, if so."""
    try:
        status = entry.stat()
    except FileNotFoundError:
        return None, "a broken link"  # or just removed
    except OSError as error:
        return None, str(error.strerror)
    return status, "" if stat.S_ISREG(status.st_mode) else "not a regular file"
