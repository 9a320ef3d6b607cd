"""The official archive: the MD5 of it and of every file in it, and unpacking it safely."""

import hashlib
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from cifar_tui.engine.atomic import sync_to_disk
from cifar_tui.engine.data.progress import Progress
from cifar_tui.engine.errors import DataUnavailableError
from cifar_tui.engine.events import LoadingProgress

OTHER_WAYS = "use --data PATH with a folder of images, or --data synthetic"

_BLOCK = 1 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Archive:
    """Where an archive comes from and what must be in it.

    Attributes:
        url: where it is downloaded from.
        file_name: its name in the data folder.
        md5: its MD5, in hexadecimal.
        folder_name: the one folder in it.
        file_md5s: the MD5 of every file in that folder, by name.
    """

    url: str
    file_name: str
    md5: str
    folder_name: str
    file_md5s: Mapping[str, str]


def md5_of_file(path: Path, progress: Progress) -> str:
    """MD5 of a file in hexadecimal; `progress` counts its bytes.

    Raises:
        OSError: the file cannot be read.
        CancelledError: the user asked to stop.
    """
    digest = hashlib.md5(usedforsecurity=False)
    progress.total = path.stat().st_size
    done = 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
            done += len(block)
            progress.update(done)
    return digest.hexdigest()


def check_files(
    folder: Path,
    archive: Archive,
    *,
    report: Callable[[LoadingProgress], None],
    cancelled: Callable[[], bool],
) -> None:
    """Make sure that every file that will be read from `folder` is the official one, by its MD5.

    Raises:
        DataUnavailableError: a file is missing, unreadable or not the official one.
        CancelledError: the user asked to stop.
    """
    advice = f"remove the folder and use --data cifar10 to get the official one, or {OTHER_WAYS}"
    for name, expected in archive.file_md5s.items():
        path = folder / name
        progress = Progress(f"checking {name}", "bytes", report=report, cancelled=cancelled)
        try:
            found = md5_of_file(path, progress)
        except OSError as error:
            raise DataUnavailableError(f"cannot read {path} ({error.strerror}): {advice}") from None
        if found != expected:
            raise DataUnavailableError(
                f"{path} is not the official file (its MD5 is {found}, not {expected}): {advice}"
            )


def unpack(
    path: Path,
    archive: Archive,
    *,
    report: Callable[[LoadingProgress], None],
    cancelled: Callable[[], bool],
) -> Path:
    """Unpack the archive at `path` beside itself and return the folder that was in it.

    Everything goes to a temporary folder first, which is renamed once all its files have the right MD5 and
    are on the disk: a half-unpacked folder never has the real name. The caller holds the lock of the data
    folder, so temporary folders that are there already were left by a process that died.

    Raises:
        DataUnavailableError: the archive is damaged, or not what it should be.
        OSError: the disk is full or the folder cannot be written.
        CancelledError: the user asked to stop.
    """
    prefix = f".{archive.folder_name}."
    for leftover in path.parent.glob(f"{prefix}*.tmp"):
        shutil.rmtree(leftover, ignore_errors=True)
    temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=prefix, suffix=".tmp"))
    try:
        _extract(
            path, temporary, Progress(f"unpacking {path.name}", "files", report=report, cancelled=cancelled)
        )
        folder = temporary / archive.folder_name
        try:
            check_files(folder, archive, report=report, cancelled=cancelled)
        except DataUnavailableError:
            raise DataUnavailableError(
                f"{path} does not hold the official files: remove it to download it again, or {OTHER_WAYS}"
            ) from None
        for name in archive.file_md5s:
            sync_to_disk(folder / name)
        target = path.parent / archive.folder_name
        folder.rename(target)
        sync_to_disk(path.parent)
        return target
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _extract(path: Path, target: Path, progress: Progress) -> None:
    advice = f"remove it to download it again, or {OTHER_WAYS}"
    try:
        with tarfile.open(path, "r:gz") as tar:
            for number, member in enumerate(tar):
                progress.update(number)
                if member.isdir():
                    continue
                name = PurePosixPath(member.name)
                # the filters of tarfile, which refuse the same, are not in Python 3.11.3
                content = tar.extractfile(member) if member.isreg() else None
                if content is None or name.is_absolute() or ".." in name.parts:
                    raise DataUnavailableError(
                        f"{path} holds a file that must not be unpacked ({member.name!r}): {advice}"
                    )
                (target / name).parent.mkdir(parents=True, exist_ok=True)
                with content, (target / name).open("wb") as file:
                    shutil.copyfileobj(content, file, _BLOCK)
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise DataUnavailableError(f"{path} is damaged ({error}): {advice}") from None
