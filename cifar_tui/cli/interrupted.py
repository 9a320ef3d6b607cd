"""The run that a command has begun before, to resume it when a batch system starts the job again."""

import os
import socket
import time
from pathlib import Path

from cifar_tui.cli.output import print_message
from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.disk.regular import is_regular
from cifar_tui.engine.distributed.launch import Launch
from cifar_tui.engine.layout import BEST_FILE, LAST_FILE, WEIGHTS_FILE
from cifar_tui.runs.disk.config import read_run_config, with_absolute_folders
from cifar_tui.runs.disk.job import run_of_job
from cifar_tui.runs.disk.run_lock import (
    BEAT_SECONDS,
    STALE_SECONDS,
    check_not_live,
    last_beat,
    note_dead,
    owner_of,
)
from cifar_tui.runs.disk.store import label_of, read_name, run_folders
from cifar_tui.runs.listing import delete_run, list_run

_POLL_SECONDS = 0.2


def interrupted_run(
    checkpoints: Path, config: TrainConfig, *, launch: Launch | None, name: str | None, processes: int
) -> Path | None:
    """Return the folder of the interrupted run with `config` that this command has begun, to resume it.

    It is of the same job of torchrun's, or has the same name. A restart with other hosts counts as none: the
    run of such a job was interrupted, and has these settings. A run that has saved nothing yet is deleted, as
    if it had not begun; one that has saved weights stays, for its user to decide.

    Args:
        checkpoints: the checkpoints folder.
        config: the settings.
        launch: the place of this process in a job of torchrun's; None outside of one.
        name: what the run is called; None without a name.
        processes: how many train it.

    Raises:
        ConfigError: `checkpoints` or the settings of the run cannot be read, or the run is at work.
        RunFailedError: the run cannot be deleted.
    """
    run = None if launch is None else run_of_job(checkpoints, launch.job)
    if run is not None and launch is not None and launch.restarts:
        wait_for_lost_owner(run)
    else:
        if run is None and name:
            run = next((folder for folder in run_folders(checkpoints) if read_name(folder) == name), None)
        if run is None or not _is_interrupted(run, config, processes):
            return None
    if is_regular(run / LAST_FILE):
        return run
    if not any(os.path.lexists(run / file) for file in (LAST_FILE, BEST_FILE, WEIGHTS_FILE)):
        label = label_of(run)
        delete_run(run)
        print_message(f"cifar-tui: run {label} was interrupted before its first checkpoint; starting again")
    return None


def _is_interrupted(run: Path, config: TrainConfig, processes: int) -> bool:
    own, config = map(with_absolute_folders, (read_run_config(run), config))
    if own != config:
        return False
    wait_for_lost_owner(run)
    check_not_live(run)
    # of several processes the others fail when one is lost
    return list_run(run).state in ({"crashed", "stopped"} | ({"failed"} if processes > 1 else set()))


def wait_for_lost_owner(folder: Path) -> None:
    """Wait until the owner of `folder` on another host counts as dead, or shows that it lives.

    A job that is started again on another host may find a lock of which only the heartbeat tells that nobody
    holds it any more. Where the clock of this host is behind, it seems to be of now for longer: once it was
    watched for as long as a dead owner counts as alive, it is dead.
    """
    first, said = last_beat(folder), False
    end = time.monotonic() + STALE_SECONDS + BEAT_SECONDS
    while (
        (owner := owner_of(folder)).live
        and owner.host != socket.gethostname()
        and last_beat(folder) == first
        and time.monotonic() < end
    ):
        if not said:
            print_message(f"cifar-tui: waiting until {owner.host} has left '{folder}'…")
            said = True
        time.sleep(_POLL_SECONDS)  # nothing tells when another host touches a file
    if said and last_beat(folder) == first and time.monotonic() >= end:
        note_dead(folder)
