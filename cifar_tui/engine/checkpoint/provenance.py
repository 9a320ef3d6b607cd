"""What the result of a run depends on besides its settings: the images, the versions, the device."""

import platform
import zlib
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from cifar_tui import __version__
from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.data.dataset import Dataset
from cifar_tui.engine.device.precision import precision_of
from cifar_tui.engine.errors import ConfigError
from cifar_tui.engine.training.batches import low_res_epochs

_DIFFERENCES = {
    "images": "the training images differ",
    "model": "the source of the model differs",
    "version": "cifar-tui {new} instead of {old}",
    "torch": "PyTorch {new} instead of {old}",
    "device": "device {new} instead of {old}",
    "processor": "CPU {new} instead of {old}",
    "backend": "backend {new} instead of {old}",
    "threads": "{new} threads instead of {old}",
    "processes": "trained by {new} instead of {old}",
}
_ONE_PROCESS = "1 process"


def describe_provenance(
    dataset: Dataset, device: str, threads: int, backend: str, source: str = "", *, processes: int = 1
) -> dict[str, str]:
    """Return the provenance to store in a checkpoint.

    Args:
        dataset: the images.
        device: as shown to the user.
        threads: number of intra-op threads, on which the order of sums depends.
        backend: what runs the steps.
        source: the SHA-256 of the source of a user's net; "" for a registered model.
        processes: how many train it together.
    """
    return {
        "images": describe_images(dataset),
        "model": source,
        "version": __version__,
        "torch": str(torch.__version__),
        "device": device,
        "processor": f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}",
        "backend": backend,
        "threads": str(threads),
        "processes": _ONE_PROCESS if processes == 1 else f"{processes} processes",
    }


def describe_images(dataset: Dataset) -> str:
    """Identify the training images of `dataset`: their number, and a CRC-32 of them and their classes.

    Of images in a file it is one of their hashes.
    """
    images = dataset.train.images
    content = images.numpy() if isinstance(images, Tensor) else images.digests
    checksum = zlib.crc32(content.data, zlib.crc32(dataset.train.targets.numpy().data))
    return f"{len(dataset.train)} {checksum:08x}"


def check_image_count(old: Mapping[str, str], dataset: Dataset) -> None:
    """Check that a run with the provenance `old` was trained on as many images as `dataset` has.

    The steps of an epoch, the learning rate schedule and the validation images depend on their number.

    Raises:
        ConfigError: it was not.
    """
    before, now = str(old.get("images", "?")).partition(" ")[0], str(len(dataset.train))
    if before != now:
        raise ConfigError(
            f"this run cannot be resumed: it was trained on {before} training images, {dataset.title} has "
            f"{now} now; restore the images it was trained on, or start a new run"
        )


def resume_differences(
    state: Mapping[str, Any], config: TrainConfig, provenance: Mapping[str, str], precision: str
) -> list[str]:
    """Describe why the results of a run resumed from `state` may differ from an uninterrupted one.

    Args:
        state: the content of a `last.pt`.
        config: the settings to resume with.
        provenance: of the resumed run.
        precision: of its steps.
    """
    return [
        *provenance_differences(state["provenance"], provenance, val_size=config.val_size),
        *precision_differences(precision_of(state["steps"]), precision),
        *schedule_differences(state["config"], config),
    ]


def provenance_differences(old: Mapping[str, str], new: Mapping[str, str], *, val_size: int = 0) -> list[str]:
    """Describe how the provenance in a checkpoint differs from the current one.

    Args:
        old: the provenance in the checkpoint.
        new: the current one.
        val_size: how many of the training images are validation images, by their position.
    """
    differences = [
        difference.format(old=old.get(name, "unknown"), new=new[name])
        for name, difference in _DIFFERENCES.items()
        if old.get(name, _ONE_PROCESS if name == "processes" else "") != new[name]
    ]
    if val_size and old.get("images") != new["images"]:
        differences.append("some of the validation images may have been trained on")
    return differences


def split_differences(dataset: Dataset, trained: int | None, seed: int) -> list[str]:
    """Describe how the test images of a folder may differ from those that weights were not trained on.

    Args:
        dataset: the images to evaluate on.
        trained: the seed that the weights were trained with; None if unknown.
        seed: the seed that chose the test images, if any did.
    """
    if not dataset.seeded_split or trained == seed:
        return []
    other, advice = ("another seed", "N") if trained is None else (f"seed {trained}", trained)
    condition = f"if the weights were trained on this folder with {other}, they have seen some of them"
    return [f"test images chosen with seed {seed}; {condition}: add --set seed={advice}"]


def same_kind_of_device(old: Mapping[str, str], device: torch.device) -> bool:
    """Return whether a checkpoint with the provenance `old` was trained on a device of the same type."""
    return str(old.get("device")).partition(":")[0] == device.type


def precision_differences(old: str | None, new: str) -> list[str]:
    """Describe how the precision in a checkpoint differs from the current one; `old` is None if unknown."""
    if old is None or old == new:
        return []
    return [f"precision {new}, chosen for this device, instead of {old}"]


def schedule_differences(old: Mapping[str, Any], config: TrainConfig) -> list[str]:
    """Describe what changes if a run is resumed with another number of epochs than in its settings `old`.

    That is whatever depends on the progress of the whole run: the learning rate schedule, the lookahead
    average and the epochs on low-resolution images. The moving average depends on the steps done only.
    """
    before, now = old.get("epochs"), config.epochs
    if not isinstance(before, int) or before == now:
        return []
    differences = []
    if config.lr_schedule != "constant" or config.warmup_fraction:
        differences.append(f"learning rate schedule over {now} epochs instead of {before}")
    if config.weight_averaging == "lookahead":
        differences.append(f"lookahead decay schedule over {now} epochs instead of {before}")
    low_res, low_res_now = (low_res_epochs(config.low_res_fraction, epochs) for epochs in (before, now))
    if low_res != low_res_now:
        differences.append(f"{low_res_now} low-resolution epochs instead of {low_res}")
    return differences
