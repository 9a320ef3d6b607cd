"""What every benchmark returns: rows of measurements with limits, printed as a table or as JSON."""

import contextlib
import importlib.metadata
import statistics
import sys
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from cifar_tui import __version__

_PACKAGES = ("torch", "torchvision", "numba", "textual", "rich", "plotext", "numpy")
_PLAIN_WIDTH = 1000


@dataclass(frozen=True, kw_only=True, slots=True)
class Measurement:
    """One quantity, measured at least once.

    Attributes:
        name: the quantity, as the table calls it.
        values: every repetition, in `unit`.
        unit: of the values and limits; empty for ratios and counts.
        digits: decimals in the table.
        at_least: lower limit of the median; None: no limit.
        at_most: upper limit of the median; None: no limit.
    """

    name: str
    values: tuple[float, ...]
    unit: str = ""
    digits: int = 2
    at_least: float | None = None
    at_most: float | None = None

    @property
    def median(self) -> float:
        """The median of all repetitions."""
        return statistics.median(self.values)

    @property
    def met(self) -> bool:
        """Whether the median is within the limits."""
        high_enough = self.at_least is None or self.median >= self.at_least
        return high_enough and (self.at_most is None or self.median <= self.at_most)

    @property
    def spread(self) -> str:
        """The lowest and the highest value; empty for a single one."""
        if len(self.values) == 1:
            return ""
        return f"{self._format(min(self.values))}–{self._format(max(self.values))}"

    @property
    def limit(self) -> str:
        """The limit as the table shows it; empty if there is none."""
        limits = (("≥", self.at_least), ("≤", self.at_most))
        return ", ".join(f"{sign} {self._format(value)}" for sign, value in limits if value is not None)

    def to_dict(self) -> dict[str, Any]:
        """Return the row as plain values; the standard deviation is that of a sample (n - 1)."""
        return {
            "name": self.name,
            "unit": self.unit,
            "median": self.median,
            "min": min(self.values),
            "max": max(self.values),
            "mean": statistics.fmean(self.values),
            "stdev": statistics.stdev(self.values) if len(self.values) > 1 else 0.0,
            "n": len(self.values),
            "at_least": self.at_least,
            "at_most": self.at_most,
            "met": self.met,
        }

    def cells(self) -> tuple[str | Text, ...]:
        """Return the row as the cells of the table."""
        median = f"{self._format(self.median)} {self.unit}".rstrip()
        mark = Text("✓", "green") if self.met else Text("✗", "bold red")
        return self.name, median, self.spread, str(len(self.values)), self.limit, mark if self.limit else ""

    def _format(self, value: float) -> str:
        return f"{value:,.{self.digits}f}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """The result of one benchmark: a title and its rows."""

    title: str
    rows: tuple[Measurement, ...]

    @property
    def met(self) -> bool:
        """Whether every row is within its limits."""
        return all(row.met for row in self.rows)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain values."""
        return {"title": self.title, "met": self.met, "rows": [row.to_dict() for row in self.rows]}

    def to_text(self, *, terminal: bool) -> str:
        """Render the table: for a terminal in colour and in its width, else as plain text."""
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
        table.add_column("metric", overflow="fold")
        for heading in ("median", "min–max", "n", "required"):
            table.add_column(heading, justify="right", no_wrap=True)
        table.add_column("met", no_wrap=True)
        for row in self.rows:
            table.add_row(*row.cells())
        console = Console(highlight=False) if terminal else Console(width=_PLAIN_WIDTH, color_system=None)
        with console.capture() as captured:
            console.print(Text(self.title, style="bold"))
            console.print(table)
        return "\n".join(line.rstrip() for line in captured.get().splitlines())


def versions() -> dict[str, str | None]:
    """Return the versions of the program and of what it is built on; None for what is not installed."""
    found: dict[str, str | None] = {"cifar-tui": __version__}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = None
    return found


def show_progress(text: str) -> None:
    """Show on standard error what is being measured; the next line replaces it if that is a terminal."""
    with contextlib.suppress(OSError):  # nobody reads it
        if sys.stderr.isatty():
            sys.stderr.write(f"\r\x1b[K{text}")
        elif text:
            sys.stderr.write(f"{text}\n")
        sys.stderr.flush()
