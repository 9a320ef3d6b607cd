"""List, compare and delete runs. Imports no torch; with a `summary.json` a run's event log is not read."""

import time
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from cifar_tui.engine.config.schema import LATER, SETTINGS
from cifar_tui.engine.config.text import setting_text
from cifar_tui.engine.data.registry import DOWNLOADED
from cifar_tui.engine.disk.regular import read_regular
from cifar_tui.engine.errors import ConfigError, RunFailedError
from cifar_tui.engine.events import Phase
from cifar_tui.engine.layout import CONFIG_FILE
from cifar_tui.engine.models.own.kept import kept_hash
from cifar_tui.engine.models.own.name import own_name, short_model
from cifar_tui.engine.text import cut, cut_path, escaped_name
from cifar_tui.runs.disk.config import MOST_CONFIG_BYTES
from cifar_tui.runs.disk.membership import Membership, read_membership
from cifar_tui.runs.disk.run_lock import Owner, owner_of
from cifar_tui.runs.disk.store import began, is_run, read_name, run_folders
from cifar_tui.runs.disk.summary import RunSummary, read_summary
from cifar_tui.runs.format import UNKNOWN, age, duration, loss_figure

RunStatus = Literal["running", "paused", "done", "stopped", "failed", "crashed", "unknown"]

LIVE: tuple[RunStatus, ...] = ("running", "paused")
"""The statuses of a run that a process works on."""

SIGNS: dict[str, str] = {
    "running": "▶",
    "paused": "‖",
    "done": "✓",
    "stopped": "■",
    "failed": "✗",
    "crashed": "✗",
    "unknown": "?",
}
"""Sign of each status, shown beside its word."""

COLUMNS: dict[str, str] = {
    "run": "run",
    "name": "name",
    "state": "state",
    "preset": "preset",
    "data": "data",
    "epoch": "epoch",
    "val": "val",
    "best": "best test",
    "last": "last test",
    "loss": "train loss",
    "time": "time",
    "age": "age",
}
"""Columns of a table of runs and their headings."""

TEXT_COLUMNS = frozenset({"run", "name", "state", "preset", "data"})
"""Left-aligned columns; figures are right-aligned."""

_LONGEST_ID = 40
_LONGEST_NAME = 14
_LONGEST_NUMBER, _LONGEST_SETTING = 10, 32
_SOURCE, _HASH_DIGITS = "model source", 8
"""What of a net of the user's differs between runs with the same file."""
_LONGEST_TITLE = 28
_LARGEST_SETTING = 2**63


@dataclass(frozen=True, kw_only=True, slots=True)
class ListedRun:
    """A run in the list.

    Attributes:
        name: its ID.
        folder: its folder.
        state: its status.
        summary: its key figures; None if neither its summary nor its event log can be read.
        config: its settings by name; None if `config.toml` cannot be read.
        title: the name that the user gave it, or "".
        began: when it began, in Unix seconds.
        membership: which run of a sweep it is; None if it is in none.
    """

    name: str
    folder: Path
    state: RunStatus
    summary: RunSummary | None
    config: dict[str, Any] | None
    title: str = ""
    began: float = 0.0
    membership: Membership | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """Runs side by side: one value per run, in the order of `names`.

    Attributes:
        names: IDs of the runs.
        settings: the settings that differ, None where a run lacks one; all settings of a single run.
        results: the results as text.
    """

    names: tuple[str, ...]
    settings: dict[str, tuple[Any, ...]]
    results: dict[str, tuple[str, ...]]


def list_runs(checkpoints: Path) -> list[ListedRun]:
    """List the runs in `checkpoints`, oldest first; none if the folder does not exist.

    Raises:
        ConfigError: the folder cannot be read.
    """
    return [list_run(folder) for folder in run_folders(checkpoints)]


def list_run(folder: Path) -> ListedRun:
    """Read what the list shows of the run in `folder`."""
    owner = owner_of(folder)  # before the summary: an owner that ends meanwhile has written it
    config = _read_config(folder / CONFIG_FILE)
    summary = read_summary(folder)
    state = _state(owner, summary, config)
    return ListedRun(
        name=folder.name,
        folder=folder,
        state=state,
        summary=summary,
        config=config,
        title=read_name(folder),
        began=began(folder),
        membership=read_membership(folder),
    )


def delete_run(folder: Path) -> None:
    """Delete the run in `folder` with all its files.

    Raises:
        ConfigError: the run is live, or `folder` is not a run folder.
        RunFailedError: a file cannot be removed.
    """
    if folder.is_symlink():
        raise ConfigError(f"'{folder}' is a symlink; delete the folder it points to")
    if not is_run(folder):
        raise ConfigError(f"'{folder}' is not a run (no {CONFIG_FILE})")
    live = ConfigError(f"run {folder.name} is still running; stop it before deleting it")
    if owner_of(folder).live:
        raise live
    import shutil

    # hidden first: even if the rest is interrupted, it is no run any more
    hidden = folder.with_name(f".{folder.name}.{time.time_ns()}.deleted")
    try:
        folder.rename(hidden)
    except OSError as error:
        raise RunFailedError(f"cannot delete '{folder}': {error.strerror}") from error
    if owner_of(hidden).live:  # started since the first check
        hidden.rename(folder)
        raise live
    try:
        (hidden / CONFIG_FILE).unlink()
        shutil.rmtree(hidden)
    except OSError as error:
        raise RunFailedError(
            f"cannot delete all files of run {folder.name}: {error.strerror}; remove '{hidden}' yourself"
        ) from error


def compare_runs(runs: Sequence[ListedRun]) -> Comparison:
    """Compare the settings in which `runs` differ, and their results."""
    configs = [{} if run.config is None else LATER | run.config for run in runs]
    names = dict.fromkeys(name for run in runs for name in run.config or {})
    settings = {name: tuple(config.get(name) for config in configs) for name in names}
    if len(runs) > 1 and any(own_name(str(config.get("model"))) for config in configs):
        settings[_SOURCE] = tuple(kept_hash(run.folder)[:_HASH_DIGITS] for run in runs)
    cells = [run_cells(run) for run in runs]
    summaries = [run.summary or RunSummary() for run in runs]
    return Comparison(
        names=tuple(run.name for run in runs),
        settings={
            name: values
            for name, values in settings.items()
            if len(runs) == 1 or any(value != values[0] for value in values)
        },
        results={
            "state": tuple(cell["state"] for cell in cells),
            "epoch": tuple(cell["epoch"] for cell in cells),
            "steps": tuple(_steps(summary) for summary in summaries),
            "training loss": tuple(cell["loss"] for cell in cells),
            "best test accuracy": tuple(_percent(summary.best_accuracy, " %") for summary in summaries),
            "last test accuracy": tuple(_percent(summary.last_accuracy, " %") for summary in summaries),
            "training time": tuple(duration(summary.train_seconds) for summary in summaries),
        },
    )


def run_cells(run: ListedRun) -> dict[str, str]:
    """Format the table cells of `run` by column, escaped and cut."""
    summary, config = run.summary or RunSummary(), run.config or {}
    data = str(config.get("data", ""))
    if data in DOWNLOADED and summary.data_title:
        data = summary.data_title
    began = summary.started or summary.updated
    epochs = setting_cell("epochs", config.get("epochs"))
    return {
        "run": cut(escaped_name(run.name), _LONGEST_ID),
        "name": cut(escaped_name(run.title), _LONGEST_TITLE),
        "state": f"{SIGNS[run.state]} {run.state}",
        "preset": cut(str(config.get("preset", "")), _LONGEST_NAME),
        "data": cut(Path(data).name or data, _LONGEST_NAME),
        "epoch": f"{summary.epoch}/{epochs}" if run.summary else UNKNOWN,
        "val": _percent(summary.val_accuracy),
        "best": _percent(summary.best_accuracy),
        "last": _percent(summary.last_accuracy),
        "loss": UNKNOWN if summary.loss is None else loss_figure(summary.loss),
        "time": duration(summary.train_seconds) if run.summary else UNKNOWN,
        "age": age(time.time() - began) if began else UNKNOWN,
    }


def setting_cell(name: str, value: object) -> str:
    """Format the `value` of the setting `name` for a table, in the form's words; an empty one is a dash."""
    words = SETTINGS[name].metadata["words"] if name in SETTINGS else {}
    for word, meaning in words.items():
        if value == meaning:
            return str(word)
    match value:
        case None | "":
            return UNKNOWN
        case bool():
            return "yes" if value else "no"
        case str() if name == "model":
            return short_model(value)
        case float() if len(str(value)) > _LONGEST_NUMBER:
            return f"{value:.6g}"
        case float() if name in SETTINGS:
            return setting_text(name, value)
        case _:
            return cut_path(str(value), _LONGEST_SETTING)


def _state(owner: Owner, summary: RunSummary | None, config: dict[str, Any] | None) -> RunStatus:
    if owner.live:
        return "paused" if summary is not None and summary.phase is Phase.PAUSED else "running"
    if config is None:
        return "unknown"
    if owner.crashed:
        return "crashed"
    if summary is None:
        return "unknown"
    if summary.phase is Phase.FAILED or summary.error:
        return "failed"
    if summary.phase is not Phase.DONE:
        return "crashed"  # without a trace in the lock, as on a file system without locks
    return "done" if summary.completed else "stopped"


def _read_config(path: Path) -> dict[str, Any] | None:
    """Read the settings in `path`, which another version may know; None if they are not those of any run."""
    try:
        values = tomllib.loads(read_regular(path, limit=MOST_CONFIG_BYTES).decode("utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return None
    return values if all(map(_is_setting, values.values())) else None


def _is_setting(value: object) -> bool:
    if isinstance(value, int | float):
        return abs(value) < _LARGEST_SETTING  # false for NaN
    return not isinstance(value, list | dict)


def _percent(share: float | None, unit: str = "") -> str:
    return UNKNOWN if share is None else f"{100 * share:.2f}{unit}"


def _steps(summary: RunSummary) -> str:
    return f"{summary.step:,}" + (f" of {summary.total_steps:,}" if summary.total_steps else "")
