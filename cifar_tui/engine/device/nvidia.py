"""Find a GPU that PyTorch can use, or what keeps it from using one and the way out."""

import os
import re
import warnings
from pathlib import Path

import torch

from cifar_tui.engine.device.memory import is_out_of_memory

_DRIVER = Path("/proc/driver/nvidia/version")
_OLDEST_DRIVERS = {"11": 450, "12": 525, "13": 580}
"""By the major version of CUDA: https://docs.nvidia.com/deploy/cuda-compatibility/"""
_VISIBLE = "CUDA_VISIBLE_DEVICES"
_BUILDS = "https://pytorch.org/get-started/locally"


class GpuUnavailableError(Exception):
    """PyTorch cannot use a GPU; the message is the reason.

    Attributes:
        way_out: what to do, other than to choose another device; "" if that is all.
    """

    def __init__(self, reason: str, way_out: str = "") -> None:
        super().__init__(reason)
        self.way_out = way_out


def usable_gpu(wanted: int | None = None) -> torch.device:
    """The CUDA device of the index `wanted`, by default the first one that this PyTorch has kernels for.

    Raises:
        GpuUnavailableError: it cannot be used, or there is none.
        RuntimeError: there is not even the memory to look at it.
    """
    with warnings.catch_warnings(action="ignore"):  # they say less, and not where they are read
        if not torch.cuda.is_available():
            raise _why_none_is_available()
        count = torch.cuda.device_count()
        if wanted is not None and wanted >= count:
            raise GpuUnavailableError(_found(count), f"set it to cuda:{count - 1}")
        obstacles = []
        for index in range(count) if wanted is None else [wanted]:
            obstacle = _obstacle_of(index)
            if obstacle is None:
                return torch.device("cuda", index)
            obstacles.append(obstacle)
    raise obstacles[0]


def unused_gpu() -> str | None:
    """Why PyTorch cannot use the GPU of this machine, and what to do; None if it can or there is none."""
    try:
        usable_gpu()
    except GpuUnavailableError as error:
        if _driver_version() is not None or torch.cuda.device_count():
            return "; ".join(filter(None, (str(error), error.way_out)))
    return None


def _why_none_is_available() -> GpuUnavailableError:
    driver, cuda = _driver_version(), torch.version.cuda
    count = torch.cuda.device_count()  # asks the driver only: it may count GPUs that PyTorch cannot use
    if driver is None and not count:
        return GpuUnavailableError(_found(0))
    if cuda is None:
        reason = f"this PyTorch, {torch.__version__}, is built without CUDA"
        return GpuUnavailableError(reason, f"install one with CUDA from {_BUILDS}")
    oldest = _OLDEST_DRIVERS.get(cuda.partition(".")[0], 0)
    number = (driver or "").partition(".")[0]
    if number.isdecimal() and int(number) < oldest:
        return GpuUnavailableError(
            f"the NVIDIA driver {driver} is too old for this PyTorch: CUDA {cuda} needs {oldest} or newer",
            f"update the driver, install a PyTorch for an older CUDA from {_BUILDS}",
        )
    visible = os.environ.get(_VISIBLE)
    if visible is not None and not count:
        return GpuUnavailableError(f"{_VISIBLE} is {visible!r}, which leaves no GPU", f"unset {_VISIBLE}")
    try:
        torch.zeros(1, device="cuda")
    except (RuntimeError, AssertionError) as error:
        return GpuUnavailableError(f"PyTorch cannot use the GPU: {_first_sentence(error)}")
    return GpuUnavailableError("PyTorch cannot use the GPU")


def _obstacle_of(index: int) -> GpuUnavailableError | None:
    """What keeps PyTorch from using the GPU `index`, one of those it finds; None if nothing."""
    try:
        capability = torch.cuda.get_device_capability(index)
        name = torch.cuda.get_device_name(index)
    except RuntimeError as error:
        if is_out_of_memory(error):
            raise
        return GpuUnavailableError(_first_sentence(error))
    kernels = torch.cuda.get_arch_list()
    if _has_kernels(capability, kernels):
        return None
    major, minor = capability
    return GpuUnavailableError(
        f"this PyTorch has no kernels for the {name}, sm_{major}{minor}, only {', '.join(kernels)}",
        f"install a PyTorch with them from {_BUILDS}",
    )


def _has_kernels(capability: tuple[int, int], kernels: list[str]) -> bool:
    """Whether a GPU runs one of `kernels`: sm_XY in its major version only, compute_XY in any later one."""
    built = [match for name in kernels if (match := re.match(r"(sm|compute)_(\d+)(\d)", name))]
    for match in built:
        major, minor = int(match[2]), int(match[3])
        if (major, minor) <= capability and (match[1] == "compute" or major == capability[0]):
            return True
    return not built  # those for AMD have other names


def _driver_version() -> str | None:
    """The version of the driver that is loaded; None if none is."""
    try:
        text = _DRIVER.read_text()
    except OSError:
        return None
    found = re.search(r"\s(\d{3,}\.\d[\d.]*)\s", text)
    return found[1] if found else "of an unknown version"


def _found(count: int) -> str:
    return f"found {count} CUDA device{'s'[: count != 1]}"


def _first_sentence(error: Exception) -> str:
    """The first sentence of an error of torch, without a full stop."""
    line = (str(error).strip().splitlines() or ["no reason given"])[0]
    return line.partition(". ")[0].rstrip(".")
