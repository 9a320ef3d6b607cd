"""Check that the device supports the settings, before anything is loaded."""

import os
import shutil
from pathlib import Path

import torch

from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.errors import ConfigError

_CACHE_VARIABLE = "TORCHINDUCTOR_CACHE_DIR"
_COMPILERS = ("g++", "clang++", "c++")


def check_device(config: TrainConfig, device: torch.device) -> None:
    """Reject settings that `device` does not support.

    Raises:
        ConfigError: the message names the setting, the reason and a valid value.
    """
    precision = config.precision
    if precision in {"tf32", "fp16"} and device.type != "cuda":
        raise ConfigError(
            f"precision '{precision}' needs a CUDA GPU, and the device is {device.type}; "
            "set precision to auto",
            field="precision",
        )
    # On a CPU, select_precision falls back to fp32 if bf16 is slower.
    if precision == "bf16" and device.type != "cpu" and not has_native_bf16(device):
        raise ConfigError(
            f"precision 'bf16' is not supported by {device}; set precision to auto", field="precision"
        )
    if config.compile == "yes" and device.type == "mps":
        raise ConfigError("compile 'yes' is not supported on mps; set compile to 'no'", field="compile")
    if config.compile == "yes" and not _has_compiler():
        raise ConfigError(
            "compile 'yes' needs a C++ compiler, and none was found; install g++ or set compile to 'no'",
            field="compile",
        )


def check_compiler_cache() -> None:
    """Create the cache folder of TorchInductor if the environment sets one; even eager optimizers need it.

    Raises:
        ConfigError: the folder cannot be created.
    """
    folder = os.environ.get(_CACHE_VARIABLE)
    if not folder:
        return
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"cannot create '{folder}' ({error.strerror}), the folder set in {_CACHE_VARIABLE}; "
            "set it to another folder or unset it"
        ) from None


def compiles(config: TrainConfig, device: torch.device) -> bool:
    """Return whether to compile the model; "auto" does on CUDA only: on a CPU it does not help bf16."""
    if config.compile == "auto":
        return device.type == "cuda" and _has_compiler()
    return config.compile == "yes"


def has_native_bf16(device: torch.device) -> bool:
    """Return whether a GPU computes in bf16 without emulation."""
    if device.type != "cuda":
        return False
    with torch.cuda.device(device):
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))


def _has_compiler() -> bool:
    own = os.environ.get("CXX")
    return any(shutil.which(name) for name in ((own,) if own else _COMPILERS))
