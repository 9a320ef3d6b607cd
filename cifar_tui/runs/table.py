"""The table of runs as plain data: which rows in which order, and the columns that fit."""

import contextlib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cifar_tui.engine.config.fields import suggestion
from cifar_tui.engine.config.schema import SETTINGS
from cifar_tui.engine.config.text import parse_setting
from cifar_tui.engine.errors import ConfigError
from cifar_tui.engine.text import cell_width, cut, escaped, escaped_name
from cifar_tui.runs.disk.summary import RunSummary
from cifar_tui.runs.format import UNKNOWN, stopped_at
from cifar_tui.runs.listing import COLUMNS, SIGNS, TEXT_COLUMNS, ListedRun, run_cells, setting_cell

ALIASES = {"lr": "learning_rate"}
"""Settings by the short name that the command line has for them."""

GAP = 2
"""Cells between two columns."""

_SHORT_NAMES = {setting: alias for alias, setting in ALIASES.items()}
_IN_OTHER_COLUMNS = frozenset({"preset", "data", "epochs"})
_SHORT_NAME = 16
_LONGEST_HEADING = 32
_MOST_SETTINGS = 3
"""Settings that stay while there are less important columns."""

_RESULTS = ("val", "best", "last", "loss")
_LEAST_SORTED_BY = ("age", "time", "epoch", "state", "name", "preset", "data", "run")

_LARGEST_FIRST = frozenset({"run", "epoch", "val", "best", "last"})
"""Columns that are first sorted in descending order: the newest, the best."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """The order of the rows: the column, which may also be a setting, and the direction."""

    column: str = "run"
    descending: bool = True

    def by(self, column: str) -> "Order":
        """Sort by `column` in its usual direction, or reversed if it is the column already."""
        if column == self.column:
            return Order(column=column, descending=not self.descending)
        return Order(column=column, descending=column in _LARGEST_FIRST)

    def next(self, columns: Sequence[str]) -> "Order":
        """Sort by the next of `columns`: results first, then settings, then the others."""
        keys = set(columns)
        settings = [key for key in columns if key not in COLUMNS]
        ranked = [key for key in (*_RESULTS, *settings, *_LEAST_SORTED_BY) if key in keys]
        now = ranked.index(self.column) if self.column in keys else -1
        return self.by(ranked[(now + 1) % len(ranked)])

    @property
    def arrow(self) -> str:
        """The direction as a sign."""
        return "▼" if self.descending else "▲"


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """A column of a table: `key` is one of `COLUMNS` or a setting, `width` is in cells."""

    key: str
    heading: str
    width: int
    right: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class RunsTable:
    """The rows and columns to show.

    Attributes:
        columns: the columns that fit, from left to right.
        runs: the run of each row.
        rows: the text of each cell.
        differing: all settings that differ between the runs shown, the most differing first.
    """

    columns: tuple[Column, ...]
    runs: tuple[ListedRun, ...]
    rows: tuple[tuple[str, ...], ...]
    differing: tuple[str, ...]


def build_table(
    runs: Sequence[ListedRun],
    *,
    needle: str = "",
    order: Order | None = None,
    width: float = math.inf,
    arrow: bool = True,
    headings: Sequence[Mapping[str, str]] = (),
) -> RunsTable:
    """Arrange `runs` in a table.

    Args:
        runs: the runs, in any order.
        needle: what to look for, see `filter_runs`.
        order: the order of the rows; by default the newest run comes first.
        width: width of the table in cells.
        arrow: whether the heading of the column that the rows are sorted by has an arrow.
        headings: cells of other rows by column, which must fit too.
    """
    order = order or Order()
    shown = sort_runs(filter_runs(runs, needle), order)
    differing = tuple(differing_settings(shown))
    columns = [name for name in COLUMNS if name not in _AS_NEEDED or any(map(_AS_NEEDED[name], shown))]
    columns[columns.index("epoch") : columns.index("epoch")] = differing
    cells = [dict.fromkeys(differing, UNKNOWN) | _cells(run) for run in shown]
    shortened: set[str] = set()
    titles = {
        name: heading_of(name) + (f" {order.arrow}" if arrow and name == order.column else "")
        for name in columns
    }

    def width_of(name: str) -> int:
        others = (row.get(name, "") for row in headings)
        return max(map(cell_width, (titles[name], *(row[name] for row in cells), *others)))

    widths = {name: width_of(name) for name in columns}
    for name in _least_important_first(cells, differing, order):
        if sum(widths.values()) + GAP * (len(widths) - 1) <= width:
            break
        if name in _SHORTENED and name in widths and name not in shortened:
            shortened.add(name)
            for row, run in zip(cells, shown, strict=True):
                row[name] = _SHORTENED[name](run)
            widths[name] = width_of(name)
        elif name != "state":
            widths.pop(name, None)
    return RunsTable(
        columns=tuple(
            Column(key=name, heading=titles[name], width=widths[name], right=_is_right(name, shown))
            for name in widths
        ),
        runs=tuple(shown),
        rows=tuple(tuple(row[name] for name in widths) for row in cells),
        differing=differing,
    )


def differing_settings(runs: Iterable[ListedRun]) -> list[str]:
    """Return the settings in which `runs` differ, the most differing first."""
    values: dict[str, set[str]] = {}
    configs = [run.config for run in runs if run.config is not None]
    for name in dict.fromkeys(name for config in configs for name in config):
        if name not in _IN_OTHER_COLUMNS:
            values[name] = {repr(config.get(name)) for config in configs}
    differing = [name for name, found in values.items() if len(found) > 1]
    return sorted(differing, key=lambda name: -len(values[name]))  # stable: else in the order of the form


def filter_runs(runs: Sequence[ListedRun], needle: str) -> list[ListedRun]:
    """Return the runs that match every word of `needle`.

    A word such as `lr=0.01` compares a setting or a column: a number must be equal, a text begin with the
    value. Any other word must occur in a column or in the value of a setting that differs between `runs`.
    """
    rows = [(run, _cells(run)) for run in runs]
    names = [*COLUMNS, *differing_settings(runs)]
    for word in needle.casefold().split():
        name, equals, value = word.partition("=")
        if equals:
            key = column_key(name, runs)
            rows = [row for row in rows if key is not None and _has_value(*row, key, value)]
        else:
            rows = [row for row in rows if any(word in row[1].get(name, "").casefold() for name in names)]
    return [run for run, _ in rows]


def filter_problem(runs: Sequence[ListedRun], needle: str) -> str:
    """Say which name in `needle` is neither a setting nor a column; "" if all are."""
    for word in needle.casefold().split():
        name, equals, _ = word.partition("=")
        if equals and column_key(name, runs) is None:
            known = [*ALIASES, *COLUMNS, *SETTINGS]
            return f'No setting or column is called "{name}"{suggestion(name, known)}'
    return ""


def column_key(name: str, runs: Iterable[ListedRun]) -> str | None:
    """Return the column or setting that the user calls `name`; None if there is none in `runs`."""
    key = name.replace("-", "_")
    key = ALIASES.get(key, key)
    known = key in COLUMNS or key in SETTINGS or any(key in (run.config or {}) for run in runs)
    return key if known else None


def sort_runs(runs: Sequence[ListedRun], order: Order) -> list[ListedRun]:
    """Sort `runs`; those without a value come last, equal ones with the newest first."""
    newest_first = sorted(runs, key=lambda run: (run.began, run.name), reverse=True)
    valued = [run for run in newest_first if _sort_value(run, order.column) is not None]
    unknown = [run for run in newest_first if _sort_value(run, order.column) is None]
    valued.sort(key=lambda run: _sort_value(run, order.column) or _NOTHING, reverse=order.descending)
    return valued + unknown


def state_text(run: ListedRun) -> str:
    """Say what state `run` is in, and where it was stopped."""
    summary = run.summary
    if run.state == "stopped" and summary is not None:
        return f"{SIGNS[run.state]} {stopped_at(summary.step, summary.total_steps)}"
    return f"{SIGNS[run.state]} {run.state}"


_AS_NEEDED: dict[str, Callable[[ListedRun], object]] = {
    "name": lambda run: run.title,
    "val": lambda run: run.summary is not None and run.summary.val_accuracy is not None,
}
"""What a run has of the columns that are shown only if one has something there."""

_SHORTENED: dict[str, Callable[[ListedRun], str]] = {
    "state": lambda run: f"{SIGNS[run.state]} {run.state}",
    "name": lambda run: cut(escaped_name(run.title), _SHORT_NAME),
}
"""The shorter texts of columns that have two."""


def details_text(run: ListedRun, table: RunsTable) -> str:
    """Say what the columns of `table` leave out of `run`: its whole state, error, results and settings."""
    shown, cells = {column.key for column in table.columns}, _cells(run)
    error = run.summary.error if run.summary is not None else ""
    left_out = shown | {"name"} | {name for name, has in _AS_NEEDED.items() if not has(run)}
    hidden = (name for name in (*table.differing, *COLUMNS) if name not in left_out)
    return " · ".join(
        [
            state_text(run),
            *([escaped(error)] if error else []),
            *(f"{heading_of(name)} {cells.get(name, UNKNOWN)}" for name in hidden),
        ]
    )


def heading_of(name: str) -> str:
    """Return what the column or setting `name` is called over a column."""
    return COLUMNS.get(name) or cut(_SHORT_NAMES.get(name, name), _LONGEST_HEADING)


_NOTHING: tuple[int, float, str] = (0, 0.0, "")


def _sort_value(run: ListedRun, column: str) -> tuple[int, float, str] | None:
    summary = run.summary or RunSummary()
    began = summary.started or summary.updated
    value: Any
    match column:
        case "run":
            return 0, run.began, run.name
        case "name":
            value = run.title or None
        case "state":
            value = run.state
        case "epoch":
            value = summary.epoch if run.summary else None
        case "val":
            value = summary.val_accuracy
        case "best":
            value = summary.best_accuracy
        case "last":
            value = summary.last_accuracy
        case "loss":
            value = summary.loss
        case "time":
            value = summary.train_seconds if run.summary else None
        case "age":
            value = -began if began else None
        case _:
            value = (run.config or {}).get(column)
    match value:
        case None | "":
            return None
        case int() | float():
            return 0, value, ""
        case _:
            return 1, 0.0, str(value).casefold()


def _cells(run: ListedRun) -> dict[str, str]:
    """Return the text of `run` in every column and for every setting."""
    config = run.config
    names = (*SETTINGS, *config) if config is not None else ()
    settings = {name: setting_cell(name, (config or {}).get(name)) for name in names}
    return {**settings, **run_cells(run), "state": state_text(run)}


def _is_right(name: str, runs: Iterable[ListedRun]) -> bool:
    if name in COLUMNS:
        return name not in TEXT_COLUMNS
    values = ((run.config or {}).get(name) for run in runs)
    return all(value is None or value == "" or type(value) in {int, float} for value in values)


def _least_important_first(
    cells: Sequence[dict[str, str]], differing: Sequence[str], order: Order
) -> list[str]:
    """Return what to give up where there is little room; those of `_SHORTENED` are shortened first."""
    same = [name for name in ("preset", "data") if len(cells) > 1 and len({row[name] for row in cells}) == 1]
    names = [
        *same,
        *reversed(differing[_MOST_SETTINGS:]),
        "loss",
        "state",
        "name",
        "last",
        "data",
        "preset",
        "time",
        *reversed(differing[1:_MOST_SETTINGS]),
        "age",
        "epoch",
        "name",
        *differing[:1],
        "best",
        "val",
    ]
    return [name for name in names if name != order.column or name in _SHORTENED]


def _has_value(run: ListedRun, cells: dict[str, str], key: str, text: str) -> bool:
    """Whether the column or setting `key` of `run` has the value `text`, which may still be being typed."""
    value = (run.config or {}).get(key)
    wanted = _number(key, text)
    if wanted is not None and isinstance(value, int | float):
        return value == wanted
    cell = cells.get(key, UNKNOWN)  # another version may know other settings
    texts = (cell, *cell.split(), setting_cell(key, value))
    return any(shown.casefold().startswith(text) for shown in texts)


def _number(key: str, text: str) -> float | None:
    with contextlib.suppress(ConfigError):
        value = parse_setting(key, text)
        return value if isinstance(value, int | float) else None
    return None
