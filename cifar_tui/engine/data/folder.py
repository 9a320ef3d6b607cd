"""Load a folder of images with one folder per class."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from cifar_tui.engine.data.cache import DecodedFolder, cache_path, read_cache, write_cache
from cifar_tui.engine.data.dataset import Dataset, ImageSplit
from cifar_tui.engine.data.decode import decode_files, thread_count
from cifar_tui.engine.data.registry import Progress
from cifar_tui.engine.data.scan import EXPECTED_LAYOUT, FoundFolder, scan_folder
from cifar_tui.engine.errors import DataUnavailableError
from cifar_tui.engine.text import printable

_IMAGES_PER_TEST_IMAGE = 6  # the split of CIFAR-10: 50,000 to 10,000
_SPLIT_HINT = "one image in six of each class becomes a test image, so a class needs at least two images"


def load_folder(root: Path, *, data_dir: Path, seed: int, progress: Progress) -> Dataset:
    """Load the images below `root`: decode them, or take them from the cache in `data_dir`.

    `root` contains `train/` and `test/`; or only one of them, or the class folders themselves: then one image
    in six of each class, chosen by `seed`, becomes a test image. The classes are the names of all class
    folders, sorted.

    Training images are ordered as by `torchvision.datasets.ImageFolder`. Test images take turns by class, so
    that the first few, which are shown as samples, differ.

    Raises:
        DataUnavailableError: the folder is missing, unreadable or empty, has fewer than two classes, or a
            class or a split without images.
        CancelledError: the user requested a stop.
    """
    found = scan_folder(root, progress)
    cache = cache_path(root, data_dir)
    decoded = read_cache(cache, found.fingerprint)
    if decoded is None:
        decoded = _decode(root, found, progress)
        write_cache(cache, found.fingerprint, decoded)
    _check_classes(root, found, decoded)
    test = decoded.test if found.has_split else choose_test_images(decoded.targets, seed=seed)
    if not test.any() or test.all():
        part, kind = ("train", "training") if test.all() else ("test", "test")
        hint = f"add images to {part}/" if found.has_split else _SPLIT_HINT
        raise DataUnavailableError(f"the folder '{printable(str(root))}' has no {kind} images: {hint}")
    return Dataset(
        title=f"folder {printable(str(root))}",
        synthetic=False,
        class_names=found.class_names,
        train=_select(decoded, torch.nonzero(~test).flatten()),
        test=_select(decoded, interleave(decoded.targets, torch.nonzero(test).flatten())),
        skipped_files=decoded.skipped_files,
    )


def choose_test_images(targets: Tensor, *, seed: int) -> Tensor:
    """Choose one image in six of each class as test images; at least one if the class has two.

    Args:
        targets: int64, shape (N,), class indices.
        seed: random seed.

    Returns:
        bool, shape (N,): whether the image is a test image.
    """
    generator = torch.Generator().manual_seed(seed)
    test = torch.zeros(len(targets), dtype=torch.bool)
    for target in torch.unique(targets):
        members = torch.nonzero(targets == target).flatten()
        count = max(round(len(members) / _IMAGES_PER_TEST_IMAGE), 1) if len(members) > 1 else 0
        chosen = torch.randperm(len(members), generator=generator)[:count]
        test[members[chosen]] = True
    return test


def interleave(targets: Tensor, indices: Tensor) -> Tensor:
    """Reorder `indices`: the first of each class, then the second of each class, and so on.

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


def _decode(root: Path, found: FoundFolder, progress: Progress) -> DecodedFolder:
    files = [file for file in found.files if file.regular]
    progress.begin("decoding images", "images", total=len(files))
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
    skipped = f" ({len(files)} files skipped, the first: {files[0]})" if files else ""
    if len(empty) == len(counts):
        raise DataUnavailableError(
            f"the folder '{shown}' has no images in its class folders{skipped}: {EXPECTED_LAYOUT}"
        )
    raise DataUnavailableError(
        f"the folder '{shown}' has no images of class {empty[0]!r}{skipped}: add images or remove its folder"
    )


def _select(decoded: DecodedFolder, indices: Tensor) -> ImageSplit:
    # Indexing copies, so the images no longer depend on the mapped cache file.
    return ImageSplit(images=decoded.images[indices], targets=decoded.targets[indices])
