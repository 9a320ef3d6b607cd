"""Jobs of torchrun's, and the processes in them."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from cifar_tui.runs.disk.event_log import read_events

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--nnodes=1"]
OUTPUT = "torchrun.log"
ROOT = Path(__file__).resolve().parents[1]


def environment():
    """That of these tests, with this checkout first, where torchrun looks for the program."""
    return os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def start_job(size, *arguments, cwd, restarts=0, **options):
    """Start torchrun with `size` processes of `cifar-tui train --headless`, which print to a file."""
    command = [*TORCHRUN, f"--nproc-per-node={size}", f"--max-restarts={restarts}", "-m", "cifar_tui"]
    with (cwd / OUTPUT).open("ab") as output:
        return subprocess.Popen(
            [*command, "train", "--headless", *map(str, arguments)],
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment(),
            start_new_session=True,
            **options,
        )


def ranks_of(parent):
    """The processes of the job that torchrun in process `parent` has started: their ids by rank."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            own = (folder / "stat").read_text().rpartition(")")[2].split()
            variables = dict(
                entry.partition("=")[::2] for entry in (folder / "environ").read_text().split("\0") if entry
            )
        except OSError:  # it has ended
            continue
        if int(own[1]) == parent and own[0] != "Z" and "TORCHELASTIC_RUN_ID" in variables:
            found[int(variables["RANK"])] = int(folder.name)
    return found


def job_of(parent):
    """Process `parent` and all that it has started, those of a job."""
    children = {}
    for file in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended
            own = int(file.parent.name)
            children.setdefault(parent_of(own), []).append(own)
    processes = [parent]
    for process in processes:
        processes += children.get(process, ())
    return processes


def kill_job(parent):
    """Kill process `parent` and all that it has started, if they live; the processes of a job outlive it."""
    for process in job_of(parent):
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


def is_running(process):
    """Whether `process` has not ended, whether or not anybody has collected it."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def parent_of(process):
    """The process that has started `process`."""
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])


def kill_rank(parent, rank):
    """Kill a process of the job with SIGKILL."""
    os.kill(ranks_of(parent)[rank], signal.SIGKILL)


def the_run(checkpoints):
    """The folder of the only run; None before it has one."""
    runs = [folder for folder in checkpoints.glob("2*") if (folder / "events.jsonl").exists()]
    assert len(runs) < 2, "a restart goes on with the same run"
    return runs[0] if runs else None


def events_in(checkpoints, kind):
    """The events of a kind in the log of the only run."""
    run = the_run(checkpoints)
    return [] if run is None else [event for event in read_events(run) if isinstance(event, kind)]
