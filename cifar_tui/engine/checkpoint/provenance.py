"""What the result of a run depends on besides its settings: the images, the versions, the device."""

import platform
import zlib
from collections.abc import Mapping
from typing import Any

import torch

from cifar_tui import __version__
from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.data.dataset import Dataset
from cifar_tui.engine.training.batches import low_res_epochs

_DIFFERENCES = {
    "images": "the training images differ",
    "classes": "the classes differ",
    "version": "cifar-tui {new} instead of {old}",
    "torch": "PyTorch {new} instead of {old}",
    "device": "device {new} instead of {old}",
    "processor": "CPU {new} instead of {old}",
    "backend": "backend {new} instead of {old}",
    "threads": "{new} threads instead of {old}",
}


def describe_provenance(dataset: Dataset, device: str, threads: int, backend: str) -> dict[str, str]:
    """Return the provenance to store in a checkpoint.

    Args:
        dataset: the images; a CRC-32 identifies those for training.
        device: as shown to the user.
        threads: number of intra-op threads, on which the order of sums depends.
        backend: what runs the steps.
    """
    checksum = zlib.crc32(dataset.train.targets.numpy().data)
    checksum = zlib.crc32(dataset.train.images.numpy().data, checksum)
    return {
        "images": f"{len(dataset.train)} {checksum:08x}",
        "classes": " ".join(dataset.class_names),
        "version": __version__,
        "torch": str(torch.__version__),
        "device": device,
        "processor": f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}",
        "backend": backend,
        "threads": str(threads),
    }


def provenance_differences(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    """Describe how the provenance in a checkpoint differs from the current one."""
    return [
        difference.format(old=old.get(name, "unknown"), new=new[name])
        for name, difference in _DIFFERENCES.items()
        if old.get(name) != new[name]
    ]


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
