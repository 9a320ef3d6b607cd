"""The file in a run's folder that names the job of torchrun that trains it."""

from pathlib import Path

from cifar_tui.engine.atomic import write_text_atomically
from cifar_tui.engine.disk.regular import read_regular
from cifar_tui.engine.distributed.launch import Launch
from cifar_tui.engine.layout import JOB_FILE
from cifar_tui.runs.disk.store import run_folders

_MOST_BYTES = 1024


def read_job(folder: Path) -> str:
    """Return the name of the job that trains the run in `folder`; "" if one process trains it."""
    try:
        return read_regular(folder / JOB_FILE, limit=_MOST_BYTES).decode().strip()
    except (OSError, ValueError):
        return ""


def write_job(folder: Path, launch: Launch | None) -> None:
    """Note in `folder` the job that this process belongs to, if torchrun has started it.

    Raises:
        OSError: it cannot be written.
    """
    if launch is not None:
        write_text_atomically(folder / JOB_FILE, f"{launch.job}\n")
    else:
        (folder / JOB_FILE).unlink(missing_ok=True)


def run_of_job(checkpoints: Path, job: str) -> Path | None:
    """Return the folder of the latest run in `checkpoints` that `job` trains; None if there is none yet.

    Raises:
        ConfigError: `checkpoints` cannot be read.
    """
    return next((run for run in reversed(run_folders(checkpoints)) if read_job(run) == job), None)
