"""The device, its threads and the random numbers of a run."""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch

from cifar_tui.engine.errors import ConfigError

_TINY_BATCH = 64


def select_device(name: str) -> torch.device:
    """The device called `name`; "auto" takes a GPU where there is one.

    Raises:
        ConfigError: this machine, or this build of torch, does not have the device.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda", 0)
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    device = torch.device(name)
    if device.type == "cuda":
        count = torch.cuda.device_count()
        if (device.index or 0) >= count:
            found = f"{count} CUDA device{'s'[: count != 1]}"
            raise ConfigError(f"device {name!r} is not there: torch sees {found}; try auto", field="device")
        return torch.device("cuda", device.index or 0)
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise ConfigError("device 'mps' is not there: torch sees no Apple GPU; try auto", field="device")
    return device


def current_device(device: torch.device) -> AbstractContextManager[object]:
    """Makes `device` the calling thread's own inside: CUDA's streams and graphs belong to that GPU."""
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()


def describe_device(device: torch.device) -> str:
    """The device for the user to read, such as "cuda:0 NVIDIA H100" or "cpu"."""
    if device.type == "cuda":
        return f"{device} {torch.cuda.get_device_name(device)}"
    return str(device)


def training_threads(device: torch.device, batch_size: int) -> int:
    """How many intra-op threads the training thread should use.

    A tiny batch on the CPU wants one: handing its small pieces to other threads costs more than it saves, and
    on a busy machine every step then waits for the slowest of them.
    """
    if device.type == "cpu" and batch_size <= _TINY_BATCH:
        return 1
    return available_threads()


def available_threads() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def intra_op_threads(count: int) -> Iterator[None]:
    """Run a block with `count` intra-op threads; they belong to the calling thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def fastest_convolutions(device: torch.device) -> Iterator[None]:
    """Run a block in which a GPU tries every algorithm for each new shape of a convolution, once.

    The choice is of all threads. Source: https://docs.pytorch.org/docs/stable/backends.html#torch-backends-cudnn
    """
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = before or device.type == "cuda"
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before
