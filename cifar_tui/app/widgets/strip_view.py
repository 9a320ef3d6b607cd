"""A widget for ready-made lines."""

from collections.abc import Sequence

from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget


class StripView(Widget):
    """Shows lines that something else drew, and repaints only those that changed."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._lines: list[Strip] = []

    def show(self, lines: Text | Sequence[Strip]) -> None:
        """Put `lines` in the place of what is shown."""
        new = self._strips(lines) if isinstance(lines, Text) else list(lines)
        changed = [
            y for y in range(max(len(new), len(self._lines))) if new[y : y + 1] != self._lines[y : y + 1]
        ]
        self._lines = new
        if changed:
            self.refresh(*(Region(0, y, self.size.width, 1) for y in changed))

    @property
    def plain(self) -> str:
        """The text of the lines."""
        return "\n".join(line.text for line in self._lines)

    def render_line(self, y: int) -> Strip:
        """Line `y` on the background of the widget."""
        line = self._lines[y] if y < len(self._lines) else Strip.blank(0)
        background = self.visual_style.rich_style  # cached, which self.rich_style is not
        return _on(line, background).adjust_cell_length(self.size.width, background)

    def _strips(self, text: Text) -> list[Strip]:
        return [Strip(line.render(self.app.console, end="")) for line in text.split("\n")]


def _on(line: Strip, background: Style) -> Strip:
    """`line` on a background, where it does not have both its colours already, as pictures do."""
    return Strip(
        [
            segment
            if (style := segment.style) and style.color and style.bgcolor
            else Segment(segment.text, background + style)
            for segment in line
        ],
        line.cell_length,
    )
