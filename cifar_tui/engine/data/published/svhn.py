"""SVHN, the house numbers of Street View: pictures of 32x32 pixels in Matlab's format."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from cifar_tui.engine.data.arrays import resized
from cifar_tui.engine.data.dataset import Dataset, ImageSplit
from cifar_tui.engine.data.fetch import RemoteFile
from cifar_tui.engine.data.published.source import ALTERNATIVES, Published, read_mat
from cifar_tui.engine.data.registry import Progress

_SPLITS = ("train", "test")
_DIGITS = 10  # the label of the digit 0, too


def _files(known: Any) -> list[tuple[str, RemoteFile]]:  # noqa: ANN401 - torchvision has no types
    listed = (known.split_list[split] for split in _SPLITS)
    return [
        (
            "",
            RemoteFile(
                title="SVHN",
                urls=(url,),
                file_name=file_name,
                md5=md5,
                room="250 MB",
                alternatives=ALTERNATIVES,
            ),
        )
        for url, file_name, md5 in listed
    ]


def _read(known: Any, data_dir: Path, image_size: int, progress: Progress) -> Dataset:  # noqa: ANN401 - as above
    progress.begin("reading SVHN", "files", total=len(_SPLITS))
    splits = []
    for number, split in enumerate(_SPLITS):
        progress.update(number)
        _, file_name, md5 = known.split_list[split]
        variables = read_mat(data_dir / file_name, md5)
        pixels = np.ascontiguousarray(variables["X"].transpose(3, 2, 0, 1))  # from rows, columns, channels, N
        targets = torch.from_numpy(variables["y"].astype(np.int64) % _DIGITS)
        splits.append(ImageSplit(images=torch.from_numpy(pixels), targets=targets))
    dataset = Dataset(
        title="SVHN",
        synthetic=False,
        class_names=tuple(map(str, range(_DIGITS))),
        train=splits[0],
        test=splits[1],
    )
    return resized(dataset, progress, image_size=image_size, data_dir=data_dir)


SVHN = Published(name="SVHN", files=_files, read=_read, needs_scipy=True)
