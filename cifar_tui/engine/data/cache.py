"""Cache the decoded images of a folder on disk, so that it is decoded only once."""

import contextlib
import hashlib
import io
import pickle
import time
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import PIL
import torch
from torch import Tensor

from cifar_tui.engine.atomic import write_atomically
from cifar_tui.engine.data.convert import SIDE
from cifar_tui.engine.data.scales import scales_in

_VERSION = f"3 {PIL.__version__}"  # another Pillow may decode to other pixels

# What zipfile and torch.load raise on damaged files, and what content of other types raises.
_READ_ERRORS = (
    OSError,
    RuntimeError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    EOFError,
    NotImplementedError,
    pickle.UnpicklingError,
    zipfile.BadZipFile,
    zlib.error,
)


_SECONDS_OF_OTHERS = 86_400.0  # how old a temporary file of another folder must be to be removed


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class DecodedFolder:
    """What the bytes of the files of a folder prove; files that could not be read this time are in neither.

    Attributes:
        images: uint8, shape (N, 3, 32, 32), RGB.
        files: int64, shape (N,), increasing positions in the list of found files.
        sizes: int32, shape (N, 2), width and height in the files.
        conversions: uint8, shape (N,), a `Conversion` each, 0 if the image was RGB.
        skipped: why a file is no image, by its position.
        scales: by kind of images of more than 8 bits, how many there are, and what became black and white.
    """

    images: Tensor
    files: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.int32]
    conversions: npt.NDArray[np.uint8]
    skipped: dict[int, str]
    scales: dict[str, tuple[int, float, float]]


def cache_path(folder: Path, data_dir: Path) -> Path:
    """Return the cache file of `folder`; there is one per folder, which newer content replaces."""
    key = hashlib.sha256(str(folder.resolve()).encode(errors="surrogateescape")).hexdigest()
    return data_dir / "cache" / f"folder-{key[:16]}.pt"


def read_cache(path: Path, fingerprint: str, *, files: int) -> DecodedFolder | None:
    """Map the images in the cache file `path` into memory; None if it is missing, stale, damaged or wrong.

    Args:
        path: the cache file.
        fingerprint: of the folder as it is now.
        files: how many files it has.
    """
    try:
        if not path.is_file():  # a pipe would never end
            return None
        with zipfile.ZipFile(path) as archive:
            if archive.testzip() is not None:  # torch.load does not verify the checksums
                return None
        content = torch.load(path, weights_only=True, mmap=True)
        if not isinstance(content, dict) or content.get("key") != [_VERSION, fingerprint]:
            return None
        decoded = DecodedFolder(
            images=content["images"],
            files=content["files"].numpy(),
            sizes=content["sizes"].numpy(),
            conversions=content["conversions"].numpy(),
            skipped=dict(content["skipped"]),
            scales={kind: (count, *scale) for kind, (count, *scale) in content["scales"].items()},
        )
        return decoded if _is_valid(decoded, files) else None
    except _READ_ERRORS:
        return None


def write_cache(path: Path, fingerprint: str, decoded: DecodedFolder) -> None:
    """Save `decoded` for the next run; if the file cannot be written, the folder is decoded again then."""
    content: dict[str, Any] = {
        "key": [_VERSION, fingerprint],
        "images": decoded.images,
        "files": torch.from_numpy(decoded.files),
        "sizes": torch.from_numpy(decoded.sizes),
        "conversions": torch.from_numpy(decoded.conversions),
        "skipped": list(decoded.skipped.items()),
        "scales": decoded.scales,
    }
    buffer = io.BytesIO()
    torch.save(content, buffer)
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, buffer.getvalue())


def remove_temporaries(path: Path) -> None:
    """Remove what killed loads left of the cache file `path`, and of those of others a day ago.

    Another process that is just writing one of them decodes its folder again in its next run.
    """
    with contextlib.suppress(OSError):
        for temporary in path.parent.glob(".folder-*.tmp"):
            age = time.time() - temporary.stat().st_mtime
            if temporary.name.startswith(f".{path.name}.") or age > _SECONDS_OF_OTHERS:
                temporary.unlink(missing_ok=True)


def _is_valid(decoded: DecodedFolder, files: int) -> bool:
    """Whether the content is of the right types and shapes, and of a folder with so many files."""
    count = len(decoded.files)
    shapes = (
        (decoded.images, torch.uint8, (count, 3, SIDE, SIDE)),
        (decoded.files, np.int64, (count,)),
        (decoded.sizes, np.int32, (count, 2)),
        (decoded.conversions, np.uint8, (count,)),
    )
    if any(array.dtype != dtype or tuple(array.shape) != shape for array, dtype, shape in shapes):
        return False
    listed = decoded.files.tolist()
    if listed != sorted(set(listed)) or not set(listed).isdisjoint(decoded.skipped):
        return False
    if not all(isinstance(index, int) and 0 <= index < files for index in (*listed, *decoded.skipped)):
        return False
    counts = [images for images, *_ in decoded.scales.values()]
    scales = {kind: scale for kind, (_, *scale) in decoded.scales.items()}
    if not all(isinstance(images, int) for images in counts) or scales_in(scales) is None:
        return False
    return all(isinstance(text, str) for text in decoded.skipped.values())
