"""Rich's console, on which what others wrote does no harm, and tables on it."""

import sys
from collections.abc import Iterable, Iterator

from rich.console import Console, ConsoleOptions, JustifyMethod, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from cifar_tui.engine.text import escape_hidden
from cifar_tui.runs.table import GAP

ENDLESS = 100_000
"""The width of a console that cuts nothing."""


class SafeConsole(Console):
    """A console that escapes what a terminal would interpret, before it is cut to the width of its column."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        """Render as `Console` does; only Rich's own control codes stay."""
        for segment in super().render(renderable, options):
            text, style, control = segment
            if control is None and text != "\n":
                yield Segment("\n".join(map(escape_hidden, text.split("\n"))), style)
            else:
                yield segment


def plain_table(columns: Iterable[tuple[str, int, bool]] = ()) -> Table:
    """Return an empty table without lines; of each column: heading, width in cells, aligned right or not."""
    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold")
    for heading, width, right in columns:
        justify: JustifyMethod = "right" if right else "left"
        table.add_column(Text(heading), justify=justify, no_wrap=True, min_width=width)
    return table


def print_table(table: Table) -> None:
    """Print `table`; if stdout is no terminal, as plain text of any width."""
    if sys.stdout.isatty():
        SafeConsole(highlight=False).print(table, crop=False)  # never break an ID
        return
    console = SafeConsole(file=sys.stdout, width=ENDLESS, color_system=None, highlight=False)
    with console.capture() as captured:
        console.print(table)
    for line in captured.get().splitlines():
        print(line.rstrip())
