"""What torchrun tells a process about the job that it belongs to, and learns from it. Imports no torch."""

import json
import os
import platform
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_UNNAMED = "none"
"""What torchrun calls a job that was given no name."""

_ERROR_FILE_VARIABLE = "TORCHELASTIC_ERROR_FILE"

RESTARTS_VARIABLE = "CIFAR_TUI_RESTARTS"
"""How often `train --gpus` has started torchrun again."""

MEETING_CANCELLED = threading.Event()
"""Set on a signal that ends all processes of the job: this one no longer waits for the others to come."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Launch:
    """The place of this process in a job.

    Attributes:
        rank: of the process, from 0; the first owns the run.
        size: number of processes.
        local_rank: of the process on its host, from 0.
        local_size: number of processes on its host.
        job: the name of the job, the same after a restart.
        restarts: how often all processes have been started again.
    """

    rank: int
    size: int
    local_rank: int
    local_size: int
    job: str
    restarts: int


def launched() -> Launch | None:
    """The place that torchrun gave this process; None for a process of its own.

    Source of the variables: https://docs.pytorch.org/docs/stable/elastic/run.html#environment-variables
    """
    if "RANK" not in os.environ or "TORCHELASTIC_RUN_ID" not in os.environ:
        return None
    job = os.environ["TORCHELASTIC_RUN_ID"]
    if job == _UNNAMED:  # torchrun starts its processes itself, after a restart too
        job = f"{platform.node()}-{os.getppid()}"
    return Launch(
        rank=int(os.environ["RANK"]),
        size=int(os.environ["WORLD_SIZE"]),
        local_rank=int(os.environ["LOCAL_RANK"]),
        local_size=int(os.environ["LOCAL_WORLD_SIZE"]),
        job=job,
        restarts=int(os.environ["TORCHELASTIC_RESTART_COUNT"]) + int(os.environ.get(RESTARTS_VARIABLE, 0)),
    )


def report_failure(sentence: str) -> None:
    """Have torchrun print `sentence` as the reason why this process failed; a no-op outside a job.

    Source of the format: `ErrorHandler.record_exception` in torch.distributed.elastic.multiprocessing.errors;
    what it takes for a traceback is printed as it is.
    """
    file = os.environ.get(_ERROR_FILE_VARIABLE)
    if launched() is None or not file:
        return
    told = {"message": sentence, "extraInfo": {"py_callstack": sentence, "timestamp": str(int(time.time()))}}
    with suppress(OSError):  # it has been printed
        Path(file).write_text(json.dumps({"message": told}))
