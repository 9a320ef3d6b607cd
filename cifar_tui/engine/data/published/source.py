"""What the datasets that torchvision knows have in common.

Their URLs, MD5s and class names are those of torchvision's classes; the files have the places that
torchvision gives them. They are downloaded and read here: resumable, with progress, and nothing is read as
official, or unpickled, before its MD5 matched.
"""

import importlib
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cifar_tui.engine.data.convert import SIDE
from cifar_tui.engine.data.dataset import Dataset
from cifar_tui.engine.data.fetch import Archive, RemoteFile, exists, fetch, fetch_file, read_official
from cifar_tui.engine.data.registry import Progress
from cifar_tui.engine.errors import DataUnavailableError

ALTERNATIVES = "set data to a folder of images, or synthetic"


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """A dataset that torchvision knows.

    Attributes:
        name: of its class in `torchvision.datasets`.
        files: from that class, the files to download, each with the folder below `data_dir` that it is in.
        read: from that class and `data_dir`, the images, of a given size.
        needs_scipy: whether files are in the format of Matlab.
    """

    name: str
    files: Callable[[Any], Sequence[tuple[str, RemoteFile]]]
    read: Callable[[Any, Path, int, Progress], Dataset]
    needs_scipy: bool = False

    def load(
        self,
        *,
        data_dir: Path,
        seed: int,  # noqa: ARG002 - the split is the official one
        progress: Progress,
        image_size: int = SIDE,
    ) -> Dataset:
        """Load the images, after downloading what is missing of them.

        Raises:
            DataUnavailableError: the download failed, a file is unreadable or not the official one, or a
                library is missing.
            CancelledError: the user requested a stop.
        """
        if self.needs_scipy:
            _check_scipy(self.name)
        known = _torchvision_class(self.name)
        for folder, file in self.files(known):
            if not exists(_place(data_dir / folder, file)):
                if isinstance(file, Archive):
                    fetch(file, data_dir / folder, progress)
                else:
                    fetch_file(file, data_dir / folder, progress)
        return self.read(known, data_dir, image_size, progress)

    def is_downloaded(self, data_dir: Path) -> bool:
        """Whether all files are in `data_dir`, so that loading them needs no network."""
        files = self.files(_torchvision_class(self.name))
        return all(exists(_place(data_dir / folder, file)) for folder, file in files)


def read_file(path: Path, md5: str) -> bytes:
    """Read the file at `path`, whose MD5 is `md5`.

    Raises:
        DataUnavailableError: it cannot be read, or is another one.
    """
    return read_official(path, md5, f"remove it to download it again, or {ALTERNATIVES}")


def read_mat(path: Path, md5: str) -> dict[str, Any]:
    """Read the variables in Matlab's file at `path`, whose MD5 is `md5`, without axes of length 1.

    Raises:
        DataUnavailableError: it cannot be read, or is another one.
    """
    content = read_file(path, md5)
    variables: dict[str, Any] = importlib.import_module("scipy.io").loadmat(
        io.BytesIO(content), squeeze_me=True
    )
    return variables


def _check_scipy(name: str) -> None:
    """Check that Matlab's format can be read, before anything is downloaded."""
    try:
        importlib.import_module("scipy.io")
    except (ImportError, RuntimeError, OSError, AttributeError, ValueError):  # missing, or of another numpy
        raise DataUnavailableError(f"{name} needs scipy to be read: pip install 'cifar-tui[mat]'") from None


def _place(folder: Path, file: RemoteFile) -> Path:
    return folder / (file.folder_name if isinstance(file, Archive) else file.file_name)


def _torchvision_class(name: str) -> Any:  # noqa: ANN401 - torchvision has no types
    try:
        return getattr(importlib.import_module("torchvision.datasets"), name)
    except (ImportError, RuntimeError, OSError, AttributeError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise DataUnavailableError(
            f"torchvision's {name} is not available ({reason}): install torch and torchvision from the same "
            "source"
        ) from error
