"""Load a folder of images with one folder per class."""

import contextlib
import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from cifar_tui.engine.data.cache import (
    DecodedFolder,
    cache_path,
    new_pixel_file,
    read_cache,
    remove_cache,
    remove_temporaries,
    write_cache,
)
from cifar_tui.engine.data.convert import SIDE, Pixels
from cifar_tui.engine.data.dataset import Dataset, ImageSplit
from cifar_tui.engine.data.decode import UnreadableImageError
from cifar_tui.engine.data.decode_files import decode_files, thread_count
from cifar_tui.engine.data.duplicates import duplicate_warnings
from cifar_tui.engine.data.entries import canonical, shown
from cifar_tui.engine.data.file_images import FileImages, Images, PixelFile, joined, select
from cifar_tui.engine.data.notes import (
    class_warnings,
    conversion_notes,
    group_warnings,
    missing_reader_warnings,
    scale_notes,
    scale_warnings,
    skipped_warnings,
    summary_line,
)
from cifar_tui.engine.data.registry import Progress
from cifar_tui.engine.data.scales import Scales
from cifar_tui.engine.data.scan import FoundFolder, scan_folder
from cifar_tui.engine.data.splits import EXPECTED_LAYOUT, TEST, TRAIN, UNSPLIT, VALIDATION, Layout
from cifar_tui.engine.errors import DataUnavailableError

_HASH_BYTES = 8
_HASHES = 256**_HASH_BYTES
_IMAGES_PER_TEST_IMAGE = 6  # the split of CIFAR-10: 50,000 to 10,000
_SPLIT_HINT = (
    "about one image in six of each class becomes a test image, so a class needs at least two images"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Listing:
    """How messages call a folder or a table of images.

    Attributes:
        title: of the dataset.
        where: the start of a sentence, such as "the folder 'cats'".
        mark: what follows the name of a split.
        no_images: the rest of the sentence if there are none; `{first}` is the first file left out.
        no_class: what to do for a class without images.
        no_split: what to do for `{split}` without images.
    """

    title: str
    where: str
    mark: str
    no_images: str
    no_class: str
    no_split: str


def load_folder(
    root: Path,
    *,
    data_dir: Path,
    seed: int,
    progress: Progress,
    scales: Scales | None = None,
    image_size: int = SIDE,
) -> Dataset:
    """Load the images below `root`: decode them, or take them from the cache in `data_dir`.

    `root` contains the folders of its splits, named as in `splits`; or only one of them, or the class folders
    themselves: then about one image in six of each class becomes a test image, as `choose_test_images` does.
    Without a test split, the validation split is the test split. The classes are the names of all class
    folders, sorted.

    Training images are ordered as by `torchvision.datasets.ImageFolder`. Test images take turns by class, so
    that the first few, which are shown as samples, differ.

    Images of more than 8 bits have the `scales` of the run that they are for, or else one that fits them all.

    Those of 32x32 pixels are in memory; of another `image_size` they stay in a file of the cache.

    Raises:
        DataUnavailableError: the folder is missing, unreadable or empty, is laid out in a way that
            `find_layout` refuses, or has a class or a split without images; or there is no room for them.
        CancelledError: the user requested a stop.
    """
    return load_listed(
        root,
        scan_folder(root, progress),
        Listing(
            title=f"folder {root}",
            where=f"the folder '{shown(root)}'",
            mark="/",
            no_images=f"has no images in its class folders{{first}}: {EXPECTED_LAYOUT}",
            no_class="add images or remove its folder",
            no_split="add images to {split}/",
        ),
        cache_path(root, data_dir, image_size),
        seed=seed,
        progress=progress,
        scales=scales,
        image_size=image_size,
    )


def load_listed(
    root: Path,
    found: FoundFolder,
    listing: Listing,
    cache: Path,
    *,
    seed: int,
    progress: Progress,
    scales: Scales | None = None,
    image_size: int = SIDE,
) -> Dataset:
    """Load the images that `found` lists: decode them, or take them from the cache.

    Args:
        root: the folder that the paths in `found` are relative to.
        found: the files, their classes and their splits.
        listing: how messages call what lists them.
        cache: the file of the cache.
        seed: chooses the test images where there is no split.
        progress: see `Progress`.
        scales: see `load_folder`.
        image_size: see `load_folder`.

    Raises:
        DataUnavailableError: a class or a split has no images, or there is no room for them.
        CancelledError: the user requested a stop.
    """
    read = _Folder(root, found, cache, image_size, progress)
    decoded, errors = read.read()
    own, scales = decoded.scales, scales or {}
    if any(kind in scales and scales[kind] != tuple(scale) for kind, (_, *scale) in own.items()):
        decoded, errors = read.decode(read.usable, scales)  # not kept in the cache
    layout = found.layout
    reasons = _skipped(found, decoded, errors)
    skipped = _listed(found, reasons)
    without_reader = {position for position, error in errors.items() if error.missing}
    split_of = np.array([file.split for file in found.files])[decoded.files]
    targets = torch.tensor([file.target for file in found.files], dtype=torch.int64)[decoded.files]
    _check_classes(listing, layout, targets, skipped)
    indices = {split: torch.from_numpy(np.flatnonzero(split_of == split)) for split in layout.splits}
    files = [found.files[index] for index in decoded.files]
    if UNSPLIT in indices:
        test = choose_test_images([file.inner for file in files], targets, seed=seed)
        indices = {TRAIN: torch.nonzero(~test).flatten(), TEST: torch.nonzero(test).flatten()}
    for split, kind in ((TRAIN, "training"), (TEST, "test"), (VALIDATION, "validation")):
        if split in indices and not len(indices[split]):
            named = layout.splits.get(split)
            hint = _SPLIT_HINT if named is None else listing.no_split.format(split=named)
            raise DataUnavailableError(f"{listing.where} has no {kind} images: {hint}")
    counts = {
        split: torch.bincount(targets[chosen], minlength=len(layout.class_names)).tolist()
        for split, chosen in indices.items()
    }
    duplicates = duplicate_warnings(decoded.images, [file.path for file in files], indices)
    indices[TEST] = interleave(targets, indices[TEST])
    splits = {
        # Indexing copies, so the images no longer depend on the mapped cache file.
        split: ImageSplit(images=select(decoded.images, chosen), targets=targets[chosen])
        for split, chosen in indices.items()
    }
    line = summary_line(
        found, decoded, test_images=len(splits[TEST]), skipped=len(skipped), mark=listing.mark
    )
    return Dataset(
        title=listing.title,
        synthetic=False,
        class_names=layout.class_names,
        train=splits[TRAIN],
        test=splits[TEST],
        validation=splits.get(VALIDATION),
        notes=(
            line,
            *layout.notes,
            *conversion_notes(decoded.sizes, decoded.conversions),
            *scale_notes(decoded.scales, own),
        ),
        warnings=(
            *skipped_warnings(_listed(found, reasons, but=without_reader)),
            *layout.warnings,
            *(group_warnings(files, layout.class_names) if layout.classes else ()),
            *missing_reader_warnings(found, errors),
            *scale_warnings(decoded.scales, own),
            *class_warnings(layout.class_names, counts, folders=layout.splits, mark=listing.mark),
            *duplicates,
        ),
        seeded_split=UNSPLIT in layout.splits,
        root=root,
        train_files=tuple(files[index].path for index in indices[TRAIN].tolist()),
        test_files=tuple(files[index].path for index in indices[TEST].tolist()),
        scales={**scales, **{kind: (black, white) for kind, (_, black, white) in decoded.scales.items()}},
    )


def choose_test_images(paths: Sequence[str], targets: Tensor, *, seed: int) -> Tensor:
    """Choose about one image in six of each class as test images, alike whatever images come and go.

    An image is a test image if the hash of `seed` and its path is in the lowest sixth of all hashes; in a
    class of two or more, the image with the lowest hash always is one, and that with the highest never. So a
    class of two has one of each, and the only image of a class is a training image. Only for those two images
    of a class can that change when others of the class come or go, and hardly ever in a class of dozens.

    Args:
        paths: of the N images, each relative to the folder of its class.
        targets: int64, shape (N,), class indices.
        seed: random seed.

    Returns:
        bool, shape (N,): whether the image is a test image.
    """
    hashes = np.array([_hash(f"{seed} {canonical(path)}") for path in paths], dtype=np.uint64)
    test = hashes < _HASHES // _IMAGES_PER_TEST_IMAGE
    classes = targets.numpy()
    for target in np.unique(classes):
        members = np.flatnonzero(classes == target)
        test[members[hashes[members].argmin()]] = True
        test[members[hashes[members].argmax()]] = False  # also the only image of a class
    return torch.from_numpy(test)


def _hash(text: str) -> int:
    data = text.encode(errors="surrogateescape")
    return int.from_bytes(hashlib.blake2b(data, digest_size=_HASH_BYTES).digest())


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


class _Folder:
    """Reads the files of a folder, or what the cache has of them.

    Attributes:
        usable: the positions of the files that may be images.
    """

    def __init__(
        self, root: Path, found: FoundFolder, cache: Path, image_size: int, progress: Progress
    ) -> None:
        self.usable = [position for position, file in enumerate(found.files) if not file.problem]
        self._root = root
        self._found = found
        self._cache = cache
        self._size = image_size
        self._progress = progress

    def read(self) -> tuple[DecodedFolder, dict[int, UnreadableImageError]]:
        """Return what is known of all files, and why the others cannot be read now, by their position.

        Only what the bytes of a file prove is kept in the cache; the others are tried again each time.
        """
        remove_temporaries(self._cache)
        fingerprint, count = self._found.fingerprint, len(self._found.files)
        known = read_cache(self._cache, fingerprint, files=count, image_size=self._size)
        if known is not None:
            if len(known.files) + len(known.skipped) == len(self.usable):
                return known, {}
            settled = set(known.files.tolist()) | known.skipped.keys()
            file = known.images.file if isinstance(known.images, FileImages) else None
            again, errors = self.decode([index for index in self.usable if index not in settled], file=file)
            if not again.scales:  # otherwise all images of more than 8 bits may need another scale
                if len(again.files) or again.skipped:
                    known = _merge(known, again)
                    write_cache(self._cache, fingerprint, known)
                return known, errors
        if self._size != SIDE:
            remove_cache(self._cache)
        decoded, errors = self.decode(self.usable)
        write_cache(self._cache, fingerprint, decoded)
        return decoded, errors

    def decode(
        self, positions: list[int], scales: Scales | None = None, *, file: PixelFile | None = None
    ) -> tuple[DecodedFolder, dict[int, UnreadableImageError]]:
        """Decode the files at `positions`; the errors are those that do not prove that a file is no image.

        Images of another size than 32x32 are written into `file`, or a new one.
        """
        found = self._found
        with contextlib.ExitStack() as if_it_fails:
            if file is None and self._size != SIDE:
                file = new_pixel_file(self._cache, count=len(found.files), image_size=self._size)
                if_it_fails.callback(file.discard)
            files = [found.files[position] for position in positions]
            self._progress.begin("decoding images", "images", total=len(files))
            decoded = decode_files(
                [self._root / file.path for file in files],
                threads=thread_count(sum(file.size for file in files) / max(len(files), 1)),
                progress=self._progress,
                scales=scales,
                image_size=self._size,
                into=None if file is None else _Rows(file, positions),
            )
            if scales is None:
                if_it_fails.pop_all()  # else it is not kept in the cache
        errors = {positions[index]: error for index, error in decoded.errors.items()}
        good = [index for index in range(len(files)) if index not in decoded.errors]
        kept = np.array(positions, dtype=np.int64)[good]
        if file is not None:
            images: Images = FileImages(file, kept)
        else:
            images = torch.from_numpy(decoded.pixels[good] if errors else decoded.pixels)
        return DecodedFolder(
            images=images,
            files=kept,
            sizes=decoded.sizes[good],
            conversions=decoded.conversions[good],
            skipped={position: str(error) for position, error in errors.items() if not error.passing},
            scales=decoded.scales,
        ), {position: error for position, error in errors.items() if error.passing}


class _Rows:
    """Writes the images of the files at `positions` into `file`."""

    def __init__(self, file: PixelFile, positions: Sequence[int]) -> None:
        self._file = file
        self._positions = positions

    def __setitem__(self, index: int, pixels: Pixels) -> None:
        self._file[self._positions[index]] = pixels


def _merge(known: DecodedFolder, again: DecodedFolder) -> DecodedFolder:
    files = np.concatenate([known.files, again.files])
    order = np.argsort(files)
    return DecodedFolder(
        images=select(joined([known.images, again.images]), torch.from_numpy(order)),
        files=files[order],
        sizes=np.concatenate([known.sizes, again.sizes])[order],
        conversions=np.concatenate([known.conversions, again.conversions])[order],
        skipped=known.skipped | again.skipped,
        scales=known.scales,
    )


def _skipped(
    found: FoundFolder, decoded: DecodedFolder, errors: dict[int, UnreadableImageError]
) -> dict[int, str]:
    """Return why a file is not used, by its position."""
    problems = {position: file.problem for position, file in enumerate(found.files) if file.problem}
    return problems | decoded.skipped | {position: str(error) for position, error in errors.items()}


def _listed(found: FoundFolder, reasons: dict[int, str], *, but: Collection[int] = ()) -> list[str]:
    """Return the files that are not used as "path: reason", sorted, without those at the positions `but`."""
    listed = sorted((found.files[position].path, position) for position in reasons.keys() - but)
    return [f"{path}: {reasons[position]}" for path, position in listed]


def _check_classes(listing: Listing, layout: Layout, targets: Tensor, skipped: list[str]) -> None:
    counts = torch.bincount(targets, minlength=len(layout.class_names)).tolist()
    empty = [name for name, count in zip(layout.class_names, counts, strict=True) if count == 0]
    if not empty:
        return
    first = f" ({len(skipped)} files skipped, the first: {skipped[0]})" if skipped else ""
    if len(empty) == len(counts):
        raise DataUnavailableError(f"{listing.where} {listing.no_images.format(first=first)}")
    raise DataUnavailableError(
        f"{listing.where} has no images of class '{empty[0]}'{first}: {listing.no_class}"
    )
