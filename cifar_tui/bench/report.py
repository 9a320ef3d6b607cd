"""What all benchmarks share: spreads, the machine, the table and the JSON."""

import json
import os
import platform
import statistics
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

_ENDLESS = 100_000
_STDOUT = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Spread:
    """What `n` measurements of one quantity gave, in the unit they were taken in."""

    median: float
    minimum: float
    maximum: float
    n: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """A row of the table.

    Attributes:
        quantity: what was measured, for the user to read.
        spread: what it gave.
        unit: what `spread` and `limit` are in; "%" where they are shares (0-1).
        digits: decimals to show.
        limit: what the median may reach at most; None where there is no limit.
    """

    quantity: str
    spread: Spread
    unit: str = ""
    digits: int = 2
    limit: float | None = None

    @property
    def met(self) -> bool:
        """Whether the median is within the limit."""
        return self.limit is None or self.spread.median <= self.limit


def spread(values: Iterable[float]) -> Spread:
    """The median and the range of `values`, at least one."""
    taken = sorted(values)
    return Spread(median=statistics.median(taken), minimum=taken[0], maximum=taken[-1], n=len(taken))


def machine() -> dict[str, Any]:
    """The machine and the Python that the figures hold for."""
    return {
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        "usable_cpus": len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count(),
        "python": platform.python_version(),
    }


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
        span = f"{_amount(found.minimum, figure)}–{_amount(found.maximum, figure)}" if found.n > 1 else ""
        limit = "" if figure.limit is None else f"≤ {_amount(figure.limit, figure)} {figure.unit}".rstrip()
        mark = ("✓", "green") if figure.met else ("✗", "bold red")
        table.add_row(
            figure.quantity,
            f"{_amount(found.median, figure)} {figure.unit}".rstrip(),
            span,
            str(found.n),
            limit,
            Text(*mark) if figure.limit is not None else "",
        )
    terminal = sys.stdout.isatty()
    console = Console(highlight=False) if terminal else Console(width=_ENDLESS, color_system=None)
    with console.capture() as captured:
        console.print(Text(title, style="bold"))
        console.print(table)
    _print("\n".join(line.rstrip() for line in captured.get().splitlines()))


def _amount(value: float, figure: Figure) -> str:
    return f"{100 * value if figure.unit == '%' else value:,.{figure.digits}f}"


def _print(text: str) -> None:
    try:
        print(text, flush=True)
    except BrokenPipeError:
        # whoever read has read enough; nothing more may be written when the interpreter ends
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, _STDOUT)
        os.close(null)
