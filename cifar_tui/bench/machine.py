"""The machine that figures hold for: its processor, its GPUs and its Python."""

import os
import platform
import sys
from pathlib import Path
from typing import Any

from cifar_tui.bench.children import ask, run_child, say

_MODULE = "cifar_tui.bench.machine"
_CPU_INFO = Path("/proc/cpuinfo")
_GPU_DRIVERS = ("/proc/driver/nvidia/version", "/dev/nvidiactl", "/dev/dxg", "/dev/kfd")
"""One of these is there where torch may find a GPU of its CUDA kind; the last ones are WSL's and AMD's."""


def machine() -> dict[str, Any]:
    """The machine and the Python that the figures hold for; null is what cannot be known.

    Raises:
        RunFailedError: torch, asked in a process of its own, failed.
    """
    return {
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        "usable_cpus": len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count(),
        **processor(_CPU_INFO),
        **_gpus(),
        "python": platform.python_version(),
    }


def processor(cpu_info: Path) -> dict[str, Any]:
    """The processor's model name and whether it multiplies bf16, as Linux tells in the file `cpu_info`."""
    if not cpu_info.exists():
        return {"processor": platform.processor() or None, "avx512_bf16": None}
    fields: dict[str, str] = {}
    for line in cpu_info.read_text().splitlines():
        name, _, value = line.partition(":")
        fields.setdefault(name.strip(), value.strip())  # of the first core: they are alike
    return {
        "processor": fields.get("model name") or platform.processor() or None,
        "avx512_bf16": "avx512_bf16" in fields.get("flags", "").split(),
    }


def _gpus() -> dict[str, Any]:
    """The GPUs that torch sees and its CUDA version; it is imported elsewhere, and not without a driver."""
    if not any(map(os.path.exists, _GPU_DRIVERS)):
        return {"gpus": [], "cuda": None}
    return ask(_MODULE)


def _say_gpus(_arguments: list[str]) -> None:
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    say(gpus=[torch.cuda.get_device_name(number) for number in range(count)], cuda=torch.version.cuda)


if __name__ == "__main__":
    run_child(_say_gpus)
