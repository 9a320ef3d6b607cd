"""Print lines on stdout, which may be closed or full, and on stderr; text of others does no harm there."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

from cifar_tui.engine.errors import RunFailedError
from cifar_tui.engine.text import escaped
from cifar_tui.terminal.standard_streams import discard_stdout


@contextmanager
def printing_results() -> Iterator[None]:
    """Ignore that the reader of stdout, such as `head`, has closed the pipe.

    Raises:
        RunFailedError: results are lost, as on a full disk.
    """
    try:
        yield
        sys.stdout.flush()
    except OSError as error:
        if reason := discard_stdout(error):
            raise results_lost(reason) from None


def print_result(text: str) -> None:
    """Print `text`, which is ours, on stdout.

    Raises:
        RunFailedError: see `printing_results`.
    """
    with printing_results():
        print(text)


def print_line(text: str, stream: TextIO, *, flush: bool = False) -> None:
    """Print `text` as one line on `stream`, escaped."""
    print(escaped(text), file=stream, flush=flush)


def print_message(text: str) -> None:
    """Print a line for the user on stderr, if anybody reads it."""
    with suppress(OSError):
        print_line(text, sys.stderr, flush=True)


def json_text(value: object, *, indent: int | None = None) -> str:
    """Return `value` as JSON that any parser takes: ASCII, null for numbers that are not finite.

    What is neither a number, text, list or dict becomes its text; half a surrogate pair, as in the name of a
    file that is not UTF-8, becomes U+FFFD.
    """
    from cifar_tui.engine.events import finite_or_none  # the help needs none of it

    text = json.dumps(finite_or_none(value), ensure_ascii=False, default=str)
    clean = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return json.dumps(json.loads(clean), indent=indent, allow_nan=False)


def results_lost(reason: str) -> RunFailedError:
    """Return the error about results that could not be written to stdout for `reason`."""
    return RunFailedError(f"cannot write the results to stdout ({reason}): redirect it elsewhere")
