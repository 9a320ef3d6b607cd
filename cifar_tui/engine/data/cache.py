"""Cache the decoded images of a folder on disk, so that it is decoded only once."""

import contextlib
import hashlib
import io
import os
import pickle
import time
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import PIL
import torch

from cifar_tui.engine.atomic import write_atomically
from cifar_tui.engine.data.convert import SIDE
from cifar_tui.engine.data.file_images import FACTS, FileImages, Images, PixelFile, remove_unlocked
from cifar_tui.engine.data.scales import scales_in

_PIXELS = ".pixels"
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
        images: uint8, shape (N, 3, S, S), RGB; those in a file are numbered there as in `files`.
        files: int64, shape (N,), increasing positions in the list of found files.
        sizes: int32, shape (N, 2), width and height in the files.
        conversions: uint8, shape (N,), a `Conversion` each, 0 if the image was RGB.
        skipped: why a file is no image, by its position.
        scales: by kind of images of more than 8 bits, how many there are, and what became black and white.
    """

    images: Images
    files: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.int32]
    conversions: npt.NDArray[np.uint8]
    skipped: dict[int, str]
    scales: dict[str, tuple[int, float, float]]


def cache_folder(data_dir: Path) -> Path:
    """Return the folder of the caches."""
    return data_dir / "cache"


def cache_path(folder: Path, data_dir: Path, image_size: int = SIDE) -> Path:
    """Return the cache file of `folder`; there is one per folder and size, which newer content replaces."""
    key = hashlib.sha256(str(folder.resolve()).encode(errors="surrogateescape")).hexdigest()
    size = "" if image_size == SIDE else f"-{image_size}"
    return cache_folder(data_dir) / f"folder-{key[:16]}{size}.pt"


def new_pixel_file(path: Path, *, count: int, image_size: int) -> PixelFile:
    """Create the file of the images of the cache file `path`; `write_cache` keeps it.

    Raises:
        DataUnavailableError: it cannot be written, or the disk has not enough space.
    """
    temporary = path.with_name(f".{path.name}.{os.urandom(8).hex()}.tmp")
    return PixelFile.create(temporary, count=count, size=image_size)


def read_cache(path: Path, fingerprint: str, *, files: int, image_size: int = SIDE) -> DecodedFolder | None:
    """Open the images that the cache file `path` has or names; None if missing, stale, damaged or wrong.

    Args:
        path: the cache file.
        fingerprint: of the folder as it is now.
        files: how many files it has.
        image_size: of the images.
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
        images = content["images"] if image_size == SIDE else _opened(path, content, image_size)
        decoded = DecodedFolder(
            images=images,
            files=content["files"].numpy(),
            sizes=content["sizes"].numpy(),
            conversions=content["conversions"].numpy(),
            skipped=dict(content["skipped"]),
            scales={kind: (count, *scale) for kind, (count, *scale) in content["scales"].items()},
        )
        return decoded if _is_valid(decoded, files, image_size) else None
    except _READ_ERRORS:
        return None


def write_cache(path: Path, fingerprint: str, decoded: DecodedFolder) -> None:
    """Save `decoded` for the next run; if a file cannot be written, the folder is decoded again then.

    Images in a file stay there: the cache file has its name and what is known of each image.
    """
    with contextlib.suppress(OSError):
        _write_cache(path, fingerprint, decoded)


def _write_cache(path: Path, fingerprint: str, decoded: DecodedFolder) -> None:
    images = decoded.images
    if isinstance(images, FileImages):
        file = images.file
        if file.path.name.endswith(_PIXELS):
            file.sync()
        else:
            file.keep(path.with_name(f"{path.stem}-{os.urandom(4).hex()}{_PIXELS}"))
        stored: dict[str, Any] = {
            "pixels": file.path.name,
            "facts": torch.from_numpy(file.facts.view(np.uint8)),
        }
    else:
        stored = {"images": images}
    content: dict[str, Any] = {
        "key": [_VERSION, fingerprint],
        **stored,
        "files": torch.from_numpy(decoded.files),
        "sizes": torch.from_numpy(decoded.sizes),
        "conversions": torch.from_numpy(decoded.conversions),
        "skipped": list(decoded.skipped.items()),
        "scales": decoded.scales,
    }
    buffer = io.BytesIO()
    torch.save(content, buffer)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, buffer.getvalue())
    if isinstance(images, FileImages):
        _remove_pixels(path, but=images.file.path.name)


def remove_cache(path: Path) -> None:
    """Remove the cache file `path` and its images, which take much room: it is of no use any more."""
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)
        _remove_pixels(path, but="")


def _remove_pixels(path: Path, *, but: str) -> None:
    for other in path.parent.glob(f"{path.stem}-*{_PIXELS}"):
        if other.name != but:
            other.unlink(missing_ok=True)


def remove_temporaries(path: Path) -> None:
    """Remove what killed loads left of the cache file `path`, and of those of others a day ago.

    Another process that is just writing one of them decodes its folder again in its next run.
    """
    with contextlib.suppress(OSError):
        for temporary in path.parent.glob(".folder-*.tmp"):
            age = time.time() - temporary.stat().st_mtime
            if temporary.name.startswith(f".{path.name}.") or age > _SECONDS_OF_OTHERS:
                with contextlib.suppress(BlockingIOError):  # a process that lives decodes into it
                    remove_unlocked(temporary)


def _opened(path: Path, content: Mapping[str, Any], image_size: int) -> FileImages:
    """Open the images beside the cache file `path`."""
    name, facts = content["pixels"], content["facts"].numpy().copy().view(FACTS)
    file = PixelFile.open(path.with_name(name), size=image_size, facts=facts)
    return FileImages(file, content["files"].numpy())


def _is_valid(decoded: DecodedFolder, files: int, image_size: int) -> bool:
    """Whether the content is of the right types and shapes, and of a folder with so many files."""
    count = len(decoded.files)
    images = decoded.images
    if isinstance(images, FileImages):
        if len(images.file.facts) != files:
            return False
    elif images.dtype != torch.uint8 or tuple(images.shape) != (count, 3, image_size, image_size):
        return False
    shapes: tuple[tuple[npt.NDArray[Any], type, tuple[int, ...]], ...] = (
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
