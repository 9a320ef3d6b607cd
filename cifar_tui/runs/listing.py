"""All runs of a folder: listed, told in the words of a table, compared and deleted.

Imports no torch and reads no event log that has a summary beside it: hundreds of runs are listed at once.
"""

import os
import time
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from cifar_tui.engine.errors import ConfigError, RunFailedError
from cifar_tui.engine.events import Phase
from cifar_tui.engine.layout import CONFIG_FILE
from cifar_tui.runs.disk.run_lock import Owner, owner_of
from cifar_tui.runs.disk.summary import RunSummary, read_summary, rebuild_summary
from cifar_tui.runs.format import UNKNOWN, duration

RunStatus = Literal["live", "paused", "done", "stopped", "failed", "crashed", "unknown"]

SIGNS: dict[str, str] = {
    "live": "▶",
    "paused": "‖",
    "done": "✓",
    "stopped": "■",
    "failed": "✗",
    "crashed": "✗",
    "unknown": "?",
}
"""What tells the states apart beside their words."""

COLUMNS: dict[str, str] = {
    "run": "run",
    "state": "state",
    "preset": "preset",
    "data": "data",
    "epoch": "epoch",
    "best": "best %",
    "last": "last %",
    "loss": "loss",
    "time": "time",
    "age": "age",
}
"""The columns of a table of runs and their headings."""

TEXT_COLUMNS = frozenset({"run", "state", "preset", "data"})
"""The columns that are read from the left; figures stand at the right."""

_LEAST_IMPORTANT = ("loss", "preset", "last", "data", "time", "age", "epoch", "best")
_LONGEST_NAME = 14
_DOWNLOADED = ("auto", "cifar10")
_AGES = ((365 * 86_400, "y"), (86_400, "d"), (3600, "h"), (60, "m"), (1, "s"))


@dataclass(frozen=True, kw_only=True, slots=True)
class ListedRun:
    """A run of the list.

    Attributes:
        name: its id.
        folder: where it is kept.
        state: what became of it, in a word.
        summary: its figures; None where neither its summary nor its event log tells them.
        config: its settings by name; None where `config.toml` cannot be read.
    """

    name: str
    folder: Path
    state: RunStatus
    summary: RunSummary | None
    config: dict[str, Any] | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """Runs side by side: a value for every run, in the order of `names`.

    Attributes:
        names: the runs' ids.
        settings: the settings in which they differ, None where a run has none; all of a single run.
        results: what came of them, as the user reads it.
    """

    names: tuple[str, ...]
    settings: dict[str, tuple[Any, ...]]
    results: dict[str, tuple[str, ...]]


def list_runs(checkpoints: Path) -> list[ListedRun]:
    """The runs in `checkpoints`, oldest first; what is no run is passed over, a missing folder has none.

    Raises:
        ConfigError: the folder cannot be read.
    """
    try:
        with os.scandir(checkpoints) as entries:
            names = [entry.name for entry in entries if not entry.name.startswith(".")]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ConfigError(
            f"cannot read the checkpoints folder {checkpoints}: {error.strerror}; "
            "name another with --checkpoints"
        ) from None
    return [list_run(checkpoints / name) for name in sorted(names) if is_run(checkpoints / name)]


def is_run(folder: Path) -> bool:
    """Whether `folder` is the folder of a run."""
    try:
        return (folder / CONFIG_FILE).is_file()
    except OSError:
        return False


def list_run(folder: Path) -> ListedRun:
    """The run in `folder`; what cannot be read of it is None."""
    owner = owner_of(folder)
    config = _read_config(folder / CONFIG_FILE)
    summary = read_summary(folder) or rebuild_summary(folder)
    return ListedRun(
        name=folder.name,
        folder=folder,
        state=_state(owner, summary, config),
        summary=summary,
        config=config,
    )


def delete_run(folder: Path) -> None:
    """Delete the run in `folder` with all its files.

    Raises:
        ConfigError: it is live, or no folder of a run.
        RunFailedError: a file of it cannot be removed.
    """
    if folder.is_symlink():
        raise ConfigError(f"{folder} is a link: delete the folder that it leads to")
    if not is_run(folder):
        raise ConfigError(f"{folder} is not the folder of a run: it has no {CONFIG_FILE}")
    if owner_of(folder).live:
        raise _still_live(folder)
    import shutil

    # no longer a run to anybody from here on, even if the rest is interrupted
    hidden = folder.with_name(f".{folder.name}.{time.time_ns()}.deleted")
    try:
        folder.rename(hidden)
    except OSError as error:
        raise RunFailedError(f"cannot delete the run {folder}: {error.strerror}") from error
    if owner_of(hidden).live:  # somebody was quicker
        hidden.rename(folder)
        raise _still_live(folder)
    try:
        (hidden / CONFIG_FILE).unlink()
        shutil.rmtree(hidden)
    except OSError as error:
        raise RunFailedError(
            f"cannot delete all of the run {folder.name}: {error.strerror}; remove the rest in {hidden}"
        ) from error


def compare_runs(runs: Sequence[ListedRun]) -> Comparison:
    """The settings in which `runs` differ, and their results, side by side."""
    configs = [run.config or {} for run in runs]
    names = dict.fromkeys(name for config in configs for name in config)
    settings = {name: tuple(config.get(name) for config in configs) for name in names}
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
            "loss": tuple(cell["loss"] for cell in cells),
            "best accuracy": tuple(_percent(summary.best_accuracy, " %") for summary in summaries),
            "last accuracy": tuple(_percent(summary.last_accuracy, " %") for summary in summaries),
            "seconds": tuple(f"{summary.train_seconds:,.1f}" for summary in summaries),
        },
    )


def run_cells(run: ListedRun) -> dict[str, str]:
    """What stands in the columns of a table for `run`: nothing but printable characters."""
    summary, config = run.summary or RunSummary(), run.config or {}
    data = summary.data or str(config.get("data", ""))
    if data in _DOWNLOADED and summary.data_title:
        data = summary.data_title
    began = summary.started or summary.updated
    return {
        "run": printable(run.name),
        "state": f"{SIGNS[run.state]} {run.state}",
        "preset": _name(summary.preset or str(config.get("preset", ""))),
        "data": _name(Path(data).name or data),
        "epoch": f"{summary.epoch}/{summary.epochs}" if summary.epochs else UNKNOWN,
        "best": _percent(summary.best_accuracy),
        "last": _percent(summary.last_accuracy),
        "loss": _loss(summary.loss),
        "time": duration(summary.train_seconds) if run.summary else UNKNOWN,
        "age": age(time.time() - began) if began else UNKNOWN,
    }


def fitting_columns(widths: Mapping[str, int], room: int, *, gap: int) -> list[str]:
    """The columns of which a table of `room` cells has room, `gap` cells between two.

    The least important go first; the run and its state always stay.

    Args:
        widths: the cells that each column needs.
        room: the cells that there are.
        gap: the cells between two columns.
    """
    columns = [name for name in COLUMNS if name in widths]
    for name in _LEAST_IMPORTANT:
        if sum(widths[column] + gap for column in columns) - gap <= room:
            break
        if name in columns:
            columns.remove(name)
    return columns


def printable(text: str) -> str:
    """`text` without control characters, which would wreck a screen."""
    return "".join(character if character.isprintable() else "�" for character in text)


def setting_text(value: object) -> str:
    """The value of a setting as a table shows it."""
    return UNKNOWN if value is None else printable(str(value))


def age(seconds: float) -> str:
    """A time span in its largest unit: `45 s`, `12 m`, `5 h`, `3 d`, `2 y`."""
    for unit, name in _AGES:
        if seconds >= unit:
            return f"{seconds // unit:.0f} {name}"
    return "0 s"


def _state(owner: Owner, summary: RunSummary | None, config: dict[str, Any] | None) -> RunStatus:
    if owner.live:
        return "paused" if summary is not None and summary.phase == Phase.PAUSED else "live"
    if config is None:
        return "unknown"
    if owner.crashed:
        return "crashed"
    if summary is None:
        return "unknown"
    if summary.phase == Phase.FAILED or summary.error:
        return "failed"
    if summary.phase != Phase.DONE:
        return "crashed"  # its process had no lock, or was on a file system without
    return "done" if summary.completed else "stopped"


def _read_config(path: Path) -> dict[str, Any] | None:
    """The settings in `path`, whatever version wrote them; None where they cannot be read."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None


def _still_live(folder: Path) -> ConfigError:
    return ConfigError(f"run {folder.name} is live and cannot be deleted: stop it first")


def _name(text: str) -> str:
    text = printable(text)
    return text if len(text) <= _LONGEST_NAME else text[: _LONGEST_NAME - 1] + "…"


def _percent(share: float | None, unit: str = "") -> str:
    return UNKNOWN if share is None else f"{100 * share:.2f}{unit}"


def _loss(loss: float | None) -> str:
    if loss is None:
        return UNKNOWN
    return f"{loss:.3f}" if loss < 1000 else f"{loss:.1e}"


def _steps(summary: RunSummary) -> str:
    return f"{summary.step:,}" + (f" of {summary.total_steps:,}" if summary.total_steps else "")
