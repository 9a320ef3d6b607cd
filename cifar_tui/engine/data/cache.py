"""Keeps decoded images on the disk, so that a folder is decoded or checked once."""

import contextlib
import hashlib
import pickle
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import PIL
import torch
from torch import Tensor

from cifar_tui.engine.atomic import write_atomically
from cifar_tui.engine.checkpoint.files import serialized

_VERSION = f"1 {PIL.__version__}"  # another Pillow may decode to other pixels


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class DecodedFolder:
    """All images of a folder, in an order of whoever decoded it.

    Attributes:
        images: uint8, shape (N, 3, 32, 32), RGB.
        targets: int64, shape (N,), class indices.
        test: bool, shape (N,), whether the image is for testing.
        skipped_files: files that were no images, with the reason.
    """

    images: Tensor
    targets: Tensor
    test: Tensor
    skipped_files: tuple[str, ...]


def cache_path(folder: Path, data_dir: Path) -> Path:
    """Where the images of `folder` are kept: one file to a folder, so that a newer one replaces an older."""
    key = hashlib.sha256(str(folder.resolve()).encode(errors="surrogateescape")).hexdigest()
    return data_dir / "cache" / f"folder-{key[:16]}.pt"


def read_cache(path: Path, fingerprint: str) -> DecodedFolder | None:
    """The images in the cache file `path`, mapped into memory; None if it is not there, stale or damaged."""
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.testzip() is not None:  # torch itself does not look at the checksums
                return None
        content = torch.load(path, weights_only=True, mmap=True)
    except (OSError, RuntimeError, ValueError, LookupError, TypeError, EOFError, NotImplementedError):
        return None
    except (pickle.UnpicklingError, zipfile.BadZipFile, zlib.error):
        return None
    return _checked(content, fingerprint)


def _checked(content: Any, fingerprint: str) -> DecodedFolder | None:  # noqa: ANN401 - whatever a file holds
    if not isinstance(content, dict) or content.get("key") != [_VERSION, fingerprint]:
        return None
    return DecodedFolder(
        images=content["images"],
        targets=content["targets"],
        test=content["test"],
        skipped_files=tuple(content["skipped_files"]),
    )


def write_cache(path: Path, fingerprint: str, decoded: DecodedFolder) -> None:
    """Keep `decoded` for the next time; where that is not possible, it will be decoded again."""
    content = {
        "key": [_VERSION, fingerprint],
        "images": decoded.images,
        "targets": decoded.targets,
        "test": decoded.test,
        "skipped_files": list(decoded.skipped_files),
    }
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, serialized(content))
