"""Select the device and its threads."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress

import torch

from cifar_tui.engine.device.cores import available_threads
from cifar_tui.engine.device.nvidia import GpuUnavailableError, usable_gpu
from cifar_tui.engine.errors import ConfigError

_SMALL_BATCH = 64


def select_device(name: str) -> torch.device:
    """Return the device called `name`; "auto" takes the first GPU that can be used, if there is one.

    Raises:
        ConfigError: the device is not available on this machine or in this build of PyTorch.
    """
    if name == "auto":
        with suppress(GpuUnavailableError):
            return usable_gpu()
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    kind, _, index = name.partition(":")
    if kind == "cuda":
        try:
            return usable_gpu(int(index or 0))
        except GpuUnavailableError as error:
            ways_out = ", or ".join(filter(None, (error.way_out, "set device to auto")))
            raise ConfigError(
                f"device {name!r} is not available ({error}); {ways_out}", field="device"
            ) from None
    if kind == "mps" and not torch.backends.mps.is_available():
        raise ConfigError(
            "device 'mps' is not available (found no Apple GPU); set device to auto", field="device"
        )
    return torch.device(name)


def current_device(device: torch.device) -> AbstractContextManager[object]:
    """Make `device` the current CUDA device, to which new streams and graphs belong, in this thread."""
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()


def describe_device(device: torch.device) -> str:
    """Return the device as shown to the user, such as "cuda:0 NVIDIA H100" or "cpu"."""
    if device.type == "cuda":
        return f"{device} {torch.cuda.get_device_name(device)}"
    return str(device)


def training_threads(device: torch.device, batch_size: int, *, processes: int = 1) -> int:
    """Return the number of intra-op threads to train with, of each of so many processes on this machine.

    One for a small batch on the CPU: splitting it costs more than it saves, and on a busy machine every step
    waits for the slowest thread.
    """
    if device.type == "cpu" and batch_size <= _SMALL_BATCH:
        return 1
    return max(1, available_threads() // processes)


@contextmanager
def intra_op_threads(count: int) -> Iterator[None]:
    """Use `count` intra-op threads; the pool belongs to the calling thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def fastest_convolutions(device: torch.device) -> Iterator[None]:
    """Let cuDNN benchmark its algorithms for each new convolution shape, in all threads.

    Source: https://docs.pytorch.org/docs/stable/backends.html#torch-backends-cudnn
    """
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = before or device.type == "cuda"
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before
