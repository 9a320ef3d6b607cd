"""Whether a device can do what the settings ask for, before anything is loaded for it."""

import os
import shutil
from pathlib import Path

import torch

from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.errors import ConfigError

_CACHE_FOLDER = "TORCHINDUCTOR_CACHE_DIR"
_COMPILERS = ("g++", "clang++", "c++")


def check_device(config: TrainConfig, device: torch.device) -> None:
    """Refuse settings that `device` cannot compute with.

    Raises:
        ConfigError: the message names the setting, the reason and what to set instead.
    """
    if config.precision in {"tf32", "fp16"} and device.type != "cuda":
        raise ConfigError(
            f"precision {config.precision} needs a CUDA GPU and this runs on {device.type}: try auto",
            field="precision",
        )
    if config.precision == "bf16" and not _may_compute_in_bf16(device):
        raise ConfigError(f"precision bf16 is not computed by {device}: try auto", field="precision")
    if config.compile == "yes" and device.type == "mps":
        raise ConfigError("compile yes is not for mps: set compile=no", field="compile")
    if config.compile == "yes" and not _has_compiler():
        raise ConfigError(
            "compile yes needs a C++ compiler and none is here: install g++ or set compile=no",
            field="compile",
        )


def check_compiler_cache() -> None:
    """Make the folder that PyTorch's optimizers need, compiled or not, where the environment names another.

    Raises:
        ConfigError: it cannot be made.
    """
    folder = os.environ.get(_CACHE_FOLDER)
    if not folder:
        return
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"{_CACHE_FOLDER} names {folder}, which cannot be made ({error.strerror}): "
            "set it to another folder or to none"
        ) from None


def compiles(config: TrainConfig, device: torch.device) -> bool:
    """Whether the net is compiled; by itself only on a GPU, for on a CPU it does not help low precision."""
    if config.compile == "auto":
        return device.type == "cuda" and _has_compiler()
    return config.compile == "yes"


def native_bf16(device: torch.device) -> bool:
    """Whether a CUDA GPU computes in bf16 by itself."""
    with torch.cuda.device(device):
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))


def _may_compute_in_bf16(device: torch.device) -> bool:
    """On a CPU a probe tells whether it pays, and else the training falls back to fp32."""
    return device.type == "cpu" or (device.type == "cuda" and native_bf16(device))


def _has_compiler() -> bool:
    own = os.environ.get("CXX")
    return any(shutil.which(name) for name in ((own,) if own else _COMPILERS))
