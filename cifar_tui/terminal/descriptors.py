"""Where the standard descriptors of the process lead to."""

import os

STDOUT, STDERR = 1, 2


def redirect_to_devnull(descriptor: int) -> None:
    """Have what is written to `descriptor` go nowhere, once nobody reads it.

    After a broken pipe the interpreter may write nothing at its end.
    """
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, descriptor)
    os.close(null)
