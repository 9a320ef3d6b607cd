"""The official CIFAR-10 files, read with torchvision once their MD5s are known to be right."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from cifar_tui.engine.data.archive import OTHER_WAYS, Archive, check_files
from cifar_tui.engine.data.cache import DecodedFolder, cache_path, read_cache, write_cache
from cifar_tui.engine.data.dataset import Dataset, ImageSplit
from cifar_tui.engine.errors import ConfigError, DataUnavailableError
from cifar_tui.engine.events import LoadingProgress

FOLDER_NAME = "cifar-10-batches-py"

CLASS_NAMES = ("plane", "car", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
"""The names of the tutorial; the files themselves say airplane and automobile for the first two."""


def official_class() -> Any:  # noqa: ANN401 - torchvision has no types
    """`torchvision.datasets.CIFAR10`.

    Raises:
        ConfigError: torchvision is missing or does not fit torch.
    """
    try:  # here, because it takes a second and only this source needs it
        from torchvision.datasets import CIFAR10
    except (ImportError, RuntimeError, AttributeError) as error:
        # One built for another torch raises RuntimeError: operator torchvision::nms does not exist
        raise ConfigError(
            f"torchvision cannot be imported ({error}): install one that fits torch "
            f"{torch.__version__} from the same place as torch, or {OTHER_WAYS}"
        ) from None
    return CIFAR10


def archive_of(dataset_class: Any) -> Archive:  # noqa: ANN401 - torchvision has no types
    """What a torchvision class such as `CIFAR10` says of its archive and of the files in it."""
    file_md5s = dict([*dataset_class.train_list, *dataset_class.test_list])
    file_md5s[dataset_class.meta["filename"]] = dataset_class.meta["md5"]
    return Archive(
        url=dataset_class.url,
        file_name=dataset_class.filename,
        md5=dataset_class.tgz_md5,
        folder_name=dataset_class.base_folder,
        file_md5s=file_md5s,
    )


def cached_cifar10(folder: Path, data_dir: Path) -> Dataset | None:
    """The images of the files in `folder`, if nothing changed there since `read_cifar10` kept them.

    Needs neither torchvision nor the files' MD5s.
    """
    fingerprint = _fingerprint(folder)
    decoded = read_cache(cache_path(folder, data_dir), fingerprint) if fingerprint is not None else None
    return _dataset(decoded) if decoded is not None else None


def read_cifar10(
    folder: Path,
    *,
    data_dir: Path,
    dataset_class: Any,  # noqa: ANN401 - torchvision has no types
    report: Callable[[LoadingProgress], None],
    cancelled: Callable[[], bool],
) -> Dataset:
    """Read the official files in `folder`, whatever the folder's own name is.

    They are pickles, so nothing is opened before every MD5 matched; torchvision computes them once more
    right before it opens a file. The images are kept for `cached_cifar10`.

    Args:
        folder: holds `data_batch_1` and so on.
        data_dir: the cache is its folder `cache`; where that cannot be written there is no cache.
        dataset_class: `torchvision.datasets.CIFAR10`, or a subclass that expects other MD5s.
        report: takes the progress.
        cancelled: whether the user asked to stop.

    Raises:
        DataUnavailableError: a file is missing, unreadable or not the official one.
        CancelledError: the user asked to stop.
    """
    archive = archive_of(dataset_class)
    folder = folder.resolve()
    fingerprint = _fingerprint(folder)
    check_files(folder, archive, report=report, cancelled=cancelled)
    named_class = type(dataset_class.__name__, (dataset_class,), {"base_folder": folder.name})
    try:
        train, test = (named_class(folder.parent, train=train, download=False) for train in (True, False))
    except (OSError, RuntimeError) as error:
        raise DataUnavailableError(
            f"cannot read {folder} ({error}): try again once it no longer changes"
        ) from None
    decoded = _decoded(train, test)
    if fingerprint is not None:
        write_cache(cache_path(folder, data_dir), fingerprint, decoded)
    return _dataset(decoded)


def _fingerprint(folder: Path) -> str | None:
    """Changes with any file in `folder`; None where that cannot be told. No program can set it back."""
    try:
        found = sorted((path.name, path.stat()) for path in folder.iterdir())
    except OSError:
        return None
    files = [(name, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns) for name, stat in found]
    return hashlib.sha256(repr(files).encode()).hexdigest()


def _decoded(train: Any, test: Any) -> DecodedFolder:  # noqa: ANN401 - torchvision has no types
    """All images as tensors, those for training first."""
    images = torch.cat([torch.from_numpy(part.data).permute(0, 3, 1, 2) for part in (train, test)])
    return DecodedFolder(
        images=images.contiguous(),
        targets=torch.tensor([*train.targets, *test.targets], dtype=torch.int64),
        test=torch.arange(len(images)) >= len(train.targets),
        skipped_files=(),
    )


def _dataset(decoded: DecodedFolder) -> Dataset:
    first_test = int(decoded.test.logical_not().sum())
    train, test = (
        # copied, so that the images do not depend on the cache file once it is mapped away
        ImageSplit(images=decoded.images[part].clone(), targets=decoded.targets[part].clone())
        for part in (slice(None, first_test), slice(first_test, None))
    )
    return Dataset(title="CIFAR-10", synthetic=False, class_names=CLASS_NAMES, train=train, test=test)
