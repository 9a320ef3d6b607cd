"""The checkpoints folder: create a run's folder, name it, find one by its name."""

import contextlib
import fcntl
import itertools
import os
import stat
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from cifar_tui.engine.atomic import disk_errors_explained, write_text_atomically
from cifar_tui.engine.config.fields import suggestion
from cifar_tui.engine.config.file import config_to_toml
from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.disk.regular import is_regular, open_regular
from cifar_tui.engine.errors import ConfigError
from cifar_tui.engine.layout import CONFIG_FILE, LAST_FILE, NAME_FILE
from cifar_tui.engine.text import escaped
from cifar_tui.runs.disk.event_log import first_event
from cifar_tui.runs.disk.hints import command
from cifar_tui.runs.disk.membership import Membership, write_membership
from cifar_tui.runs.disk.run_lock import owner_of

_LATEST = "latest"
_STAMP = "%Y%m%d-%H%M%S"
_TRIES, _TRY_SECONDS = 250, 0.02
_LONGEST_NAME = 64
_MOST_NAME_BYTES = 4 * _LONGEST_NAME


def check_checkpoints(checkpoints: Path) -> None:
    """Create the checkpoints folder if missing, and check that it is writable.

    Raises:
        ConfigError: it is not.
    """
    try:
        checkpoints.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=checkpoints):
            pass
    except OSError as error:
        raise ConfigError(
            f"cannot write to the checkpoints folder '{checkpoints}': {error.strerror}; "
            "choose another with --checkpoints"
        ) from None


def create_run_folder(
    checkpoints: Path, config: TrainConfig, *, name: str = "", membership: Membership | None = None
) -> Path:
    """Create a folder for a new run, with its `config.toml`; the run's ID is the local time.

    With a `membership`, it is the run of a sweep.

    Raises:
        ConfigError: `name` is not a valid name, or another run has it.
        RunFailedError: the folder cannot be written.
    """
    if not name:
        return _create_run_folder(checkpoints, config, "", membership)
    with one_at_a_time(checkpoints):
        check_name(checkpoints, name)
        return _create_run_folder(checkpoints, config, name, membership)


@contextlib.contextmanager
def one_at_a_time(checkpoints: Path) -> Iterator[None]:
    """Let one process after the other see which names in `checkpoints` are free, and take one.

    A batch system may start several at the same moment. A file system without locks of folders, such as NFS,
    lets them all pass.
    """
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):
            descriptor = os.open(checkpoints, os.O_RDONLY | os.O_DIRECTORY)
            stack.callback(os.close, descriptor)
            for _ in range(_TRIES):  # not for ever: its holder may be a process that was suspended
                with contextlib.suppress(BlockingIOError):
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                time.sleep(_TRY_SECONDS)
        yield


def _create_run_folder(
    checkpoints: Path, config: TrainConfig, name: str, membership: Membership | None
) -> Path:
    stamp = datetime.now().astimezone().strftime(_STAMP)
    for number in itertools.count(1):
        folder = checkpoints / (stamp if number == 1 else f"{stamp}-{number}")
        with disk_errors_explained(f"create the run's folder '{folder}'"):
            try:
                folder.mkdir(mode=0o700, parents=True)  # keeps the control socket in it private
            except FileExistsError:
                continue
        break
    if name:
        write_name(folder, name)
    if membership is not None:
        write_membership(folder, membership)
    write_config(folder, config)  # makes it a run, so that it has its name from the start
    return folder


def write_config(folder: Path, config: TrainConfig) -> None:
    """Write the `config.toml` of the run in `folder`.

    Raises:
        RunFailedError: it cannot be written.
    """
    with disk_errors_explained(f"write '{folder / CONFIG_FILE}'"):
        write_text_atomically(folder / CONFIG_FILE, config_to_toml(config))


def read_name(folder: Path) -> str:
    """Return the name that the user gave the run in `folder`; "" without one."""
    try:
        with os.fdopen(open_regular(folder / NAME_FILE), "rb") as file:
            name = os.fsdecode(file.read(_MOST_NAME_BYTES)).strip()
    except OSError:
        return ""
    return name[:_LONGEST_NAME]


def write_name(folder: Path, name: str) -> None:
    """Name the run in `folder`; "" takes its name away.

    Raises:
        ConfigError: `name` is not a valid name, or another run has it.
        RunFailedError: it cannot be written.
    """
    if name:
        check_name(folder.parent, name, own=folder)
    with disk_errors_explained(f"write '{folder / NAME_FILE}'"):
        if name:
            write_text_atomically(folder / NAME_FILE, f"{name}\n")
        else:
            (folder / NAME_FILE).unlink(missing_ok=True)


def check_name(checkpoints: Path, name: str, *, own: Path | None = None) -> None:
    """Check that a run in `checkpoints` can be called `name`; `own` is its folder if it has one.

    Raises:
        ConfigError: it cannot; one sentence.
    """
    reason = ""
    if not 1 <= len(name) <= _LONGEST_NAME:
        reason = f"must have 1 to {_LONGEST_NAME} characters"
    elif not name.isprintable() or "/" in name or name != name.strip() or name.startswith("-"):
        reason = "must be printable, without '/', without spaces at either end, and must not start with '-'"
    elif name == _LATEST:
        reason = "means the latest run; choose another name"
    if reason:
        raise ConfigError(f"the run name {name!r} {reason}")
    for folder in run_folders(checkpoints):
        if folder != own and name in {folder.name, read_name(folder)}:
            raise ConfigError(f"the name {name!r} belongs to run {folder.name}; choose another name")


def label_of(folder: Path) -> str:
    """Return what the user calls the run in `folder`: its name, or its ID without one."""
    return read_name(folder) or folder.name


def find_run(checkpoints: Path, name: str) -> Path:
    """Find the folder of the run `name`: its ID, the name it was given, a unique prefix of one, or "latest".

    Raises:
        ConfigError: no run matches, or more than one does.
    """
    runs = run_folders(checkpoints)
    if not runs:
        raise ConfigError(
            f"no runs in '{checkpoints}'; start one with 'cifar-tui train', "
            "or choose another folder with --checkpoints"
        )
    if name == _LATEST:
        return runs[-1]
    labels = {run: (run.name, read_name(run)) for run in runs}
    matching = [run for run in runs if name in labels[run]]
    matching = matching or [run for run in runs if any(label.startswith(name) for label in labels[run])]
    if not matching:
        names = [label for own in labels.values() for label in own if label]
        hint = suggestion(name, names) or f"; the latest is {label_of(runs[-1])}"
        raise ConfigError(f"no run {name!r} in '{checkpoints}'{hint}")
    if len(matching) > 1:
        raise ConfigError(f"{name!r} is ambiguous ({len(matching)} runs match); use a longer prefix")
    return matching[0]


def find_run_to_attach(checkpoints: Path) -> Path:
    """Find the folder of the latest live run, or of the latest run if none is live.

    Raises:
        ConfigError: there are no runs.
    """
    latest = find_run(checkpoints, "latest")
    return next((run for run in reversed(run_folders(checkpoints)) if owner_of(run).live), latest)


def run_folders(checkpoints: Path) -> list[Path]:
    """List the folders of all runs by when they began, oldest first; those being deleted are hidden.

    Raises:
        ConfigError: the checkpoints folder cannot be read.
    """
    try:
        folders = list(checkpoints.iterdir())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ConfigError(
            f"cannot read the checkpoints folder '{checkpoints}': {error.strerror}; "
            "choose another with --checkpoints"
        ) from None
    runs = [folder for folder in folders if not folder.name.startswith(".") and is_run(folder)]
    return sorted(runs, key=lambda run: (began(run), run.name))


def began(folder: Path) -> float:
    """Return when the run in `folder` began, in Unix seconds: a folder may be renamed, and clocks change."""
    with contextlib.suppress(OSError):
        first = first_event(folder)
        if first is not None:
            return first.time
    with contextlib.suppress(ValueError, OverflowError):
        return datetime.strptime(folder.name[: len("20260131-235959")], _STAMP).astimezone().timestamp()
    with contextlib.suppress(OSError):
        return folder.stat().st_mtime
    return 0.0


def is_run(folder: Path) -> bool:
    """Whether `folder` is the folder of a run: it has settings, if perhaps unreadable ones."""
    try:
        return not stat.S_ISDIR((folder / CONFIG_FILE).lstat().st_mode)
    except OSError:
        return False


def attach_hint(folder: Path, state: str = "still running") -> str:
    """Say how to come back to the run in `folder`, which is in `state`."""
    label = label_of(folder)
    return f"run {label} is {state}. Reattach with: {command('attach', folder, label=label)}"


def how_to_continue(folder: Path) -> str:
    """Say how to go on with the run in `folder` after its process was killed; "" if it had ended before.

    It is escaped, for the process that prints it knows nothing of runs.
    """
    owner, label = owner_of(folder), label_of(folder)
    if owner.live:
        return escaped(attach_hint(folder))
    if not owner.crashed:
        return ""
    if not is_regular(folder / LAST_FILE):
        return escaped(f"run {label} has no checkpoint to resume from")
    resume = command("train --resume", folder, label=label)
    return escaped(f"run {label} has a checkpoint. Resume with: {resume}")
