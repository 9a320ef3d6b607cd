"""Find images of one split of a folder in another one, where they make results better than they are."""

import hashlib
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
from torch import Tensor

from cifar_tui.engine.data.file_images import Images
from cifar_tui.engine.data.splits import TEST, TRAIN, VALIDATION

_KINDS = {TRAIN: "training", VALIDATION: "validation", TEST: "test"}
_PAIRS = ((TEST, TRAIN), (VALIDATION, TRAIN), (TEST, VALIDATION))
_SAMPLED = [61, 190, 317, 330]
"""Which of the 384 runs of eight pixels to compare first: near the middle, as margins are often alike."""
_WEIGHTS = np.array([0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB, 1], np.uint64)
"""Odd numbers that mix the bits, of SplitMix64: Steele et al., OOPSLA 2014."""


def duplicate_warnings(images: Images, paths: Sequence[str], splits: Mapping[str, Tensor]) -> list[str]:
    """Count the images of each split that another split has as well, pixel for pixel.

    All of an image is hashed only if a few of its pixels are in both splits, so this takes little of the time
    to load the images.

    Args:
        images: uint8, shape (N, 3, S, S).
        paths: of the N images.
        splits: int64, the positions of the images of each split.
    """
    samples, digest_of = _hashes(images)
    warnings = []
    for split, other in _PAIRS:
        if split not in splits or other not in splits:
            continue
        own, others = splits[split].numpy(), splits[other].numpy()
        first: dict[object, int] = {}
        for index in others[np.isin(samples[others], samples[own])]:
            first.setdefault(digest_of(index), index)
        alike = [
            (index, first[digest])
            for index in own[np.isin(samples[own], samples[others])]
            if (digest := digest_of(index)) in first
        ]
        if alike:
            here, there = (paths[index] for index in alike[0])
            warnings.append(
                f"{len(alike):,} of {len(own):,} {_KINDS[split]} images {'is' if len(alike) == 1 else 'are'} "
                f"also in the {_KINDS[other]} set, pixel for pixel (the first: '{here}' and '{there}'): "
                "remove one of each pair to measure on unseen images"
            )
    return warnings


def _hashes(images: Images) -> tuple[npt.NDArray[np.uint64], Callable[[int], object]]:
    """A number of each image that differs of most that differ, and what hashes all of an image.

    Images in a file are not read: their hashes were kept when they were written.
    """
    if not isinstance(images, Tensor):
        digests = images.digests
        return digests, digests.__getitem__
    pixels = images.flatten(1).numpy()
    sampled = pixels.view(np.uint64)[:, _SAMPLED]
    return sampled @ _WEIGHTS, lambda index: hashlib.blake2b(pixels[index]).digest()  # modulo 2 ** 64
