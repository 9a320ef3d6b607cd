"""Oxford's 102 flowers: photos of many sizes, with labels and splits in Matlab's format."""

from pathlib import Path
from typing import Any

from cifar_tui.engine.data.cache import cache_path
from cifar_tui.engine.data.dataset import Dataset
from cifar_tui.engine.data.fetch import Archive, RemoteFile
from cifar_tui.engine.data.folder import Listing, load_listed
from cifar_tui.engine.data.published.source import ALTERNATIVES, Published, read_mat
from cifar_tui.engine.data.registry import Progress
from cifar_tui.engine.data.scan import find_listed
from cifar_tui.engine.data.splits import TEST, TRAIN, VALIDATION, Layout

_FOLDER, _PHOTOS = "flowers-102", "jpg"
_SPLITS = {TRAIN: "train", VALIDATION: "val", TEST: "test"}


def _files(known: Any) -> list[tuple[str, RemoteFile]]:  # noqa: ANN401 - torchvision has no types
    common: dict[str, Any] = {"title": "Flowers102", "room": "700 MB", "alternatives": ALTERNATIVES}
    named = {
        key: {"urls": (f"{known._download_url_prefix}{file_name}",), "file_name": file_name, "md5": md5}  # noqa: SLF001 - nowhere else
        for key, (file_name, md5) in known._file_dict.items()  # noqa: SLF001 - as above
    }
    photos = Archive(**common, **named["image"], folder_name=_PHOTOS, file_md5s={}, pattern="image_*.jpg")
    return [(_FOLDER, photos), *((_FOLDER, RemoteFile(**common, **named[key])) for key in ("label", "setid"))]


def _read(known: Any, data_dir: Path, image_size: int, progress: Progress) -> Dataset:  # noqa: ANN401 - as above
    folder = data_dir / _FOLDER
    labels, ids = (
        read_mat(folder / file_name, md5)
        for file_name, md5 in (known._file_dict["label"], known._file_dict["setid"])  # noqa: SLF001 - as above
    )
    listed = [
        (f"image_{number:05d}.jpg", known.classes[labels["labels"][number - 1] - 1], split)
        for split, name in _SPLITS.items()
        for number in ids[known._splits_map[name]].tolist()  # noqa: SLF001 - as above
    ]
    layout = Layout(
        splits=_SPLITS,
        classes={},
        class_names=tuple(known.classes),
        validation_is_test=False,
        notes=(),
        warnings=(),
    )
    again = f"remove '{folder / _PHOTOS}' to unpack it again"
    return load_listed(
        folder / _PHOTOS,
        find_listed(folder / _PHOTOS, listed, layout, progress),
        Listing(
            title="Flowers102",
            where="Flowers102",
            mark="",
            no_images=f"has no photos that can be read{{first}}: {again}",
            no_class=again,
            no_split=again,
        ),
        cache_path(folder / _PHOTOS, data_dir, image_size),
        seed=0,  # the splits are the official ones
        progress=progress,
        image_size=image_size,
    )


FLOWERS102 = Published(name="Flowers102", files=_files, read=_read, needs_scipy=True)
