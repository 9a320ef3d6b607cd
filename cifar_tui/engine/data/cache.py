"""Cache the decoded images of a folder on disk, so that it is decoded only once."""

import contextlib
import hashlib
import io
import pickle
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import PIL
import torch
from torch import Tensor

from cifar_tui.engine.atomic import write_atomically

_VERSION = f"1 {PIL.__version__}"  # another Pillow may decode to other pixels

# What zipfile and torch.load raise on damaged files.
_READ_ERRORS = (
    OSError,
    RuntimeError,
    ValueError,
    LookupError,
    TypeError,
    EOFError,
    NotImplementedError,
    pickle.UnpicklingError,
    zipfile.BadZipFile,
    zlib.error,
)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class DecodedFolder:
    """All images of a folder.

    Attributes:
        images: uint8, shape (N, 3, 32, 32), RGB.
        targets: int64, shape (N,), class indices.
        test: bool, shape (N,), whether the image belongs to the test set.
        skipped_files: files that are not images, as "path: reason".
    """

    images: Tensor
    targets: Tensor
    test: Tensor
    skipped_files: tuple[str, ...]


def cache_path(folder: Path, data_dir: Path) -> Path:
    """Return the cache file of `folder`; there is one per folder, which newer content replaces."""
    key = hashlib.sha256(str(folder.resolve()).encode(errors="surrogateescape")).hexdigest()
    return data_dir / "cache" / f"folder-{key[:16]}.pt"


def read_cache(path: Path, fingerprint: str) -> DecodedFolder | None:
    """Map the images in the cache file `path` into memory; None if it is missing, stale or damaged."""
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.testzip() is not None:  # torch.load does not verify the checksums
                return None
        content = torch.load(path, weights_only=True, mmap=True)
    except _READ_ERRORS:
        return None
    if not isinstance(content, dict) or content.get("key") != [_VERSION, fingerprint]:
        return None
    return DecodedFolder(
        images=content["images"],
        targets=content["targets"],
        test=content["test"],
        skipped_files=tuple(content["skipped_files"]),
    )


def write_cache(path: Path, fingerprint: str, decoded: DecodedFolder) -> None:
    """Save `decoded` for the next run; if the file cannot be written, the folder is decoded again then."""
    content = {
        "key": [_VERSION, fingerprint],
        "images": decoded.images,
        "targets": decoded.targets,
        "test": decoded.test,
        "skipped_files": list(decoded.skipped_files),
    }
    buffer = io.BytesIO()
    torch.save(content, buffer)
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, buffer.getvalue())
