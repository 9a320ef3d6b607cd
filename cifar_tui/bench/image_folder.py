"""A folder of as many images as CIFAR-10 has, made to be loaded, and how long loading takes."""

import time
from dataclasses import dataclass
from pathlib import Path

from cifar_tui.bench.children import ask, run_child, say
from cifar_tui.engine.errors import DataUnavailableError

_MODULE = "cifar_tui.bench.image_folder"


@dataclass(frozen=True, kw_only=True, slots=True)
class Loading:
    """What loading images took in a fresh process that had imported torch.

    Attributes:
        seconds: until the images were there.
        read_seconds: until every byte of them was read, too: they may be mapped into memory.
        images: how many there are.
    """

    seconds: float
    read_seconds: float
    images: int


def make_image_folder(root: Path, *, train_images: int, test_images: int) -> None:
    """Draw images, and write them as files that take no time to decode, into class folders of two parts.

    Raises:
        OSError: they cannot be written.
        RunFailedError: the process that draws died.
    """
    ask(_MODULE, "make", str(root), str(train_images), str(test_images))


def measure_loading(data: str, data_dir: Path) -> Loading:
    """Load `data` in a fresh process, from its cache if `data_dir` has one.

    Raises:
        UserError: they cannot be loaded.
        RunFailedError: the process died.
    """
    return Loading(**ask(_MODULE, "load", data, str(data_dir)))


def _make(root: Path, counts: dict[str, int]) -> None:
    from PIL import Image

    from cifar_tui.engine.data.sources import load_dataset

    dataset = load_dataset("synthetic", data_dir=root, seed=0, report=lambda _: None, cancelled=lambda: False)
    pixels = dataset.train.images.permute(0, 2, 3, 1).contiguous().numpy()
    targets = dataset.train.targets.tolist()
    for part, count in counts.items():
        for name in dataset.class_names:
            (root / part / name).mkdir(parents=True)
        for number in range(count):
            image = number % len(targets)  # there are more files than pictures, and only their number matters
            folder = root / part / dataset.class_names[targets[image]]
            Image.fromarray(pixels[image]).save(folder / f"{number:05d}.bmp")
    say()


def _load(data: str, data_dir: Path) -> None:
    from cifar_tui.engine.data.sources import load_dataset

    began = time.perf_counter()
    dataset = load_dataset(data, data_dir=data_dir, seed=0, report=lambda _: None, cancelled=lambda: False)
    seconds = time.perf_counter() - began
    splits = (dataset.train, dataset.test)
    if not all(int(split.images.max()) for split in splits):
        raise DataUnavailableError(f"all images of {data} are black: loading them means nothing, name others")
    say(
        seconds=seconds,
        read_seconds=time.perf_counter() - began,
        images=sum(len(split) for split in splits),
    )


def _main(arguments: list[str]) -> None:
    """What a child does: draw images, or load them."""
    match arguments:
        case ["make", root, train_images, test_images]:
            _make(Path(root), {"train": int(train_images), "test": int(test_images)})
        case ["load", data, data_dir]:
            _load(data, Path(data_dir))


if __name__ == "__main__":
    run_child(_main)
