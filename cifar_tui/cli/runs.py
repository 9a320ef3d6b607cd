"""`cifar-tui runs`: print a table of runs, or runs side by side."""

import dataclasses
import math
import sys
from pathlib import Path
from typing import Any

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from cifar_tui.cli.compared import class_gains, class_notes, comparisons_as_json, curves_as_json
from cifar_tui.cli.console import ENDLESS, SafeConsole, plain_table, print_table
from cifar_tui.cli.output import json_text, print_line, print_message, printing_results
from cifar_tui.runs.compared import read_compared
from cifar_tui.runs.comparison import BEST_MARK, comparison_columns, run_label, whole_columns
from cifar_tui.runs.disk.store import find_run
from cifar_tui.runs.disk.summary import RunSummary
from cifar_tui.runs.listing import (
    Comparison,
    ListedRun,
    compare_runs,
    list_run,
    list_runs,
    setting_cell,
)
from cifar_tui.runs.table import GAP, Order, build_table, heading_of

_STYLES = {
    "running": "green",
    "paused": "yellow",
    "done": "green",
    "stopped": "cyan",
    "failed": "bold red",
    "crashed": "bold red",
    "unknown": "dim",
}


def list_command(checkpoints: Path, names: list[str], *, as_json: bool) -> int:
    """Print a table of the runs in `checkpoints`, or the named runs side by side; returns the exit code.

    Args:
        checkpoints: the checkpoints folder.
        names: IDs, names, unique prefixes of them or "latest"; none for a table of all runs.
        as_json: print JSON instead: a list of runs, or an object with the differences of several named ones.

    Raises:
        ConfigError: a name matches no run or several, or the folder cannot be read.
    """
    folders = dict.fromkeys(find_run(checkpoints, name) for name in names)
    runs = [list_run(folder) for folder in folders] if names else list_runs(checkpoints)
    with printing_results():
        if as_json:
            print(json_text(_as_json(runs, several=len(names) > 1), indent=2))
        elif not runs:
            print_message(
                f"cifar-tui: no runs in '{checkpoints}'; start one with 'cifar-tui train', "
                "or choose another folder with --checkpoints"
            )
        elif names:
            _print_comparison(runs)
            if len(runs) > 1:
                _print_class_gains(runs)
        else:
            print_table(_runs_table(runs))
    return 0


def _as_json(runs: list[ListedRun], *, several: bool) -> object:
    objects = [_run_as_json(run) for run in runs]
    if not several:
        return objects
    settings = compare_runs(runs).settings.items() if len(runs) > 1 else ()
    differences = {
        name: {run.name: value for run, value in zip(runs, values, strict=True)} for name, values in settings
    }
    compared = [read_compared(run) for run in runs]
    for values, run in zip(objects, compared, strict=True):
        values["curves"] = curves_as_json(run.curves)
    return {"differences": differences, "runs": objects, "comparisons": comparisons_as_json(compared)}


def _run_as_json(run: ListedRun) -> dict[str, Any]:
    figures: dict[str, Any] = dict.fromkeys(entry.name for entry in dataclasses.fields(RunSummary))
    if run.summary is not None:
        figures = dataclasses.asdict(run.summary)
    names = {"run": run.name, "name": run.title or None, "folder": str(run.folder), "state": run.state}
    return names | figures | {"config": run.config}


def _runs_table(runs: list[ListedRun]) -> Table:
    width = SafeConsole().width if sys.stdout.isatty() else math.inf
    shown = build_table(runs, order=Order(descending=False), width=width, arrow=False)
    table = plain_table((column.heading, column.width, column.right) for column in shown.columns)
    keys = [column.key for column in shown.columns]
    for run, texts in zip(shown.runs, shown.rows, strict=True):
        styles = {"state": _STYLES[run.state], "run": "bold"}
        table.add_row(*(Text(text, styles.get(key, "")) for key, text in zip(keys, texts, strict=True)))
    return table


def _comparison_table(comparison: Comparison, labels: list[str]) -> Table:
    table = plain_table()
    table.add_column("run", no_wrap=True)
    for label in labels:
        table.add_column(Text(label), overflow="fold", min_width=cell_len(label))
    for setting, values in comparison.settings.items():
        table.add_row(Text(heading_of(setting)), *(Text(setting_cell(setting, value)) for value in values))
    if comparison.settings:
        table.add_row()
    for result, texts in comparison.results.items():
        table.add_row(result, *texts)
    return table


def _print_comparison(runs: list[ListedRun]) -> None:
    """Print a column for each run; where the terminal has no room for all of them, a row for each."""
    table = _comparison_table(compare_runs(runs), list(map(run_label, runs)))
    console = SafeConsole()
    if len(runs) == 1 or not sys.stdout.isatty() or _width(table) <= console.width:
        print_table(table)
        return
    columns = comparison_columns(runs)
    widths = [max(map(cell_len, (column.heading, *column.texts))) for column in columns]
    count = 1 + whole_columns([width + GAP for width in widths], 1, console.width - widths[0])
    shown = columns[:count]
    rows = plain_table(
        (column.heading, width, column.right) for column, width in zip(shown, widths, strict=False)
    )
    for row in range(len(runs)):
        rows.add_row(
            *(Text(column.texts[row], "bold green" if row in column.best else "") for column in shown)
        )
    print_table(rows)
    notes = [f"{BEST_MARK} best"] if any(column.best for column in shown) else []
    if columns[count:]:
        notes.append(f"no room for {', '.join(column.heading for column in columns[count:])}")
    if notes:
        console.print(Text(" · ".join(notes), "dim"))


def _print_class_gains(runs: list[ListedRun]) -> None:
    """Print the gains and losses of each class against the first run, for as many others as there is room."""
    compared = [read_compared(run) for run in runs]
    rows, labels = class_gains(compared), [run_label(run) for run in runs]
    console, notes = SafeConsole(), class_notes(compared)
    if rows:
        count = len(runs)
        while (
            count > 2 and sys.stdout.isatty() and _width(_gains_table(rows, labels[:count])) > console.width
        ):
            count -= 1
        print()
        print_table(_gains_table(rows, labels[:count]))
        notes = ["▲ ▼ percentage points of test accuracy against the first run", *notes]
        notes += [f"no room for {', '.join(labels[count:])}"] if count < len(runs) else []
    for note in notes:
        if sys.stdout.isatty():
            console.print(Text(note, "dim"))
        else:
            print_line(note, sys.stdout)


def _gains_table(rows: list[tuple[str, ...]], labels: list[str]) -> Table:
    table = plain_table([("class", 0, False), *((label, 0, True) for label in labels)])
    for row in rows:
        table.add_row(*map(Text, row[: len(labels) + 1]))
    return table


def _width(table: Table) -> int:
    """Return how many cells `table` takes where there is room for all of it."""
    console = SafeConsole()
    return console.measure(table, options=console.options.update(max_width=ENDLESS)).maximum
