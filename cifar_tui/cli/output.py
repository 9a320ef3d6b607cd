"""Print results on stdout, whose reader may leave."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from cifar_tui.terminal.native_output import STDOUT, redirect_to_devnull


@contextmanager
def printing_results() -> Iterator[None]:
    """Ignore that the reader of stdout, such as `head`, has closed the pipe."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        redirect_to_devnull(STDOUT)
