"""Fresh processes that measure: each is a module of this package, and says what it found as lines of JSON."""

import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from cifar_tui.engine.errors import RunFailedError


@contextlib.contextmanager
def child(module: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A fresh process that runs `module` in a group of its own, which is ended with the context."""
    command = [sys.executable, "-m", module, *arguments]
    with subprocess.Popen(  # noqa: S603 - this program itself
        command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, process_group=0
    ) as process:
        try:
            yield process
        finally:
            process.terminate()
            process.send_signal(signal.SIGCONT)  # where it was halted


def answer(process: subprocess.Popen[str]) -> dict[str, Any]:
    """What a child says next.

    Raises:
        RunFailedError: it died.
    """
    line = process.stdout.readline() if process.stdout is not None else ""
    if not line:
        raise RunFailedError("a process that was to measure died; what it said is above")
    values: dict[str, Any] = json.loads(line)
    return values


def ask(module: str, *arguments: str) -> dict[str, Any]:
    """What a fresh process that runs `module` has to say.

    Raises:
        RunFailedError: it died.
    """
    with child(module, *arguments) as process:
        return answer(process)


def say(**values: Any) -> None:  # noqa: ANN401 - any JSON value
    """Tell the parent, in a child."""
    print(json.dumps(values), flush=True)
