"""A line of text, and a horizontal bar for such a line."""

from textual.content import Content
from textual.widgets import Static


class Line(Static):
    """Text on one row unless a style says otherwise; repainted only when it changes."""

    DEFAULT_CSS = """
    Line { height: 1; text-wrap: nowrap; text-overflow: ellipsis; }
    """

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._shown = self._written = Content()

    def show(self, content: Content) -> None:
        """Replace the text by `content`."""
        if not content.is_same(self._shown):
            self._shown = content
            if self.display:  # Textual takes as long for an update that nobody sees
                self.on_show()

    def on_show(self) -> None:
        if self._written is not self._shown:
            self._written = self._shown
            self.update(self._shown, layout=self.styles.auto_dimensions)

    @property
    def plain(self) -> str:
        """The text without its styles."""
        return self._shown.plain


def bar(fraction: float, width: int, style: str) -> Content:
    """Draw a bar of `width` columns that is full up to `fraction` (0-1), readable without colour."""
    halves = round(2 * width * min(1.0, max(0.0, fraction)))
    full = "━" * (halves // 2) + "╸" * (halves % 2)
    return Content.assemble((full, style), ("─" * (width - len(full)), "$foreground 25%"))
