"""CIFAR-100: pickled like CIFAR-10."""

import pickle
from pathlib import Path
from typing import Any

import torch

from cifar_tui.engine.data.arrays import resized
from cifar_tui.engine.data.dataset import Dataset, ImageSplit
from cifar_tui.engine.data.fetch import Archive, RemoteFile, read_official
from cifar_tui.engine.data.published.source import ALTERNATIVES, Published
from cifar_tui.engine.data.registry import Progress


def _files(known: Any) -> list[tuple[str, RemoteFile]]:  # noqa: ANN401 - torchvision has no types
    meta = known.meta
    archive = Archive(
        title="CIFAR100",
        urls=(known.url,),
        file_name=known.filename,
        md5=known.tgz_md5,
        folder_name=known.base_folder,
        file_md5s=dict([*known.train_list, *known.test_list, (meta["filename"], meta["md5"])]),
        alternatives=ALTERNATIVES,
    )
    return [("", archive)]


def _read(known: Any, data_dir: Path, image_size: int, progress: Progress) -> Dataset:  # noqa: ANN401 - as above
    folder, meta = data_dir / known.base_folder, known.meta
    (train,), (test,) = known.train_list, known.test_list
    progress.begin("reading CIFAR100", "files", total=3)
    contents = []
    for number, (name, md5) in enumerate((train, test, (meta["filename"], meta["md5"]))):
        progress.update(number)
        content = read_official(
            folder / name, md5, f"remove '{folder}' to unpack it again, or {ALTERNATIVES}"
        )
        contents.append(pickle.loads(content, encoding="latin1"))  # noqa: S301 - its MD5 matched
    splits = [
        ImageSplit(
            images=torch.from_numpy(batch["data"].reshape(-1, 3, 32, 32)),
            targets=torch.tensor(batch["fine_labels"]),
        )
        for batch in contents[:2]
    ]
    dataset = Dataset(
        title="CIFAR100",
        synthetic=False,
        class_names=tuple(contents[2][meta["key"]]),
        train=splits[0],
        test=splits[1],
    )
    return resized(dataset, progress, image_size=image_size, data_dir=data_dir)


CIFAR100 = Published(name="CIFAR100", files=_files, read=_read)
