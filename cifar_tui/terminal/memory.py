"""How the C library keeps the memory of tensors on the CPU."""

import ctypes
import os
from contextlib import suppress

_MXFAST, _TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = 1, -1, -4, -8
_NEVER = -1


def keep_freed_memory() -> None:
    """Have this process use freed memory again instead of giving it back to the system, where it has glibc.

    A training step allocates the same large tensors again and again. By default glibc gives most of them back
    when they are freed, and the system fills every page of the next ones with zeros. Now this process keeps
    what it has ever used. To be called before the first thread is started: each would get a heap of its own,
    which holds no large block. Most small blocks are joined to their free neighbours as they are freed: by
    default they wait until a large one is, and then all of them are gone through, which took a twentieth of
    the time of a step of four images.

    Source: mallopt(3).
    """
    with suppress(AttributeError, OSError, ValueError):  # another C library, which knows none of these names
        if (os.confstr("CS_GNU_LIBC_VERSION") or "").startswith("glibc"):
            mallopt = ctypes.CDLL(None).mallopt
            mallopt(_MXFAST, 0)
            mallopt(_ARENA_MAX, 1)
            mallopt(_MMAP_MAX, 0)
            mallopt(_TRIM_THRESHOLD, _NEVER)
