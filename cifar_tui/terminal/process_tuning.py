"""Tune memory, the garbage collector and thread switching for a process that trains."""

import ctypes
import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_MXFAST, _TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = 1, -1, -4, -8
"""Parameters of mallopt(3)."""

_SWITCH_SECONDS = 0.0005
"""With Python's default of 5 ms training loses a tenth of its steps while the screen draws."""

_GC_THRESHOLDS = 4000, 20, 20
"""Python's default is 700, 10, 10.

Every redrawn line leaves cyclic garbage. With the default thresholds it survives the young generations and
waits for full collections, which stall keys and training for 0.1 s and more.
"""


def keep_freed_memory() -> None:
    """Make glibc reuse freed memory instead of returning it to the system; a no-op with another C library.

    Call it before the first thread starts: one arena then serves all threads. Every training step allocates
    the same large tensors; by default glibc unmaps them and the kernel zeroes each page again. Fast bins are
    off because consolidating them took a twentieth of a step of four images. Source: mallopt(3).
    """
    with suppress(AttributeError, OSError, ValueError):  # another C library lacks these names
        if (os.confstr("CS_GNU_LIBC_VERSION") or "").startswith("glibc"):
            mallopt = ctypes.CDLL(None).mallopt
            mallopt(_MXFAST, 0)
            mallopt(_ARENA_MAX, 1)
            mallopt(_MMAP_MAX, 0)
            mallopt(_TRIM_THRESHOLD, -1)  # never


def tune_interpreter() -> None:
    """Let screen and training alternate more often, and collect garbage less often."""
    sys.setswitchinterval(_SWITCH_SECONDS)
    gc.set_threshold(*_GC_THRESHOLDS)


@contextmanager
def gc_frozen() -> Iterator[None]:
    """Disable the garbage collector in the block, then exclude everything allocated so far from collection.

    PyTorch allocates half a million objects: importing it is a sixth faster without the collector, and every
    later full collection saves 0.3 s.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if enabled:
            gc.enable()


def collect_everything() -> None:
    """Collect garbage that `gc_frozen` excluded, such as the model of an earlier run; takes up to 0.3 s."""
    if gc.get_freeze_count():
        gc.unfreeze()
        gc.collect()
