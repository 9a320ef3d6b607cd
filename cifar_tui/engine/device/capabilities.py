"""Check that the device supports the settings, before anything is loaded."""

import os
import shutil
import sysconfig
from pathlib import Path

import torch

from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.errors import ConfigError

_CACHE_VARIABLE = "TORCHINDUCTOR_CACHE_DIR"
_COMPILERS = {"C": ("CC", ("gcc", "clang")), "C++": ("CXX", ("g++", "clang++", "c++"))}
"""By language: the environment variable that names the compiler, and those looked for without it."""


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
    if config.sync_batchnorm and device.type != "cuda":
        raise ConfigError(
            f"sync_batchnorm 'yes' needs CUDA GPUs, and the device is {device.type}: PyTorch has it "
            "for these only; set sync_batchnorm to no",
            field="sync_batchnorm",
        )
    if config.compile == "yes" and device.type == "mps":
        raise ConfigError("compile 'yes' is not supported on mps; set compile to 'no'", field="compile")
    if config.compile == "yes" and (missing := missing_for_compiling(device)):
        raise ConfigError(f"compile 'yes' needs {missing}, or set compile to 'no'", field="compile")


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
        return device.type == "cuda" and missing_for_compiling(device) is None
    return config.compile == "yes"


def has_native_bf16(device: torch.device) -> bool:
    """Return whether a GPU computes in bf16 without emulation."""
    if device.type != "cuda":
        return False
    with torch.cuda.device(device):
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))


def missing_for_compiling(device: torch.device) -> str | None:
    """What torch.compile needs on `device` and is not there, with what to install; None if nothing.

    On a GPU Triton builds its launchers in C, against Python's headers; on a CPU Inductor builds C++.
    """
    language = "C" if device.type == "cuda" else "C++"
    variable, names = _COMPILERS[language]
    own = os.environ.get(variable)
    if not any(shutil.which(name) for name in ((own,) if own else names)):
        found = f"'{own}', set in {variable}, was not found" if own else "none was found"
        return f"a {language} compiler, and {found}; install {names[0]}"
    headers = Path(sysconfig.get_path("include", _headers_scheme()))
    if language == "C" and not (headers / "Python.h").exists():
        return f"Python's headers, and '{headers}' has no Python.h; install python3-dev"
    return None


def _headers_scheme() -> str:
    """The scheme whose headers Triton uses: Debian's own is for what is installed beside the system's."""
    scheme = sysconfig.get_default_scheme()
    return "posix_prefix" if scheme == "posix_local" else scheme
