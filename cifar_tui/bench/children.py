"""Fresh processes that measure: each is a module of this package, and says what it found as lines of JSON."""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from cifar_tui.engine.errors import (
    CancelledError,
    ConfigError,
    DataUnavailableError,
    RunFailedError,
    UserError,
)
from cifar_tui.terminal.native_output import STDOUT, redirect_to_devnull

TRAINS_SECONDS = 900.0
"""How long a child that loads images, compiles or trains may take to answer, on a slow machine, too."""

_BLOCK = 65_536
_LEAVE_SECONDS = 20.0


class Child:
    """A process of `child`, which answers in lines of JSON.

    Attributes:
        group: its process id, and the id of its process group.
    """

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.group = process.pid
        self._process = process
        self._said = b""

    def answer(self, seconds: float) -> dict[str, Any]:
        """What it says next.

        Raises:
            UserError: what was asked of it cannot be done, in its own sentence.
            RunFailedError: it died, or said nothing for `seconds`.
        """
        give_up = time.monotonic() + seconds
        while b"\n" not in self._said:
            data = self._read(give_up)
            if data is None:
                raise RunFailedError(
                    f"a process that measures said nothing for {seconds:,.0f} s: is the machine too busy?"
                )
            if not data:
                raise RunFailedError("a process that was to measure died; what it said is above")
            self._said += data
        line, _, self._said = self._said.partition(b"\n")
        values: dict[str, Any] = json.loads(line)
        if "error" in values:
            raise user_error(values["error"], values["exit_code"])
        return values

    def terminate(self) -> None:
        """Ask it to come to its end and to say what it found."""
        self._process.terminate()

    def _read(self, give_up: float) -> bytes | None:
        """What it writes next; nothing where it is over, and None where nothing came until `give_up`."""
        stdout = self._process.stdout
        if stdout is None:
            raise AssertionError("a child is started with a pipe")
        if not select.select([stdout], [], [], max(0.0, give_up - time.monotonic()))[0]:
            return None
        return os.read(stdout.fileno(), _BLOCK)


@contextlib.contextmanager
def child(module: str, *arguments: str) -> Iterator[Child]:
    """A fresh process that runs `module` in a group of its own, which is ended with the context."""
    command = [sys.executable, "-m", module, *arguments]
    with (
        subprocess.Popen(  # noqa: S603 - this program itself
            command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, process_group=0
        ) as process,
        ended_at_last(process),
    ):
        yield Child(process)


@contextlib.contextmanager
def ended_at_last(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """End `process`, which leads a group of its own, with the context: also where the group is halted."""
    try:
        yield
    finally:
        if process.stdout is not None:
            process.stdout.close()  # or it might wait for somebody to read
        process.terminate()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGCONT)
        try:
            process.wait(_LEAVE_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)


def ask(module: str, *arguments: str, seconds: float = TRAINS_SECONDS) -> dict[str, Any]:
    """What a fresh process that runs `module` has to say within `seconds`.

    Raises:
        UserError: what was asked of it cannot be done.
        RunFailedError: it died, or said nothing.
    """
    with child(module, *arguments) as process:
        return process.answer(seconds)


def user_error(sentence: str, exit_code: int) -> UserError:
    """What another process of this program said and ended with, as an error of this one."""
    kinds: tuple[type[UserError], ...] = (ConfigError, DataUnavailableError)
    return next((kind for kind in kinds if kind.exit_code == exit_code), RunFailedError)(sentence)


def run_child(main: Callable[[list[str]], None]) -> None:
    """Be a child: `main` takes the arguments, and `say`s what it finds.

    What the user can put right is said to the parent. Where the parent is gone, or has told this process to
    end before there was anything to say, it ends without a word.
    """
    try:
        try:
            main(sys.argv[1:])
        except UserError as error:
            say(error=str(error), exit_code=error.exit_code)
            sys.exit(error.exit_code)
    except CancelledError:
        pass
    except BrokenPipeError:
        redirect_to_devnull(STDOUT)


def say(**values: Any) -> None:  # noqa: ANN401 - any JSON value
    """Tell the parent, in a child.

    Raises:
        BrokenPipeError: it is gone, or does not listen any more.
    """
    print(json.dumps(values), flush=True)
