"""Load a `.npz` of numpy's with pictures and labels: `x_train`, `y_train`, `x_test`, `y_test`."""

import contextlib
import lzma
import os
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cifar_tui.engine.data.arrays import as_pictures, fit_pictures, shape_text
from cifar_tui.engine.data.class_names import class_names_in, listed
from cifar_tui.engine.data.convert import SIDE
from cifar_tui.engine.data.dataset import Dataset, ImageSplit
from cifar_tui.engine.data.duplicates import duplicate_warnings
from cifar_tui.engine.data.entries import canonical, shown
from cifar_tui.engine.data.file_images import joined
from cifar_tui.engine.data.notes import class_warnings
from cifar_tui.engine.data.registry import Progress
from cifar_tui.engine.data.scales import Scales
from cifar_tui.engine.data.splits import TEST, TRAIN, VALIDATION
from cifar_tui.engine.errors import DataUnavailableError

_SUFFIXES = {TRAIN: "train", TEST: "test", VALIDATION: "val"}
_NEEDED = ("x_train", "y_train", "x_test", "y_test")
_HIGHEST = 255

_LARGEST = np.iinfo(np.int64).max

# What numpy, zipfile and the parser of headers raise on damaged and encrypted files, and on arrays that
# would have to be unpickled.
_READ_ERRORS = (
    OSError,
    ValueError,
    EOFError,
    LookupError,
    TypeError,
    AttributeError,
    OverflowError,
    RuntimeError,
    SyntaxError,
    tokenize.TokenError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
)

_Array = npt.NDArray[Any]


def load_npz(
    path: Path,
    *,
    data_dir: Path,
    seed: int,  # noqa: ARG001 - the split is that of the file
    progress: Progress,
    scales: Scales | None = None,  # noqa: ARG001 - the pictures have 8 bits
    image_size: int = SIDE,
) -> Dataset:
    """Load the file at `path`, without unpickling anything.

    `x_…` are pictures, as `as_pictures` takes them: uint8, or numbers from 0 to 255 or from 0 to 1, which is
    said. `y_…` is the class of each, a whole number or a name. `x_val` and `y_val` are a validation split.
    `class_names` gives the names of the classes 0, 1, …; else the numbers are the names.

    Raises:
        DataUnavailableError: the file cannot be read, or has not what it must have.
        CancelledError: the user requested a stop.
    """
    progress.begin(f"reading {path.name}", "files")
    progress.update(0)
    where = f"'{shown(path)}'"
    with _memory_explained(where):
        arrays, others = _read_arrays(path, where)
        splits = [split for split, suffix in _SUFFIXES.items() if f"x_{suffix}" in arrays]
        notes = [f"left out of {path.name}: {listed(others)}"] if others else []
        pictures = {name: array for name, array in arrays.items() if name.startswith("x_")}
        pictures = _as_bytes(pictures, where, notes)
        found = {}
        for split in splits:
            suffix = _SUFFIXES[split]
            read = as_pictures(pictures[f"x_{suffix}"], f"x_{suffix} in {where}")
            notes += read.notes
            found[split] = read.pixels
        labels = {split: _labels(arrays, _SUFFIXES[split], len(found[split]), where) for split in splits}
        names, targets = _classes(labels, arrays.get("class_names"), where)
        images, resized = fit_pictures(
            list(found.values()), progress, image_size=image_size, data_dir=data_dir
        )
        data = {
            split: ImageSplit(images=part, targets=targets[split])
            for split, part in zip(found, images, strict=True)
        }
        return Dataset(
            title=f"file {path}",
            synthetic=False,
            class_names=names,
            train=data[TRAIN],
            test=data[TEST],
            validation=data.get(VALIDATION),
            notes=(_summary(data, names), *notes, *resized),
            warnings=tuple(_warnings(data, names)),
        )


def _read_arrays(path: Path, where: str) -> tuple[dict[str, _Array], list[str]]:
    """The arrays that are used, by name, and the names of the others."""
    with _errors_explained(where), contextlib.ExitStack() as stack:
        content = np.load(path, allow_pickle=False)
        if not isinstance(content, np.lib.npyio.NpzFile):
            raise DataUnavailableError(
                f"{where} is a single array: save {', '.join(_NEEDED)} with numpy.savez"
            )
        stack.enter_context(content)
        known = [name for name in content.files if name in _known_names()]
        if missing := [name for name in _NEEDED if name not in known]:
            held = f" (it has {listed(content.files)})" if content.files else ""
            raise DataUnavailableError(f"{where} lacks {', '.join(missing)}{held}: add what is missing")
        with zipfile.ZipFile(path) as archive:
            sizes = {info.filename.removesuffix(".npy"): info.file_size for info in archive.infolist()}
        if sum(sizes[name] for name in known) > _memory_bytes():  # zeros take no room in a file
            raise MemoryError
        arrays = {name: content[name] for name in known}
        for name, array in arrays.items():
            if not isinstance(array, np.ndarray):  # numpy passes on the bytes of what is no array
                raise DataUnavailableError(f"{name} in {where} is not an array: save it with numpy.savez")
    unused = {"y_val"} if "x_val" not in arrays else set()
    return arrays, [name for name in content.files if name not in arrays or name in unused]


def _memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _known_names() -> set[str]:
    return {f"{axis}_{suffix}" for axis in "xy" for suffix in _SUFFIXES.values()} | {"class_names"}


@contextlib.contextmanager
def _memory_explained(where: str) -> Iterator[None]:
    try:
        yield
    except MemoryError:
        raise DataUnavailableError(f"{where} has more pictures than fit into memory: save fewer") from None


@contextlib.contextmanager
def _errors_explained(where: str) -> Iterator[None]:
    try:
        yield
    except _READ_ERRORS as error:
        if "Object arrays" in str(error):
            reason = "holds Python objects, which are not unpickled: save arrays of numbers and of strings"
            raise DataUnavailableError(f"{where} {reason}") from None
        if isinstance(error, OSError) and error.strerror:
            raise DataUnavailableError(
                f"cannot read {where} ({error.strerror}): give the path of a file that can be read"
            ) from None
        raise DataUnavailableError(
            f"{where} is damaged, or not an .npz file: save it with numpy.savez"
        ) from None


def _as_bytes(arrays: Mapping[str, _Array], where: str, notes: list[str]) -> dict[str, _Array]:
    """The pictures as uint8; all of them are converted alike."""
    if all(array.dtype == np.uint8 for array in arrays.values()):
        return dict(arrays)
    (first, kind), *others = [(name, array.dtype) for name, array in arrays.items()]
    for name, other in others:
        if other != kind:
            raise DataUnavailableError(
                f"{first} in {where} is of type {kind} and {name} of type {other}: save all pictures as uint8"
            )
    if kind.kind not in "fiu":
        raise DataUnavailableError(f"{first} in {where} is of type {kind}: save it as uint8")
    filled = [array for array in arrays.values() if array.size]
    low = min((float(array.min()) for array in filled), default=0.0)
    high = max((float(array.max()) for array in filled), default=0.0)
    if not 0 <= low <= high <= _HIGHEST:  # false for NaN too
        raise DataUnavailableError(
            f"the pictures in {where} have values from {low:g} to {high:g}: save them as uint8, 0 to 255"
        )
    white = 1 if high <= 1 and kind.kind == "f" else _HIGHEST
    notes.append(f"pictures of type {kind} converted to 8 bits: 0 is black and {white} is white")
    factor = _HIGHEST / white
    return {name: np.rint(array * factor).astype(np.uint8) for name, array in arrays.items()}


def _labels(arrays: Mapping[str, _Array], suffix: str, count: int, where: str) -> _Array:
    """The labels of a split, whole numbers or text, shape (count,)."""
    name = f"y_{suffix}"
    if name not in arrays:
        raise DataUnavailableError(f"{where} lacks {name}: add the class of each picture in x_{suffix}")
    labels = arrays[name]
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.shape != (count,):
        raise DataUnavailableError(
            f"{name} in {where} has the shape {shape_text(labels.shape)}: it must have one "
            f"class for each of the {count:,} pictures in x_{suffix}"
        )
    labels = _decoded(labels)
    if labels.dtype.kind == "U":
        return np.array([canonical(label) for label in labels.tolist()])
    if labels.dtype.kind not in "iu":
        raise DataUnavailableError(
            f"{name} in {where} is of type {labels.dtype}: save whole numbers or class names"
        )
    if labels.max() > _LARGEST:
        raise DataUnavailableError(
            f"{name} in {where} has the label {labels.max()}: number the classes from 0"
        )
    return labels.astype(np.int64)  # numpy joins int64 and uint64 as floats


def _decoded(array: _Array) -> _Array:
    """Bytes as text; anything else as it is."""
    return np.char.decode(array, "utf-8", "replace") if array.dtype.kind == "S" else array


def _classes(
    labels: Mapping[str, _Array], given: _Array | None, where: str
) -> tuple[tuple[str, ...], dict[str, Tensor]]:
    """The names of the classes, and the class of each picture by split."""
    if len({array.dtype.kind == "U" for array in labels.values()}) > 1:
        raise DataUnavailableError(f"the labels in {where} are numbers in one split and names in another")
    every = np.unique(np.concatenate(list(labels.values())))
    names = None
    if given is not None:
        names = class_names_in([str(name) for name in _decoded(given).tolist()] if given.ndim == 1 else None)
        if names is None:
            raise DataUnavailableError(f"class_names in {where} must be different names, one of each class")
    if every.dtype.kind == "U":
        names = names or tuple(map(str, every.tolist()))
        index = {name: number for number, name in enumerate(names)}
        if unknown := [name for name in map(str, every.tolist()) if name not in index]:
            raise DataUnavailableError(f"class_names in {where} lacks {listed(unknown)}, which are labels")
        targets = {
            split: torch.tensor([index[name] for name in array.tolist()]) for split, array in labels.items()
        }
    elif names is not None:
        if every[0] < 0 or every[-1] >= len(names):
            raise DataUnavailableError(
                f"the labels in {where} go from {every[0]} to {every[-1]}, but class_names has {len(names)} "
                f"names, of the classes 0 to {len(names) - 1}"
            )
        targets = {split: torch.from_numpy(array) for split, array in labels.items()}
    else:
        names = tuple(map(str, every.tolist()))
        targets = {split: torch.from_numpy(np.searchsorted(every, array)) for split, array in labels.items()}
    if len(names) < 2:
        raise DataUnavailableError(f"{where} has only one class ({names[0]}): it must have two or more")
    if not all(names):
        raise DataUnavailableError(f"{where} has a label that is empty: give every picture a class")
    return names, targets


def _summary(data: Mapping[str, ImageSplit], names: tuple[str, ...]) -> str:
    counts = [f"{_SUFFIXES[split]} {len(part):,}" for split, part in data.items()]
    return f"images of {len(names):,} classes: {', '.join(counts)}"


def _warnings(data: Mapping[str, ImageSplit], names: tuple[str, ...]) -> list[str]:
    counts = {
        split: torch.bincount(part.targets, minlength=len(names)).tolist() for split, part in data.items()
    }
    paths = [f"x_{_SUFFIXES[split]}[{index}]" for split, part in data.items() for index in range(len(part))]
    positions, start = {}, 0
    for split, part in data.items():
        positions[split] = torch.arange(start, start + len(part))
        start += len(part)
    images = joined([part.images for part in data.values()])
    return [*class_warnings(names, counts, folders={}), *duplicate_warnings(images, paths, positions)]
