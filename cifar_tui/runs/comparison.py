"""Runs side by side as plain data: a row for each, their results and the settings that differ as columns."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cifar_tui.engine.text import cut, escaped_name
from cifar_tui.runs.disk.summary import RunSummary
from cifar_tui.runs.format import UNKNOWN
from cifar_tui.runs.listing import ListedRun, compare_runs, run_cells, setting_cell
from cifar_tui.runs.table import heading_of, state_text

BEST_MARK = "★"

_LONGEST_LABEL = 28
_DECIMALS = 4
"""Decimals to which accuracies (0-1) and losses are compared: no more than a table shows."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ComparedColumn:
    """A heading and one text for each run; `best` are the rows with the best value."""

    heading: str
    texts: tuple[str, ...]
    right: bool = True
    best: frozenset[int] = frozenset()


def comparison_columns(runs: Sequence[ListedRun]) -> list[ComparedColumn]:
    """Return the columns of a comparison: the run first, then results, then the settings that differ.

    The best of different results begins with `BEST_MARK`.
    """
    cells = [run_cells(run) for run in runs]
    summaries = [run.summary or RunSummary() for run in runs]

    def figures(name: str) -> tuple[str, ...]:
        return tuple(cell[name] for cell in cells)

    comparison = compare_runs(runs)
    columns = [
        ComparedColumn(heading="run", texts=tuple(run_label(run) for run in runs), right=False),
        _marked("best test", figures("best"), [summary.best_accuracy for summary in summaries], max),
        _marked("last test", figures("last"), [summary.last_accuracy for summary in summaries], max),
        _marked("train loss", figures("loss"), [summary.loss for summary in summaries], min),
        *(
            ComparedColumn(
                heading=heading_of(name),
                texts=tuple(setting_cell(name, value) for value in values),
                right=all(type(value) in {int, float} for value in values),
            )
            for name, values in comparison.settings.items()
        ),
        ComparedColumn(heading="epoch", texts=figures("epoch")),
        ComparedColumn(heading="time", texts=figures("time")),
        ComparedColumn(heading="state", texts=tuple(state_text(run) for run in runs), right=False),
    ]
    return [column for column in columns if set(column.texts) != {UNKNOWN}]


def run_label(run: ListedRun) -> str:
    """Return what the user calls `run`: its name, or its ID without one."""
    return cut(escaped_name(run.title or run.name), _LONGEST_LABEL)


def whole_columns(widths: Sequence[int], first: int, room: int) -> int:
    """Return how many columns from `first` on fit whole into `room` cells, at least one if there is one."""
    count = 0
    for width in widths[first:]:
        room -= width
        if room < 0 and count:
            break
        count += 1
    return count


def _marked(
    heading: str,
    texts: tuple[str, ...],
    values: Sequence[float | None],
    best_of: Callable[[list[float]], float],
) -> ComparedColumn:
    known = {row: round(value, _DECIMALS) for row, value in enumerate(values) if value is not None}
    best: frozenset[int] = frozenset()
    if len(set(known.values())) > 1:
        winner = best_of(list(known.values()))
        best = frozenset(row for row, value in known.items() if value == winner)
    marked = tuple(f"{BEST_MARK} {text}" if row in best else text for row, text in enumerate(texts))
    return ComparedColumn(heading=heading, texts=marked, best=best)
