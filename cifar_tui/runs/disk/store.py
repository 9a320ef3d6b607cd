"""Where runs are kept: making a run's folder, and finding one by its name."""

import shlex
import tempfile
from datetime import datetime
from pathlib import Path

from cifar_tui.engine.atomic import write_text_atomically
from cifar_tui.engine.config.schema import TrainConfig, config_to_toml
from cifar_tui.engine.errors import ConfigError, RunFailedError
from cifar_tui.engine.layout import CONFIG_FILE
from cifar_tui.runs.disk.run_lock import owner_of


def check_checkpoints(checkpoints: Path) -> None:
    """Make the folder for runs if it is missing, and see that it can be written.

    Raises:
        ConfigError: it cannot.
    """
    try:
        checkpoints.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=checkpoints):
            pass
    except OSError as error:
        raise ConfigError(
            f"cannot write to the checkpoints folder {checkpoints}: {error.strerror}; "
            "name another with --checkpoints"
        ) from None


def create_run_folder(checkpoints: Path, config: TrainConfig) -> Path:
    """A new folder for a run, with its `config.toml`. Its name is the local time, so that names sort by age.

    Raises:
        RunFailedError: it cannot be written.
    """
    stamp = datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")
    try:
        folder = _make_new_folder(checkpoints, stamp)
    except OSError as error:
        raise RunFailedError(
            f"cannot make a folder for the run in {checkpoints}: {error.strerror}"
        ) from error
    write_config(folder, config)
    return folder


def write_config(folder: Path, config: TrainConfig) -> None:
    """Write the settings of the run in `folder`.

    Raises:
        RunFailedError: they cannot be written.
    """
    try:
        write_text_atomically(folder / CONFIG_FILE, config_to_toml(config))
    except OSError as error:
        raise RunFailedError(f"cannot write {folder / CONFIG_FILE}: {error.strerror}") from error


def find_run(checkpoints: Path, name: str) -> Path:
    """The folder of the run `name`: its id, a prefix that only one has, or "latest".

    Raises:
        ConfigError: there is none, or more than one.
    """
    runs = _runs(checkpoints)
    if not runs:
        raise ConfigError(
            f"there are no runs in {checkpoints}; train one, or name its folder with --checkpoints"
        )
    if name == "latest":
        return runs[-1]
    matching = [run for run in runs if run.name == name] or [run for run in runs if run.name.startswith(name)]
    if not matching:
        raise ConfigError(f"there is no run {name!r} in {checkpoints}; the latest is {runs[-1].name}")
    if len(matching) > 1:
        raise ConfigError(f"{name!r} begins {len(matching)} runs in {checkpoints}; type more of it")
    return matching[0]


def find_run_to_attach(checkpoints: Path) -> Path:
    """The folder of the latest live run, or of the latest run where none is live.

    Raises:
        ConfigError: there is no run.
    """
    latest = find_run(checkpoints, "latest")
    return next((run for run in reversed(_runs(checkpoints)) if owner_of(run).live), latest)


def _runs(checkpoints: Path) -> list[Path]:
    """The folders of all runs, the oldest first; those being deleted are hidden."""
    runs = (path.parent for path in checkpoints.glob(f"*/{CONFIG_FILE}"))
    return sorted(run for run in runs if not run.name.startswith("."))


def attach_hint(folder: Path, checkpoints: Path) -> str:
    """The sentence for who leaves a live run."""
    elsewhere = "" if str(checkpoints) == "checkpoints" else f" --checkpoints {shlex.quote(str(checkpoints))}"
    return (
        f"run {folder.name} goes on in the background; come back with: "
        f"cifar-tui attach {folder.name}{elsewhere}"
    )


def _make_new_folder(checkpoints: Path, stamp: str) -> Path:
    number = 1
    while True:
        folder = checkpoints / (stamp if number == 1 else f"{stamp}-{number}")
        try:
            folder.mkdir(mode=0o700)  # the control socket in it is for the owner alone
        except FileExistsError:
            number += 1
        else:
            return folder
