"""Running out of memory: recognize it, explain it, release what is unused. Imports no torch by itself."""

import gc
import os
import re
import resource
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from cifar_tui.engine.errors import CancelledError, RunFailedError, UserError

if TYPE_CHECKING:
    import torch

FREE_MEMORY = "end other programs that use it, or choose another device"
"""What to do where no setting lowers what is needed."""

_SIGNS = re.compile(
    r"out of memory"  # torch.OutOfMemoryError, torch.AcceleratorError
    r"|CU(BLAS|DNN)_STATUS_ALLOC_FAILED"
    r"|can't allocate memory|Cannot allocate memory"  # torch on a CPU; the system
    r"|std::bad_alloc"
    r"|could not create a primitive(?! descriptor)"  # oneDNN
    r"|failed to map segment from shared object(?!: (Operation not|Permission))"  # a library
)
_GIB = 2**30
_ADVICE = "advice: "


def is_out_of_memory(error: BaseException | None) -> bool:
    """Whether `error`, or one that led to it, says that memory ran out."""
    while error is not None:
        if isinstance(error, MemoryError):
            return True
        if isinstance(error, RuntimeError | OSError | ImportError) and _SIGNS.search(str(error)):
            return True
        error = error.__cause__ or error.__context__
    return False


def out_of_memory_error(
    device: "torch.device | str", advice: str, *, free: str | None = None
) -> RunFailedError:
    """The error of a run: on which device memory ran out, how much was free (`free_memory`), and what to do.

    A device of "cpu" is the whole program, and "auto" a GPU that could not even be looked at.
    """
    where = {"cpu": "", "auto": " on the GPU"}.get(str(device), f" on {device}")
    free = free_memory(device) if free is None else free
    return RunFailedError(f"out of memory{where}{free and f' ({free})'}: {advice}")


@contextmanager
def out_of_memory_explained(
    device: "torch.device | str", advice: str, *, rescue: Callable[[Exception], str] = lambda _: ""
) -> Iterator[None]:
    """Turn running out of memory in a block into the error of a run, which ends with `advice`.

    Args:
        device: where the block computes.
        advice: what to lower or to do, unless a `memory_advice` inside says better.
        rescue: saves what can be saved after the error; says so in words that `advice` follows.

    Raises:
        RunFailedError: memory ran out.
    """
    try:
        yield
    except (UserError, CancelledError):
        raise
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        free = free_memory(device)  # before memory is freed for the rescue
        advice = _advice_in(error) or advice
        raise out_of_memory_error(device, rescue(error) + advice, free=free) from error


@contextmanager
def memory_advice(advice: str) -> Iterator[None]:
    """Have running out of memory in a block end with `advice`, and not with that of the blocks around it."""
    try:
        yield
    except Exception as error:
        if is_out_of_memory(error):
            error.add_note(f"{_ADVICE}{advice}")
        raise


def _advice_in(error: Exception) -> str:
    """Return the advice of the innermost `memory_advice` that `error` passed; "" for none."""
    notes = (note for note in getattr(error, "__notes__", []) if note.startswith(_ADVICE))
    return next(notes, "").removeprefix(_ADVICE)


def free_memory(device: "torch.device | str") -> str:
    """How much memory is free, such as "0.4 of 79.2 GiB free"; "" if unknown."""
    if str(device).startswith("cuda"):
        with suppress(RuntimeError, AssertionError):  # no memory for a context, or a build without CUDA
            import torch

            free, total = torch.cuda.mem_get_info(device)
            return f"{free / _GIB:.1f} of {total / _GIB:.1f} GiB free"
    if str(device) == "cpu":
        limit, _ = resource.getrlimit(resource.RLIMIT_AS)
        with suppress(OSError, ValueError):  # other systems have other names
            total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
            if 0 <= limit < total:
                return f"ulimit -v allows {limit / _GIB:.1f} GiB"
            # sysconf's free pages leave out the cache of files, most of a machine's memory
            available = re.search(r"MemAvailable: *(\d+) kB", Path("/proc/meminfo").read_text())
            if available:
                return f"{int(available[1]) * 1024 / _GIB:.1f} of {total / _GIB:.1f} GiB free"
    return ""


def release_gpu_memory() -> None:
    """Give what nothing uses any more back to other programs; a no-op where CUDA was not used."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return
    gc.unfreeze()
    gc.collect()
    with suppress(RuntimeError):  # after an error of the device every call may fail
        torch._C._cuda_clearCublasWorkspaces()  # noqa: SLF001 - as torch itself does; emptying the cache keeps them
        torch.cuda.empty_cache()
