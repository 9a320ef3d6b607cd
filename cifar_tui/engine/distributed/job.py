"""What the processes of a run begin with, and the device that each computes on."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.device.nvidia import GpuUnavailableError, usable_gpu
from cifar_tui.engine.device.select import select_device
from cifar_tui.engine.distributed.ranks import Ranks
from cifar_tui.engine.errors import ConfigError


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class JobStart:
    """What the first process tells the others.

    Attributes:
        settings: of the run, by name.
        assume_class_order: see `Session`.
        edited_model: see `Session`.
        resumed: the content of the run's `last.pt` to continue from; None for a new run.
        kept: the folder of the run to continue.
    """

    settings: Mapping[str, Any]
    assume_class_order: bool
    edited_model: bool
    resumed: Mapping[str, Any] | None
    kept: Path | None


def select_rank_device(config: TrainConfig, ranks: Ranks) -> torch.device:
    """Return the device of this process: the GPU of its number on its host, or the CPU.

    Raises:
        ConfigError: it is not available, or the processes have devices of different types.
    """
    if ranks.size == 1:
        return select_device(config.device)
    if config.batch_size < ranks.size:
        raise ranks.reported(
            ConfigError(
                f"batch_size {config.batch_size} leaves nothing for some of {ranks.size} processes; set "
                f"batch_size to {ranks.size} or more, or start fewer",
                field="batch_size",
            )
        )
    with ranks.together():
        device = _own_device(config.device, ranks)
    ranks.check_same(device.type, "device: some processes have a GPU, others none; set device to cpu or cuda")
    return device


def _own_device(name: str, ranks: Ranks) -> torch.device:
    if name not in {"auto", "cpu", "cuda"}:
        raise ConfigError(
            f"device {name!r} is one device, and {ranks.size} processes need one each; set device to cuda "
            "(each takes the next GPU of its host), cpu or auto",
            field="device",
        )
    if name == "auto":
        try:
            usable_gpu(0)
        except GpuUnavailableError:
            name = "cpu"
        else:
            name = "cuda"
    return select_device(f"cuda:{ranks.local_rank}" if name == "cuda" else name)
