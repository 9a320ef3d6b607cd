"""MNIST and its relatives: grey pictures of 28x28 pixels in gzipped IDX files.

Source of the format: http://yann.lecun.com/exdb/mnist/
"""

import gzip
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cifar_tui.engine.data.arrays import fit_pictures
from cifar_tui.engine.data.convert import Pixels
from cifar_tui.engine.data.dataset import Dataset, ImageSplit
from cifar_tui.engine.data.fetch import RemoteFile
from cifar_tui.engine.data.published.source import ALTERNATIVES, Published, read_file
from cifar_tui.engine.data.registry import Progress

_AXES_BYTE = 3
_BYTES_PER_SIZE = 4


def _folder(name: str) -> str:
    return f"{name}/raw"


def _files(name: str, known: Any) -> list[tuple[str, RemoteFile]]:  # noqa: ANN401 - torchvision has no types
    return [
        (
            _folder(name),
            RemoteFile(
                title=name,
                urls=tuple(f"{mirror}{file_name}" for mirror in known.mirrors),
                file_name=file_name,
                md5=md5,
                room="40 MB",
                alternatives=ALTERNATIVES,
            ),
        )
        for file_name, md5 in known.resources
    ]


def _read(name: str, known: Any, data_dir: Path, image_size: int, progress: Progress) -> Dataset:  # noqa: ANN401 - as above
    progress.begin(f"reading {name}", "files", total=len(known.resources))
    arrays = []
    for number, (file_name, md5) in enumerate(known.resources):
        progress.update(number)
        arrays.append(_read_idx(gzip.decompress(read_file(data_dir / _folder(name) / file_name, md5))))
    train, train_labels, test, test_labels = arrays
    images, notes = fit_pictures([train, test], progress, image_size=image_size, data_dir=data_dir)
    splits = [
        ImageSplit(images=part, targets=torch.from_numpy(labels.astype(np.int64)))
        for part, labels in zip(images, (train_labels, test_labels), strict=True)
    ]
    return Dataset(
        title=name,
        synthetic=False,
        class_names=tuple(known.classes),
        train=splits[0],
        test=splits[1],
        notes=tuple(notes),
    )


def _read_idx(content: bytes) -> Pixels:
    """Read the bytes of an IDX file: the number of axes in its fourth byte, their lengths, the values."""
    axes = content[_AXES_BYTE]
    start = 1 + _AXES_BYTE + _BYTES_PER_SIZE * axes
    shape = np.frombuffer(content[1 + _AXES_BYTE : start], dtype=">i4")
    return np.frombuffer(content, dtype=np.uint8, offset=start).reshape(shape)


def _published(name: str) -> Published:
    return Published(name=name, files=partial(_files, name), read=partial(_read, name))


MNIST, FASHION_MNIST, KMNIST = map(_published, ("MNIST", "FashionMNIST", "KMNIST"))
