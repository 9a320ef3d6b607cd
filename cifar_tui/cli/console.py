"""Rich's console, on which what others wrote does no harm."""

from collections.abc import Iterator

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from cifar_tui.engine.text import escape_hidden


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
