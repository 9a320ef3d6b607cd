"""An error of the dashboard itself: a traceback into a log, one sentence for the user."""

import os
import traceback
from datetime import datetime
from pathlib import Path

from platformdirs import user_state_path

from cifar_tui.engine.disk.regular import open_regular
from cifar_tui.engine.layout import LOG_FILE
from cifar_tui.engine.text import cut

_LONGEST = 200


def failure_message(error: BaseException, folder: Path | None) -> str:
    """Write the traceback of `error` to a log and return one sentence that says where.

    Args:
        error: what the dashboard failed with.
        folder: the folder of the run of this process, whose log is written to; None without one.
    """
    what = cut(" ".join(str(error).split()), _LONGEST)
    summary = (
        f"cifar-tui: internal error in the dashboard ({type(error).__name__}{': ' if what else ''}{what})"
    )
    own = folder / LOG_FILE if folder is not None else None
    for path in filter(None, (own, user_state_path("cifar-tui") / "errors.log")):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = open_regular(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
            with os.fdopen(descriptor, "a", encoding="utf-8", errors="replace") as file:
                file.write(f"{datetime.now().astimezone():%Y-%m-%d %H:%M:%S} {summary}\n")
                file.writelines(traceback.format_exception(error))
        except OSError:
            continue
        return f"{summary}; details in '{path}'"
    return summary
