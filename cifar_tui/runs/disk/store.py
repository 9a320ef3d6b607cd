"""The checkpoints folder: create a run's folder, find one by its name."""

import itertools
import shlex
import tempfile
from datetime import datetime
from pathlib import Path

from cifar_tui.engine.atomic import disk_errors_explained, write_text_atomically
from cifar_tui.engine.config.schema import TrainConfig, config_to_toml
from cifar_tui.engine.errors import ConfigError
from cifar_tui.engine.layout import CONFIG_FILE
from cifar_tui.runs.disk.run_lock import owner_of


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


def create_run_folder(checkpoints: Path, config: TrainConfig) -> Path:
    """Create a folder for a new run, with its `config.toml`; its name is the local time.

    Raises:
        RunFailedError: it cannot be written.
    """
    stamp = datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")
    for number in itertools.count(1):
        folder = checkpoints / (stamp if number == 1 else f"{stamp}-{number}")
        with disk_errors_explained(f"create the run's folder '{folder}'"):
            try:
                folder.mkdir(mode=0o700)  # keeps the control socket in it private
            except FileExistsError:
                continue
        break
    write_config(folder, config)
    return folder


def write_config(folder: Path, config: TrainConfig) -> None:
    """Write the `config.toml` of the run in `folder`.

    Raises:
        RunFailedError: it cannot be written.
    """
    with disk_errors_explained(f"write '{folder / CONFIG_FILE}'"):
        write_text_atomically(folder / CONFIG_FILE, config_to_toml(config))


def find_run(checkpoints: Path, name: str) -> Path:
    """Find the folder of the run `name`: an ID, a unique prefix of one, or "latest".

    Raises:
        ConfigError: no run matches, or more than one does.
    """
    runs = run_folders(checkpoints)
    if not runs:
        raise ConfigError(
            f"no runs in '{checkpoints}'; start one with 'cifar-tui train', "
            "or choose another folder with --checkpoints"
        )
    if name == "latest":
        return runs[-1]
    matching = [run for run in runs if run.name == name] or [run for run in runs if run.name.startswith(name)]
    if not matching:
        raise ConfigError(f"no run {name!r} in '{checkpoints}'; the latest is {runs[-1].name}")
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
    """List the folders of all runs, oldest first; those being deleted are hidden.

    Raises:
        ConfigError: the checkpoints folder cannot be read.
    """
    try:
        folders = sorted(checkpoints.iterdir())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ConfigError(
            f"cannot read the checkpoints folder '{checkpoints}': {error.strerror}; "
            "choose another with --checkpoints"
        ) from None
    return [folder for folder in folders if not folder.name.startswith(".") and is_run(folder)]


def is_run(folder: Path) -> bool:
    """Whether `folder` is the folder of a run."""
    try:
        return (folder / CONFIG_FILE).is_file()
    except OSError:
        return False


def attach_hint(folder: Path, checkpoints: Path) -> str:
    """Say how to come back to the run in `folder`."""
    elsewhere = "" if str(checkpoints) == "checkpoints" else f" --checkpoints {shlex.quote(str(checkpoints))}"
    command = f"cifar-tui attach {folder.name}{elsewhere}"
    return f"run {folder.name} is still running. Reattach with: {command}"
