"""STL-10: pictures of 96x96 pixels in binary files; those without labels are left in the archive."""

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cifar_tui.engine.data.arrays import fit_pictures
from cifar_tui.engine.data.class_names import class_names_in
from cifar_tui.engine.data.dataset import Dataset, ImageSplit
from cifar_tui.engine.data.fetch import Archive, RemoteFile, read_official
from cifar_tui.engine.data.published.source import ALTERNATIVES, Published
from cifar_tui.engine.data.registry import Progress
from cifar_tui.engine.errors import DataUnavailableError

_SIDE = 96
_CLASSES = 10


def _labelled(known: Any) -> dict[str, str]:  # noqa: ANN401 - torchvision has no types
    """The files of labelled pictures with their MD5s: pictures and labels of train, then of test."""
    return dict([*known.train_list[:2], *known.test_list])


def _files(known: Any) -> list[tuple[str, RemoteFile]]:  # noqa: ANN401 - as above
    archive = Archive(
        title="STL10",
        urls=(known.url,),
        file_name=known.filename,
        md5=known.tgz_md5,
        folder_name=known.base_folder,
        file_md5s=_labelled(known),
        pattern=known.class_names_file,
        room="3 GB",
        alternatives=ALTERNATIVES,
    )
    return [("", archive)]


def _read(known: Any, data_dir: Path, image_size: int, progress: Progress) -> Dataset:  # noqa: ANN401 - as above
    folder, files = data_dir / known.base_folder, _labelled(known)
    advice = f"remove '{folder}' to unpack it again, or {ALTERNATIVES}"
    progress.begin("reading STL10", "files", total=len(files))
    arrays = []
    for number, (name, md5) in enumerate(files.items()):
        progress.update(number)
        arrays.append(np.frombuffer(read_official(folder / name, md5, advice), dtype=np.uint8))
    # from N, channels, columns, rows
    train, test = (array.reshape(-1, 3, _SIDE, _SIDE).transpose(0, 3, 2, 1) for array in arrays[::2])
    images, notes = fit_pictures([train, test], progress, image_size=image_size, data_dir=data_dir)
    splits = [
        ImageSplit(images=part, targets=torch.from_numpy(labels.astype(np.int64) - 1))
        for part, labels in zip(images, arrays[1::2], strict=True)
    ]
    return Dataset(
        title="STL10",
        synthetic=False,
        class_names=_class_names(folder / known.class_names_file, advice),
        train=splits[0],
        test=splits[1],
        notes=tuple(notes),
    )


def _class_names(path: Path, advice: str) -> tuple[str, ...]:
    names = None
    with contextlib.suppress(OSError, UnicodeError):
        names = class_names_in(path.read_text("utf-8").split())
    if names is None or len(names) != _CLASSES:
        raise DataUnavailableError(f"cannot read the {_CLASSES} class names in '{path}': {advice}")
    return names


STL10 = Published(name="STL10", files=_files, read=_read)
