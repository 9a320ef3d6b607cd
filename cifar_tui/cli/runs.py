"""`cifar-tui runs`: a table of runs, and runs side by side."""

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cifar_tui.runs.disk.store import find_run
from cifar_tui.runs.disk.summary import RunSummary
from cifar_tui.runs.listing import (
    COLUMNS,
    TEXT_COLUMNS,
    Comparison,
    ListedRun,
    compare_runs,
    fitting_columns,
    list_run,
    list_runs,
    printable,
    run_cells,
    setting_text,
)
from cifar_tui.terminal.native_output import STDOUT, redirect_to_devnull

_STYLES = {
    "live": "green",
    "paused": "yellow",
    "done": "green",
    "stopped": "cyan",
    "failed": "bold red",
    "crashed": "bold red",
    "unknown": "dim",
}
_GAP, _NARROW_GAP = 2, 1
_ENDLESS = 100_000


def list_command(checkpoints: Path, names: list[str], *, as_json: bool) -> int:
    """Print the runs in `checkpoints`, or those that are named side by side, and return the exit code.

    Args:
        checkpoints: the folder in which runs are kept.
        names: ids, prefixes of ids or "latest"; none for a table of all runs.
        as_json: whether to print JSON: a list of runs, or an object of several that are compared.

    Raises:
        ConfigError: a name fits no run or more than one, or the folder cannot be read.
    """
    folders = dict.fromkeys(find_run(checkpoints, name) for name in names)
    runs = [list_run(folder) for folder in folders] if names else list_runs(checkpoints)
    try:
        if as_json:
            print(json.dumps(_as_json(runs, compared=len(names) > 1), indent=2, default=str))
        elif not runs:
            print(
                f"cifar-tui: there are no runs in {checkpoints}; train one with 'cifar-tui train', "
                "or name their folder with --checkpoints",
                file=sys.stderr,
            )
        elif names:
            _print_table(_comparison_table(compare_runs(runs)))
        else:
            _print_table(_runs_table(runs, _room()))
        sys.stdout.flush()
    except BrokenPipeError:
        redirect_to_devnull(STDOUT)  # whoever read has read enough
    return 0


def _as_json(runs: list[ListedRun], *, compared: bool) -> object:
    objects = [_run_as_json(run) for run in runs]
    if not compared:
        return objects
    settings = compare_runs(runs).settings.items() if len(runs) > 1 else ()
    differences = {
        name: {run.name: value for run, value in zip(runs, values, strict=True)} for name, values in settings
    }
    return {"differences": differences, "runs": objects}


def _run_as_json(run: ListedRun) -> dict[str, Any]:
    if run.summary is None:
        figures: dict[str, Any] = dict.fromkeys(entry.name for entry in dataclasses.fields(RunSummary))
    else:
        figures = dataclasses.asdict(run.summary)
    del figures["schema"]
    return {
        "run": run.name,
        "folder": str(run.folder),
        "state": run.state,
        **figures,
        "config": run.config,
    }


def _room() -> int | None:
    """The columns of the terminal; None where standard output is none, and then nothing is left out."""
    return Console().width if sys.stdout.isatty() else None


def _runs_table(runs: list[ListedRun], room: int | None) -> Table:
    cells = [run_cells(run) for run in runs]
    widths = {
        name: max(cell_len(heading), *(cell_len(row[name]) for row in cells))
        for name, heading in COLUMNS.items()
    }
    gap = _GAP
    columns = list(COLUMNS)
    if room is not None:
        if sum(widths.values()) + _GAP * (len(widths) - 1) > room:
            gap = _NARROW_GAP
        columns = fitting_columns(widths, room, gap=gap)
    table = Table(box=None, pad_edge=False, padding=(0, gap, 0, 0), header_style="bold")
    for name in columns:
        justify = "left" if name in TEXT_COLUMNS else "right"
        table.add_column(COLUMNS[name], justify=justify, no_wrap=True, min_width=widths[name])  # type: ignore[arg-type]  # a literal
    for run, row in zip(runs, cells, strict=True):
        styles = {"state": _STYLES[run.state], "run": "bold"}
        table.add_row(*(Text(row[name], style=styles.get(name, "")) for name in columns))
    return table


def _comparison_table(comparison: Comparison) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="bold")
    table.add_column("run", no_wrap=True)
    for name in comparison.names:
        table.add_column(Text(printable(name)), overflow="fold", min_width=cell_len(printable(name)))
    for setting, values in comparison.settings.items():
        table.add_row(Text(printable(setting)), *(Text(setting_text(value)) for value in values))
    if comparison.settings:
        table.add_row()
    for result, texts in comparison.results.items():
        table.add_row(result, *texts)
    return table


def _print_table(table: Table) -> None:
    """Print `table`; where standard output is no terminal, in plain text as wide as it needs."""
    if sys.stdout.isatty():
        Console(highlight=False).print(table, crop=False)  # ids stay whole on the narrowest terminal
        return
    console = Console(file=sys.stdout, width=_ENDLESS, color_system=None, highlight=False)
    with console.capture() as captured:
        console.print(table)
    for line in captured.get().splitlines():
        print(line.rstrip())
