"""What the outcome of a run depends on besides its settings: the images, the versions, the device."""

import platform
import zlib
from typing import Any

import torch

from cifar_tui import __version__
from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.data.dataset import Dataset
from cifar_tui.engine.training.batches import low_res_epochs

_NAMES = {
    "images": "the training images are not the same",
    "classes": "the classes are not the same",
    "version": "this is version {new} of cifar-tui and the checkpoint is of {old}",
    "torch": "this is PyTorch {new} and the checkpoint is of {old}",
    "device": "it runs on {new} and ran on {old}",
    "processor": "this processor is {new} and it was {old}",
    "backend": "its steps are made by {new} and were made by {old}",
    "threads": "it computes with {new} threads and did so with {old}",
}


def describe_provenance(dataset: Dataset, device: str, threads: int, backend: str) -> dict[str, str]:
    """What a checkpoint remembers of where it came from.

    `device` is as the user sees it; `threads` compute on the CPU, and sums depend on their number; `backend`
    runs the steps.
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


def provenance_differences(old: Any, new: dict[str, str]) -> list[str]:  # noqa: ANN401 - comes from a file
    """What differs between the origin in a checkpoint and this one, as sentences."""
    if not isinstance(old, dict):
        return ["the checkpoint does not say what it was trained on"]
    return [
        sentence.format(old=old.get(name, "unknown"), new=new[name])
        for name, sentence in _NAMES.items()
        if old.get(name) != new[name]
    ]


def same_kind_of_device(old: Any, device: torch.device) -> bool:  # noqa: ANN401 - comes from a file
    """Whether a checkpoint with the origin `old` was trained on a device of the type of `device`."""
    return isinstance(old, dict) and str(old.get("device")).partition(":")[0] == device.type


def precision_differences(old: str | None, new: str) -> list[str]:
    """What differs between the precision in a checkpoint and the one that steps are now made in.

    `old` is None where it does not say.
    """
    if old is None or old == new:
        return []
    return [f"it computes in {new}, chosen for this device, and computed in {old}"]


def schedule_differences(old: Any, config: TrainConfig) -> list[str]:  # noqa: ANN401 - comes from a file
    """What more or fewer epochs than a checkpoint's settings had make of what goes by them, as sentences.

    That is the learning rate with a schedule or a warm-up, the weight of lookahead's average, and which
    epochs are on small images; a moving average goes by the steps done, whatever their total.
    """
    before = old.get("epochs") if isinstance(old, dict) else None
    if not isinstance(before, int) or before == config.epochs:
        return []
    now = config.epochs
    differences = []
    if config.lr_schedule != "constant" or config.warmup_fraction:
        differences.append(f"its learning rate went the way of {before} epochs and goes on that of {now}")
    if config.weight_averaging == "lookahead":
        differences.append(f"its average went the way of {before} epochs and goes on that of {now}")
    small, small_now = (low_res_epochs(config.low_res_fraction, epochs) for epochs in (before, now))
    if small != small_now:
        differences.append(f"its epochs on small images were the first {small} and are the first {small_now}")
    return differences
