"""Python's collector of cyclic garbage, kept away from what stays."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_THRESHOLDS = 4000, 20, 20
"""For the three generations; Python's own are 700, 10, 10."""


def collect_rarely() -> None:
    """Let what a screen draws grow older before the collector looks through it.

    Every line that Textual has drawn is cyclic garbage once it is drawn anew. With Python's own thresholds
    most of it is still on the screen when it is looked at, and is left to collections of everything, which
    take 0.1 s and more: in that time no key is answered and no step is made.
    """
    gc.set_threshold(*_THRESHOLDS)


@contextmanager
def uncollected() -> Iterator[None]:
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
    """Let go of what was `uncollected` and is not needed any more, such as the net of a run that is over.

    It takes as long as the look at everything that `uncollected` saves: 0.3 s, or none if there is nothing.
    """
    if gc.get_freeze_count():
        gc.unfreeze()
        gc.collect()
