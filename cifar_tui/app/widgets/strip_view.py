"""A widget for lines that are drawn elsewhere: charts and pictures."""

from collections.abc import Sequence

from rich.segment import Segment
from rich.text import Text
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget


class StripView(Widget):
    """Shows lines and repaints only those that changed."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._lines: list[Strip] = []

    def show(self, lines: Text | Sequence[Strip]) -> None:
        """Replace all lines by `lines`."""
        if isinstance(lines, Text):
            lines = [Strip(line.render(self.app.console, end="")) for line in lines.split("\n")]
        old, self._lines = self._lines, list(lines)
        height = max(len(old), len(self._lines))
        changed = [y for y in range(height) if old[y : y + 1] != self._lines[y : y + 1]]
        if changed:
            self.refresh(*(Region(0, y, self.size.width, 1) for y in changed))

    @property
    def plain(self) -> str:
        """The lines without their styles."""
        return "\n".join(line.text for line in self._lines)

    def render_line(self, y: int) -> Strip:
        background = self.visual_style.rich_style  # cached, unlike self.rich_style
        segments = [
            segment
            if (style := segment.style) and style.color and style.bgcolor  # a pixel covers the background
            else Segment(segment.text, background + style)
            for segment in (self._lines[y] if y < len(self._lines) else ())
        ]
        return Strip(segments).adjust_cell_length(self.size.width, background)


class DrawnView(StripView):
    """Lines that the view draws itself, whenever its size, its focus or the theme changes."""

    def on_mount(self) -> None:
        self.app.theme_changed_signal.subscribe(self, lambda _: self.redraw())

    def on_resize(self) -> None:
        self.redraw()

    def on_focus(self) -> None:
        self.redraw()

    def on_blur(self) -> None:
        self.redraw()

    def redraw(self) -> None:
        """Draw what fits."""
        raise NotImplementedError
