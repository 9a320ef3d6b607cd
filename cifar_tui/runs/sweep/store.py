"""The folder of a sweep, `checkpoints/sweeps/NAME`: its plan, and what only its scheduler knows.

`plan.toml` is written once. `outcomes.json` has what no run's folder says: which runs were stopped as
hopeless, and why a run failed that could not say so itself. All else is read from the folders of the runs,
each of which has a file that says which run of which sweep it is: a sweep can be resumed after anything.
"""

import contextlib
import dataclasses
import itertools
import json
import shutil
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import tomli_w

from cifar_tui.engine.atomic import disk_errors_explained, write_text_atomically
from cifar_tui.engine.config.fields import suggestion
from cifar_tui.engine.disk.regular import read_regular
from cifar_tui.engine.errors import ConfigError
from cifar_tui.runs.disk.hints import command
from cifar_tui.runs.disk.membership import read_membership
from cifar_tui.runs.disk.run_lock import owner_of
from cifar_tui.runs.disk.store import check_name, is_run, one_at_a_time, read_name, run_folders
from cifar_tui.runs.sweep.plan import SweepPlan, plan_from_values, plan_to_values

SWEEPS_FOLDER = "sweeps"
PLAN_FILE = "plan.toml"
_OUTCOMES_FILE, _LOG_FILE = "outcomes.json", "sweep.log"
_MOST_BYTES = 1 << 24
_MOST_ERROR = 1000


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What the scheduler knows of a run.

    Attributes:
        hopeless_at: the epoch at which it was stopped as hopeless; 0 if it was not.
        error: why it failed before it had a folder, or could not be resumed; "" if it did not.
    """

    hopeless_at: int = 0
    error: str = ""


def sweeps_folder(checkpoints: Path) -> Path:
    """Return the folder of all sweeps."""
    return checkpoints / SWEEPS_FOLDER


def sweep_command(options: str, folder: Path) -> str:
    """Return `cifar-tui sweep OPTIONS NAME` for the sweep in `folder`."""
    return command(f"sweep {options}", folder.parent.parent / folder.name)


def log_file(folder: Path) -> Path:
    """Return the file that takes what the sweep in `folder` prints without a terminal."""
    return folder / _LOG_FILE


def output_file(folder: Path, number: int) -> Path:
    """Return the file that takes what run `number` prints before it has a folder."""
    return folder / f"{number}.log"


def process_lock(folder: Path, number: int) -> Path:
    """Return the file that the process of run `number` keeps locked while it lives."""
    return folder / f"{number}.lock"


def free_name(checkpoints: Path) -> str:
    """Return a free name for a sweep that is given none, such as `sweep-1`."""
    return next(
        name
        for name in (f"sweep-{number}" for number in itertools.count(1))
        if not (sweeps_folder(checkpoints) / name).exists()
    )


def create_sweep(folder: Path, plan: SweepPlan) -> None:
    """Create the folder of a sweep, with its plan.

    Raises:
        ConfigError: another sweep has its name, or another run the name of one of its runs.
        RunFailedError: it cannot be written.
    """
    checkpoints = folder.parent.parent
    if plan.name in {".", ".."}:
        raise ConfigError(f"the name {plan.name!r} is that of a folder; choose another --name")
    taken_by_sweep = ConfigError(
        f"there is a sweep {plan.name!r} with other settings; choose another --name, or resume it with: "
        f"{sweep_command('--resume', folder)}"
    )
    with one_at_a_time(checkpoints):
        if (folder / PLAN_FILE).exists():  # its runs have the names too, and say less
            raise taken_by_sweep
        check_name(checkpoints, plan.run_name(len(plan.configs)))
        taken = {read_name(folder): folder.name for folder in run_folders(checkpoints)}
        for run in map(plan.run_name, plan.numbers):
            if run in taken:
                raise ConfigError(f"the name {run!r} belongs to run {taken[run]}; choose another --name")
        # its folder was removed, its runs were renamed
        if earlier := member_folders(checkpoints, plan.name, {}):
            first = min(earlier.values()).name
            raise ConfigError(f"run {first} is of an earlier sweep {plan.name!r}; choose another --name")
        with disk_errors_explained(f"write '{folder / PLAN_FILE}'"):
            folder.parent.mkdir(parents=True, exist_ok=True)
            if not _make_folder(folder):
                raise taken_by_sweep
            try:
                write_text_atomically(folder / PLAN_FILE, tomli_w.dumps(plan_to_values(plan)))
            except OSError:
                with contextlib.suppress(OSError):
                    folder.rmdir()
                raise


def _make_folder(folder: Path) -> bool:
    """Make the folder of a sweep, or take one that was left without a plan; whether there was no sweep."""
    try:
        folder.mkdir()
    except FileExistsError:
        return folder.is_dir() and not any(folder.iterdir())
    return True


def delete_sweep(folder: Path) -> None:
    """Delete the folder of a sweep, not its runs.

    Raises:
        ConfigError: it is at work.
        RunFailedError: it cannot be removed.
    """
    if owner_of(folder).live:
        raise ConfigError(f"sweep {folder.name} is still running; stop it before deleting it")
    with disk_errors_explained(f"delete '{folder}'"):
        shutil.rmtree(folder)


def read_plan(folder: Path) -> SweepPlan:
    """Read the plan of the sweep in `folder`.

    Raises:
        ConfigError: it cannot be read, or is none.
    """
    path = folder / PLAN_FILE
    try:
        return plan_from_values(tomllib.loads(read_regular(path, limit=_MOST_BYTES).decode()))
    except OSError as error:
        raise ConfigError(f"cannot read '{path}': {error.strerror}; start another sweep") from None
    except ConfigError as error:
        raise ConfigError(f"'{path}': {error}", field=error.field) from None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise ConfigError(f"'{path}' is not the plan of a sweep; start another sweep") from None


def has_plan(folder: Path, plan: SweepPlan) -> bool:
    """Whether there is a sweep in `folder` that has `plan`, with as many workers or others."""
    try:
        return dataclasses.replace(read_plan(folder), workers=plan.workers) == plan
    except ConfigError:
        return False


def sweep_names(checkpoints: Path) -> list[str]:
    """Return the names of all sweeps in `checkpoints`."""
    try:
        folders = [folder for folder in sweeps_folder(checkpoints).iterdir() if (folder / PLAN_FILE).exists()]
    except OSError:
        return []
    return sorted(folder.name for folder in folders)


def find_sweep(checkpoints: Path, name: str) -> Path:
    """Find the folder of the sweep `name`.

    Raises:
        ConfigError: there is none.
    """
    names = sweep_names(checkpoints)
    if name in names:
        return sweeps_folder(checkpoints) / name
    hint = suggestion(name, names) or (
        f"; there are {', '.join(names[-3:])}" if names else "; there are none"
    )
    raise ConfigError(f"no sweep {name!r} in '{checkpoints}'{hint}")


def read_outcomes(folder: Path) -> dict[int, Outcome]:
    """Read what the scheduler of the sweep in `folder` has noted, by the numbers of the runs."""
    try:
        values = json.loads(read_regular(folder / _OUTCOMES_FILE, limit=_MOST_BYTES))
        return {
            int(number): Outcome(
                hopeless_at=int(known["hopeless_at"]), error=str(known["error"])[:_MOST_ERROR]
            )
            for number, known in values.items()
        }
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return {}


def write_outcomes(folder: Path, outcomes: Mapping[int, Outcome]) -> None:
    """Write what the scheduler of the sweep in `folder` knows.

    Raises:
        RunFailedError: it cannot be written.
    """
    values = {
        str(number): {"hopeless_at": known.hopeless_at, "error": known.error}
        for number, known in outcomes.items()
    }
    with disk_errors_explained(f"write '{folder / _OUTCOMES_FILE}'"):
        write_text_atomically(folder / _OUTCOMES_FILE, json.dumps(values) + "\n")


def member_folders(checkpoints: Path, name: str, known: Mapping[int, Path]) -> dict[int, Path]:
    """Find the folders of the runs of the sweep `name`, by their numbers.

    Args:
        checkpoints: the checkpoints folder.
        name: the name of the sweep.
        known: folders found earlier; those that are still there are not looked for again.
    """
    found = {number: folder for number, folder in known.items() if is_run(folder)}
    seen = set(found.values())
    try:
        folders = [folder for folder in checkpoints.iterdir() if folder not in seen]
    except OSError:
        return found
    for folder in sorted(folders):
        member = None if folder.name.startswith(".") else read_membership(folder)
        if member is not None and member.sweep == name and is_run(folder):
            found[member.number] = folder
    return found
