"""Runs as a table for LaTeX."""

import re
from collections.abc import Sequence
from pathlib import Path

from cifar_tui.runs.disk.summary import RunSummary
from cifar_tui.runs.export.files import MARK, ExportFile
from cifar_tui.runs.export.record import RunRecord
from cifar_tui.runs.export.tables import changed_settings
from cifar_tui.runs.format import duration
from cifar_tui.runs.listing import compare_runs, setting_cell

_SPECIAL = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": "$<$",
        ">": "$>$",
        "|": "$|$",
        '"': r"{\char34}",  # babel gives a plain one a meaning
        "[": "{[}",  # after \\ it would be its argument
        "]": "{]}",
    }
    | {character: f"\\{character}" for character in "{}$&#%_"}
)
_MOST_COLUMNS = 8
_DECIMALS = 4
"""Decimals to which accuracies (0-1) are compared: no more than the table shows."""


def latex_files(records: Sequence[RunRecord], path: Path) -> list[ExportFile]:
    r"""Return the table of `records` as the file `path`, for `\input`: a `tabular` of booktabs.

    A row has the run, the settings in which the runs differ, its best and last test accuracy, the highest in
    bold, and its training time. Of runs with different presets, settings that follow from these are left out.
    A table of more columns than a page has room for is turned if that makes it narrower.
    """
    summaries = [record.run.summary or RunSummary() for record in records]
    settings = _settings(records)
    columns = [["run", *(record.label for record in records)]]
    columns += [[name, *(setting_cell(name, value) for value in values)] for name, values in settings.items()]
    columns.append(["time", *(duration(summary.train_seconds) for summary in summaries)])
    columns = [list(map(escape_latex, column)) for column in columns]
    best = _accuracies([summary.best_accuracy for summary in summaries])
    last = _accuracies([summary.last_accuracy for summary in summaries])
    tests = {"best test": best, "last test": last} if best != last else {"test": last}
    columns[-1:-1] = [[rf"{heading} (\%)", *values] for heading, values in tests.items()]
    kinds = ["l", *("r" if _are_numbers(values) else "l" for values in settings.values())]
    kinds += "r" * (len(columns) - len(kinds))
    if len(columns) > max(_MOST_COLUMNS, len(columns[0])):
        columns, kinds = list(map(list, zip(*columns, strict=True))), ["l", *"r" * len(records)]
    headings, *rows = zip(*columns, strict=True)
    lines = [
        f"% {MARK}; needs \\usepackage{{booktabs}}, and XeLaTeX or LuaLaTeX for names that are not Latin",
        f"\\begin{{tabular}}{{{''.join(kinds)}}}",
        r"\toprule",
        _row(headings),
        r"\midrule",
        *map(_row, rows),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    return [ExportFile(path=path, content=("\n".join(lines) + "\n").encode())]


def _settings(records: Sequence[RunRecord]) -> dict[str, tuple[object, ...]]:
    """Return the settings in which runs differ, without those that follow from their presets."""
    if len(records) == 1:
        return {}
    changed = {"preset"}.union(*map(changed_settings, records))
    settings = compare_runs([record.run for record in records]).settings
    return {name: values for name, values in settings.items() if name in changed}


def escape_latex(text: str) -> str:
    """Return escaped `text` so that LaTeX prints it as it is."""
    return re.sub("-(?=-)", "-{}", text.translate(_SPECIAL))


def _row(cells: Sequence[str]) -> str:
    return f"{' & '.join(cells)} \\\\"


def _accuracies(shares: Sequence[float | None]) -> list[str]:
    known = {round(share, _DECIMALS) for share in shares if share is not None}
    texts = []
    for share in shares:
        text = "--" if share is None else f"{100 * share:.2f}"
        is_best = share is not None and len(known) > 1 and round(share, _DECIMALS) == max(known)
        texts.append(f"\\textbf{{{text}}}" if is_best else text)
    return texts


def _are_numbers(values: Sequence[object]) -> bool:
    """Return whether a column has numbers and empty cells only."""
    kinds = set(map(type, values))
    return kinds != {type(None)} and kinds <= {int, float, type(None)}
