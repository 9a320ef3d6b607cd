"""Say in one sentence what is wrong with a user's code, and in which line."""

import os.path
import threading
import traceback
from collections.abc import Collection
from pathlib import Path

from cifar_tui.engine.device.failure import gpu_failure
from cifar_tui.engine.device.memory import is_out_of_memory
from cifar_tui.engine.errors import CancelledError, UserError, WrongOutputError
from cifar_tui.engine.text import cut

_LONGEST = 240
_PROGRAM = Path(__file__).parents[3]


def shown(origin: str, line: int | None) -> str:
    """Name a line of a file, or only the file: below the working folder without that."""
    try:
        folder = Path.cwd()
    except OSError:  # it was removed
        folder = Path("/")
    path = os.path.relpath(origin, folder) if Path(origin).is_relative_to(folder) else origin
    return f"'{path}'" if line is None else f"'{path}', line {line}"


def is_of_user(error: BaseException) -> bool:
    """Whether `error` may come from a user's code: not from the device, and not already explained."""
    if isinstance(error, UserError | CancelledError) or is_out_of_memory(error) or gpu_failure(error):
        return False
    if isinstance(error, KeyboardInterrupt):  # ctrl+c, or an interrupt that a thread is sent
        return type(error) is KeyboardInterrupt and threading.current_thread() is not threading.main_thread()
    return True


def is_of_program(error: BaseException) -> bool:
    """Whether this program raised `error` itself, not over a net, and neither a user's code nor a library."""
    if isinstance(error, WrongOutputError):
        return False
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return bool(frames) and Path(frames[-1].f_code.co_filename).is_relative_to(_PROGRAM)


def line_of(error: BaseException, origins: Collection[str]) -> tuple[str, int] | None:
    """Return file and line of the innermost frame of `error` in one of `origins`; None without one."""
    if isinstance(error, SyntaxError) and error.filename in origins:
        return str(error.filename), error.lineno or 1
    places = [
        (frame.f_code.co_filename, line)
        for frame, line in traceback.walk_tb(error.__traceback__)
        if frame.f_code.co_filename in origins
    ]
    return places[-1] if places else None


def described(error: BaseException) -> str:
    """Return the kind of `error` and the first line of what it says."""
    if isinstance(error, SystemExit):
        return "it ends the program (sys.exit)"
    if isinstance(error, WrongOutputError):
        return str(error)
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    first = next((line.strip() for line in text.splitlines() if line.strip()), "")
    kind = type(error).__name__
    return cut(f"{kind}: {first}" if first else kind, _LONGEST)


def advice_on(error: BaseException) -> str:
    """What to do about `error`."""
    if isinstance(error, ModuleNotFoundError):
        return "install it where cifar-tui is installed, or put it beside the file"
    return "correct it"
