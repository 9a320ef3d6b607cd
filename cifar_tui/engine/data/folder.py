"""A folder of images, one folder per class, as a `Dataset`."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from cifar_tui.engine.data.cache import DecodedFolder, cache_path, read_cache, write_cache
from cifar_tui.engine.data.dataset import Dataset, ImageSplit
from cifar_tui.engine.data.decode import decode_files, thread_count
from cifar_tui.engine.data.progress import Progress
from cifar_tui.engine.data.scan import EXPECTED, FoundFolder, printable, scan_folder
from cifar_tui.engine.errors import DataUnavailableError
from cifar_tui.engine.events import LoadingProgress

_IMAGES_PER_TEST_IMAGE = 6  # five parts for training, one for testing, as in CIFAR-10


def load_folder(
    root: Path,
    *,
    data_dir: Path,
    seed: int,
    report: Callable[[LoadingProgress], None],
    cancelled: Callable[[], bool],
) -> Dataset:
    """The images below `root`, decoded now or taken from the cache.

    `root` holds `train/` and `test/`; or only one of them, or the class folders themselves, and then one
    image in six of every class is put aside for testing. The classes are the class folders of both parts,
    sorted by name.

    Training images come class by class, in the order of `torchvision.datasets.ImageFolder`. Test images are
    interleaved: the first of every class, then the second of every class, and so on, so that the few that
    are shown as samples are of different classes.

    Args:
        root: the image folder.
        data_dir: the cache is its folder `cache`; where that cannot be written there is no cache.
        seed: of the choice of test images, where the folder makes none.
        report: takes the progress.
        cancelled: whether the user asked to stop.

    Raises:
        DataUnavailableError: the folder is missing, unreadable or empty, has fewer than two classes, or a
            class or a part without any image.
        CancelledError: the user asked to stop.
    """
    found = scan_folder(root, Progress("listing files", "files", report=report, cancelled=cancelled))
    cache = cache_path(root, data_dir)
    decoded = read_cache(cache, found.fingerprint)
    if decoded is None:
        decoded = _decode(root, found, report, cancelled)
        write_cache(cache, found.fingerprint, decoded)
    _check_classes(root, found, decoded)
    test = decoded.test if found.has_split else choose_test_images(decoded.targets, seed=seed)
    if not test.any() or test.all():
        part = "train" if test.all() else "test"
        hint = f"put images into {part}/" if found.has_split else "one class at least needs two images"
        raise DataUnavailableError(
            f"the folder {printable(str(root))} has no image for the {part} part: {hint}"
        )
    return Dataset(
        title=f"folder {printable(str(root))}",
        synthetic=False,
        class_names=found.class_names,
        train=_part(decoded, torch.nonzero(~test).flatten()),
        test=_part(decoded, interleaved(decoded.targets, torch.nonzero(test).flatten())),
        skipped_files=decoded.skipped_files,
    )


def choose_test_images(targets: Tensor, *, seed: int) -> Tensor:
    """Choose one image in six of every class, at least one where the class has two.

    Args:
        targets: int64, shape (N,), class indices.
        seed: of the choice.

    Returns:
        bool, shape (N,): whether the image is for testing.
    """
    generator = torch.Generator().manual_seed(seed)
    test = torch.zeros(len(targets), dtype=torch.bool)
    for target in torch.unique(targets):
        members = torch.nonzero(targets == target).flatten()
        count = max(round(len(members) / _IMAGES_PER_TEST_IMAGE), 1) if len(members) > 1 else 0
        chosen = torch.randperm(len(members), generator=generator)[:count]
        test[members[chosen]] = True
    return test


def interleaved(targets: Tensor, indices: Tensor) -> Tensor:
    """`indices` in an order that takes the first of every class, then the second of every class, and so on.

    Args:
        targets: int64, shape (N,), class indices.
        indices: int64, shape (M,), positions in `targets`.

    Returns:
        int64, shape (M,).
    """
    classes = targets[indices].numpy()
    rank = np.zeros(len(classes), dtype=np.int64)
    for target in np.unique(classes):
        members = classes == target
        rank[members] = np.arange(np.count_nonzero(members))
    return indices[torch.from_numpy(np.lexsort((classes, rank)))]


def _decode(
    root: Path,
    found: FoundFolder,
    report: Callable[[LoadingProgress], None],
    cancelled: Callable[[], bool],
) -> DecodedFolder:
    files = [file for file in found.files if file.regular]
    progress = Progress("decoding images", "images", report=report, cancelled=cancelled, total=len(files))
    threads = thread_count(sum(file.size for file in files) / max(len(files), 1))
    pixels, reasons = decode_files([root / file.path for file in files], threads=threads, progress=progress)
    skipped = [(file.path, "not a regular file") for file in found.files if not file.regular]
    skipped += [(files[index].path, reason) for index, reason in reasons.items()]
    good = [index for index in range(len(files)) if index not in reasons]
    return DecodedFolder(
        images=torch.from_numpy(pixels[good] if reasons else pixels),
        targets=torch.tensor([files[index].target for index in good], dtype=torch.int64),
        test=torch.tensor([files[index].test for index in good], dtype=torch.bool),
        skipped_files=tuple(printable(f"{path}: {reason}") for path, reason in sorted(skipped)),
    )


def _check_classes(root: Path, found: FoundFolder, decoded: DecodedFolder) -> None:
    counts = torch.bincount(decoded.targets, minlength=len(found.class_names)).tolist()
    empty = [name for name, count in zip(found.class_names, counts, strict=True) if count == 0]
    if not empty:
        return
    shown = printable(str(root))
    files = decoded.skipped_files
    skipped = f"; the first of {len(files)} files that are none is {files[0]}" if files else ""
    if len(empty) == len(counts):
        raise DataUnavailableError(
            f"the folder {shown} has no image in its class folders{skipped}: {EXPECTED}"
        )
    raise DataUnavailableError(
        f"the folder {shown} has no image of the class {empty[0]}{skipped}: add some or remove its folder"
    )


def _part(decoded: DecodedFolder, indices: Tensor) -> ImageSplit:
    # Selecting copies: the images no longer depend on the cache file once it is mapped away.
    return ImageSplit(images=decoded.images[indices], targets=decoded.targets[indices])
