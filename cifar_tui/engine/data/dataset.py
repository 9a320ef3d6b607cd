"""`Dataset`: labelled images in memory or in a file, from any source."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor

from cifar_tui.engine.data.file_images import Images, select
from cifar_tui.engine.data.normalization import TUTORIAL, Normalization
from cifar_tui.engine.data.scales import Scales
from cifar_tui.engine.errors import ConfigError

_GPU_SHARE = 0.5
"""The share of a GPU's free memory that images from a file may take."""
_USUAL_SIZE = 32
_FEWEST = 16
"""Images that are computed on at a time, however large they are."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ImageSplit:
    """Images with their labels.

    Attributes:
        images: uint8, shape (N, 3, S, S), RGB, 0-255; on the device of `targets`, or in a file.
        targets: int64, shape (N,), class indices.
        normalization: what makes the images the inputs of a network.
    """

    images: Images
    targets: Tensor
    normalization: Normalization = TUTORIAL

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def image_size(self) -> int:
        """Height and width of the images, in pixels."""
        return int(self.images.shape[-1])

    def take(self, which: Tensor | slice) -> Tensor:
        """Return the images at `which`, uint8 (B, 3, S, S), on the device of `targets`.

        Raises:
            DataUnavailableError: they are in a file that cannot be read any more.
        """
        if isinstance(self.images, Tensor):
            return self.images[which]
        return self.images.take(which).to(self.targets.device)

    def inputs(self, which: Tensor | slice) -> Tensor:
        """Return the images at `which` as inputs of a network, float32 (B, 3, S, S)."""
        return self.normalization.apply(self.take(which))

    def thumbnails(self, which: Tensor | slice) -> Tensor:
        """Return the images at `which` as they are shown, uint8 (B, 3, T, T), where they are.

        Raises:
            DataUnavailableError: they are in a file that cannot be read any more.
        """
        return self.images[which] if isinstance(self.images, Tensor) else self.images.thumbnails(which)

    def select(self, which: Tensor | slice) -> "ImageSplit":
        """Return the images and labels at `which`; images in a file stay there."""
        return replace(self, images=select(self.images, which), targets=self.targets[which])

    def to(self, device: torch.device) -> "ImageSplit":
        """Return the labels on `device`, and the images too; those in a file only if a GPU has room for them.

        Raises:
            DataUnavailableError: they are in a file that cannot be read any more.
        """
        images = self.images
        if isinstance(images, Tensor):
            images = images.to(device)
        elif device.type == "cuda" and images.nbytes <= _GPU_SHARE * torch.cuda.mem_get_info(device)[0]:
            images = images.load(device)
        return replace(self, images=images, targets=self.targets.to(device))


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Dataset:
    """Training and test images.

    Attributes:
        title: the name shown to the user, such as "CIFAR-10" or "folder pictures/cats".
        synthetic: whether the images are synthetic; every screen then says so.
        class_names: names of class 0, 1, …
        validation: the folder's own validation split, if it has a test split as well.
        notes: what was found, assumed, resized and converted, each with its count.
        warnings: what was left out or makes results say less than they seem to, with names and counts.
        seeded_split: whether the seed chose which images are test images.
        root: the folder of the image files; None if the images are not in files of their own.
        train_files: of each training image its path below `root`; () without a root.
        test_files: likewise of each test image.
        scales: what is black and white in images of more than 8 bits, in this run.
    """

    title: str
    synthetic: bool
    class_names: tuple[str, ...]
    train: ImageSplit
    test: ImageSplit
    validation: ImageSplit | None = None
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    seeded_split: bool = False
    root: Path | None = None
    train_files: tuple[str, ...] = ()
    test_files: tuple[str, ...] = ()
    scales: Scales = field(default_factory=dict)


def validation_split(dataset: Dataset, count: int, *, seed: int) -> tuple[ImageSplit, ImageSplit | None]:
    """Return the images to train on and those to validate with: the dataset's own, or `count` random ones.

    Raises:
        ConfigError: there would be two validation sets, or no images would remain to train on.
    """
    if dataset.validation is None:
        return split_validation(dataset.train, count, seed=seed)
    if count:
        raise ConfigError(
            f"val_size {count} would be a second validation set: {dataset.title} has one of "
            f"{len(dataset.validation):,} images; set val_size to 0",
            field="val_size",
        )
    return dataset.train, dataset.validation


def split_validation(split: ImageSplit, count: int, *, seed: int) -> tuple[ImageSplit, ImageSplit | None]:
    """Split off `count` random validation images: return the remaining images and these, or None for 0.

    Raises:
        ConfigError: no images would remain to train on.
    """
    if count == 0:
        return split, None
    if count >= len(split):
        raise ConfigError(
            f"val_size {count} must be below the number of training images, {len(split)}",
            field="val_size",
        )
    train, validation = map(split.select, split_positions(len(split), count, seed=seed))
    return train, validation


def split_positions(total: int, count: int, *, seed: int) -> tuple[Tensor, Tensor]:
    """Choose `count` random positions of `total` to validate with: return the remaining ones and these."""
    order = torch.randperm(total, generator=torch.Generator().manual_seed(seed))
    return order[count:].sort().values, order[:count].sort().values


def normalize(images: Tensor) -> Tensor:
    """Convert `images`, uint8 (N, 3, H, W), to float32 in [-1, 1], as the tutorial does."""
    return TUTORIAL.apply(images)


def images_at_a_time(count: int, image_size: int) -> int:
    """How many images of `image_size` to compute on at a time, where it is `count` of 32x32 pixels."""
    return max(min(_FEWEST, count), min(count, count * _USUAL_SIZE**2 // image_size**2))
