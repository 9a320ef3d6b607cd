"""What all benchmarks share: spreads, limits, versions, the table and the JSON."""

import importlib.metadata
import json
import statistics
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from rich.console import Console
from rich.table import Table
from rich.text import Text

from cifar_tui import __version__
from cifar_tui.terminal.native_output import STDOUT, redirect_to_devnull

_PACKAGES = ("torch", "torchvision", "textual", "rich", "plotext", "numpy")

_ENDLESS = 100_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Spread:
    """What `n` measurements of one quantity gave, in the unit they were taken in.

    `standard_deviation` is that of a sample (n - 1); 0 for a single measurement.
    """

    median: float
    minimum: float
    maximum: float
    mean: float
    standard_deviation: float
    n: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """A row of the table.

    Attributes:
        quantity: what was measured, for the user to read.
        spread: what it gave.
        unit: what `spread` and the limits are in; "%" where they are shares (0-1).
        digits: decimals to show.
        at_most: what the median may reach at most; None where there is no such limit.
        at_least: what the median must reach at least; None where there is no such limit.
        by_mean: whether the mean and the standard deviation are shown in place of the median and the range.
    """

    quantity: str
    spread: Spread
    unit: str = ""
    digits: int = 2
    at_most: float | None = None
    at_least: float | None = None
    by_mean: bool = False

    @property
    def limited(self) -> bool:
        """Whether there is a limit."""
        return self.at_most is not None or self.at_least is not None

    @property
    def met(self) -> bool:
        """Whether the median is within the limits."""
        low_enough = self.at_most is None or self.spread.median <= self.at_most
        return low_enough and (self.at_least is None or self.spread.median >= self.at_least)


class Measured(Protocol):
    """What a benchmark found."""

    @property
    def title(self) -> str:
        """What stands above the table."""
        ...

    @property
    def met(self) -> bool:
        """Whether every limit is kept."""
        ...

    def figures(self) -> list[Figure]:
        """The rows of the table."""
        ...

    def as_json(self) -> dict[str, Any]:
        """The figures as plain values."""
        ...


def spread(values: Iterable[float]) -> Spread:
    """The median and the range of `values`, at least one."""
    taken = sorted(values)
    return Spread(
        median=statistics.median(taken),
        minimum=taken[0],
        maximum=taken[-1],
        mean=statistics.fmean(taken),
        standard_deviation=statistics.stdev(taken) if len(taken) > 1 else 0.0,
        n=len(taken),
    )


def versions() -> dict[str, str]:
    """The program's version and those of what it is built on."""
    return {"cifar-tui": __version__} | {name: importlib.metadata.version(name) for name in _PACKAGES}


def show_progress(text: str, *, passing: bool = False) -> None:
    """Say on standard error what is being done; what is `passing` only where a terminal can overwrite it."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{text}")
    elif text and not passing:
        sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def print_json(values: dict[str, Any]) -> None:
    """Print `values` as one JSON object."""
    _print(json.dumps(values, indent=2, allow_nan=False))


def print_figures(title: str, figures: Sequence[Figure]) -> None:
    """Print `figures` as a table under `title`; where standard output is no terminal, in plain text."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("quantity", overflow="fold")
    for heading in ("median", "spread", "n", "limit"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("met", no_wrap=True)
    for figure in figures:
        found = figure.spread
        middle = found.mean if figure.by_mean else found.median
        mark = ("✓", "green") if figure.met else ("✗", "bold red")
        table.add_row(
            figure.quantity,
            f"{_amount(middle, figure)} {figure.unit}".rstrip(),
            _range(figure),
            str(found.n),
            _limit(figure),
            Text(*mark) if figure.limited else "",
        )
    terminal = sys.stdout.isatty()
    console = Console(highlight=False) if terminal else Console(width=_ENDLESS, color_system=None)
    with console.capture() as captured:
        console.print(Text(title, style="bold"))
        console.print(table)
    _print("\n".join(line.rstrip() for line in captured.get().splitlines()))


def _range(figure: Figure) -> str:
    found = figure.spread
    if found.n == 1:
        return ""
    if figure.by_mean:
        return f"mean ± {_amount(found.standard_deviation, figure)}"
    return f"{_amount(found.minimum, figure)}–{_amount(found.maximum, figure)}"


def _limit(figure: Figure) -> str:
    limits = (("≥", figure.at_least), ("≤", figure.at_most))
    return ", ".join(
        f"{sign} {_amount(limit, figure)} {figure.unit}".rstrip()
        for sign, limit in limits
        if limit is not None
    )


def _amount(value: float, figure: Figure) -> str:
    return f"{100 * value if figure.unit == '%' else value:,.{figure.digits}f}"


def _print(text: str) -> None:
    try:
        print(text, flush=True)
    except BrokenPipeError:
        redirect_to_devnull(STDOUT)  # whoever read has read enough
