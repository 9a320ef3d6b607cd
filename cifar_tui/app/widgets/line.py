"""A line of text."""

from textual.content import Content
from textual.widgets import Static


class Line(Static):
    """Text, one row unless a style says otherwise, that is only painted again when the text differs."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._shown = Content()

    def show(self, content: Content) -> None:
        """Put `content` in the place of the text."""
        if not content.is_same(self._shown):
            self._shown = content
            self.update(content, layout=self.styles.is_auto_height)

    @property
    def plain(self) -> str:
        """The text without its styles."""
        return self._shown.plain
