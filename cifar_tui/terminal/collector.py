"""Python's collector of cyclic garbage, kept away from what stays."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def gc_frozen() -> Iterator[None]:
    """Let the collector rest in a block that makes what stays, and not look at it again.

    PyTorch is half a million objects. To import it takes a sixth less time without the collector, and to look
    through them afterwards takes 0.3 s in which nothing else runs, again and again.
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
    """Let go of what was `gc_frozen` and is not needed any more, such as the net of a run that is over.

    It takes as long as the look at everything that `gc_frozen` saves: 0.3 s, or none if there is nothing.
    """
    if gc.get_freeze_count():
        gc.unfreeze()
        gc.collect()
