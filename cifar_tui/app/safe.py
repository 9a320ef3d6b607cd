"""An app on whose screen what others wrote is literal and does no harm."""

import base64
from collections.abc import Sequence

from rich.segment import Segment
from textual.app import App
from textual.color import Color
from textual.filter import LineFilter
from textual.notifications import SeverityLevel

from cifar_tui.app.clipboard import copy, passed_through, value_at_cursor
from cifar_tui.app.few_colours import NearestColours
from cifar_tui.engine.text import escape_hidden, escaped


class Escaped(LineFilter):
    """Escapes what a terminal would interpret in every line of every widget, which stays as wide as it is.

    Who lays a text out by its width escapes it before, so that here nothing is cut off.
    """

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        del background
        texts = [escape_hidden(segment.text) for segment in segments]
        if all(text is segment.text for text, segment in zip(texts, segments, strict=True)):
            return segments
        shown = [
            Segment(text, segment.style, segment.control)
            for text, segment in zip(texts, segments, strict=True)
        ]
        return Segment.adjust_line_length(shown, Segment.get_line_length(segments))


_ESCAPED, _NEAREST = Escaped(), NearestColours()  # one: Textual caches what a filter made of a line


class SafeApp(App[int]):
    """An app that escapes what it draws and copies, and takes no notice for markup."""

    def get_line_filters(self) -> Sequence[LineFilter]:
        nearest = [_NEAREST] if self.console.color_system == "256" else []
        return [*super().get_line_filters(), _ESCAPED, *nearest]

    def notify(
        self,
        message: str,
        *,
        title: str = "",
        severity: SeverityLevel = "information",
        timeout: float | None = None,
        markup: bool = True,
    ) -> None:
        """Show `message` for a while; it is never taken for markup."""
        del markup
        super().notify(
            escaped(message), title=escaped(title), severity=severity, timeout=timeout, markup=False
        )

    def action_copy_value(self) -> None:
        """Copy what is at the cursor, and say so."""
        value = value_at_cursor(self.screen)
        if value:
            copy(self, value)
        else:
            self.notify(
                "Nothing to copy here: move to a setting or an image, or press x for a cursor in a chart.",
                severity="warning",
            )

    def copy_to_clipboard(self, text: str) -> None:
        """Copy `text`, inside tmux too; what is no Unicode in it, as in the name of a file, is escaped."""
        encoded = text.encode(errors="backslashreplace")
        super().copy_to_clipboard(encoded.decode())
        through = passed_through(f"\x1b]52;c;{base64.b64encode(encoded).decode()}\a")
        if through and self._driver is not None:
            self._driver.write(through)
