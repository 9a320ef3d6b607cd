"""An error that nobody can foresee: its traceback into the log of the run, a summary for the user."""

import os
import traceback
from collections.abc import Callable
from pathlib import Path

from cifar_tui.engine.device.failure import gpu_failure
from cifar_tui.engine.device.memory import is_out_of_memory, out_of_memory_error
from cifar_tui.engine.disk.regular import open_regular
from cifar_tui.engine.events import Alert, CheckpointSaved, Event, Message
from cifar_tui.engine.layout import LOG_FILE


def unforeseen_error(
    error: Exception, *, saved: CheckpointSaved | None, folder: Path | None, emit: Callable[[Event], None]
) -> str:
    """Say how `error` ended a run: no memory, a GPU that failed, or an error in the program itself.

    Args:
        error: no error that the user can fix.
        saved: the last checkpoint; None without one.
        folder: the folder of the run; None before it is created.
        emit: receives the traceback where `folder` does not; see `report_traceback`.
    """
    if is_out_of_memory(error):
        return str(out_of_memory_error("cpu", "end other programs, or use fewer or smaller files"))
    said = gpu_failure(error)
    summary = _gpu_failed(said, saved) if said else internal_error(error)
    return report_traceback(error, summary, folder, emit)


def internal_error(error: Exception) -> str:
    """Say that `error` is one in the program itself, with the first line of what it says."""
    said = next(iter(str(error).splitlines()), "")
    return f"internal error ({type(error).__name__}{said and f': {said}'})"


def _gpu_failed(said: str, saved: CheckpointSaved | None) -> str:
    """Say that the GPU failed, which `said` so, and what is left: the checkpoint `saved` if there is one."""
    left = "no checkpoint was saved" if saved is None else f"the checkpoint at step {saved.step:,} is kept"
    return f"the GPU failed ({said}); {left}. Start cifar-tui again, or choose another device"


def report_traceback(
    error: Exception, summary: str, folder: Path | None, emit: Callable[[Event], None]
) -> str:
    """Write the traceback of `error` to the log file in `folder`, or emit it line by line without one.

    Returns:
        `summary`, and where the details are.
    """
    details = "".join(traceback.format_exception(error))
    if folder is not None:
        path = folder / LOG_FILE
        try:
            descriptor = open_regular(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
            with os.fdopen(descriptor, "a", encoding="utf-8", errors="backslashreplace") as file:
                file.write(details)
        except OSError as unwritable:
            text = f"cannot write '{path}': {unwritable.strerror}"
            emit(Alert(text=f"{text}; free disk space or make the folder writable"))
        else:
            return f"{summary}; details in '{path}'"
    for line in details.splitlines():
        emit(Message(text=line))
    return summary
