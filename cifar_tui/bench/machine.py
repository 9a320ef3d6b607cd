"""Describe the machine that the figures hold for: its processor, its GPUs and its Python."""

import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

from cifar_tui.engine.device.cores import available_threads

_CPU_INFO = Path("/proc/cpuinfo")
_GPU_DRIVERS = ("/proc/driver/nvidia/version", "/dev/nvidiactl", "/dev/dxg", "/dev/kfd")
"""One of these exists where torch may find a GPU; the last two are those of WSL and AMD."""

_LIST_GPUS = """
import json, torch
count = torch.cuda.device_count() if torch.cuda.is_available() else 0
names = [torch.cuda.get_device_name(number) for number in range(count)]
print(json.dumps({"gpus": names, "cuda": torch.version.cuda}))
"""


def describe_machine() -> dict[str, Any]:
    """Return the platform, CPUs, processor, GPUs, CUDA and Python version; None for what is unknown."""
    return {
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "usable_cpus": available_threads(),
        **describe_processor(_CPU_INFO),
        **_describe_gpus(),
        "python": platform.python_version(),
    }


def describe_processor(cpu_info: Path) -> dict[str, Any]:
    """Return the processor's name and whether it has AVX512-BF16, from Linux's `cpu_info` file."""
    if not cpu_info.exists():
        return {"processor": platform.processor() or None, "avx512_bf16": None}
    fields: dict[str, str] = {}
    for line in cpu_info.read_text().splitlines():
        name, _, value = line.partition(":")
        fields.setdefault(name.strip(), value.strip())  # all cores are alike: the first one will do
    return {
        "processor": fields.get("model name") or platform.processor() or None,
        "avx512_bf16": "avx512_bf16" in fields.get("flags", "").split(),
    }


def _describe_gpus() -> dict[str, Any]:
    """List the GPUs in a separate process: CUDA would keep memory of each in this one."""
    if not any(map(os.path.exists, _GPU_DRIVERS)):
        return {"gpus": [], "cuda": None}
    command = [sys.executable, "-c", _LIST_GPUS]
    result = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - a constant, in this interpreter
    if result.returncode:
        return {"gpus": None, "cuda": None}
    return dict(json.loads(result.stdout))
