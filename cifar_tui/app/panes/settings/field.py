"""`Field`: the one input of the form, laid over the row that has the cursor."""

from collections.abc import Callable, Mapping

from rich.segment import Segment
from textual.events import Key
from textual.strip import Strip

from cifar_tui.app.widgets.text_input import TextInput


class Field(TextInput):
    """Has the focus whatever the row, so that keys typed ahead are taken in order and end in the right row.

    On a text it is an input. On other rows it takes no letters, which stay commands.

    Args:
        keys: what keys do on all rows.
        choice_keys: what keys do on rows without a text.
        on_entered: called when it gets the focus, before any key typed behind that.

    Attributes:
        mark: what it shows on a row without a text; None on one with a text.
        is_number: whether the text is a number, so that / stays a command.
    """

    DEFAULT_CSS = """
    Field { position: absolute; width: 1; }
    """

    def __init__(
        self,
        *,
        keys: Mapping[str, Callable[[], object]],
        choice_keys: Mapping[str, Callable[[], object]],
        on_entered: Callable[[], object],
    ) -> None:
        super().__init__(compact=True, select_on_focus=False)
        self._keys = keys
        self._choice_keys = choice_keys
        self._on_entered = on_entered
        self.mark: str | None = " "
        self.is_number = False

    @property
    def is_text(self) -> bool:
        """Whether the row has a text to edit."""
        return self.mark is None

    def edit(self, text: str, *, is_word: bool) -> None:
        """Edit `text`, from its end; what is typed first replaces a word, such as "none" for 0."""
        self.mark = None
        self.value = text
        self.cursor_position = len(text)
        if is_word:
            self.select_all()

    def rest(self, mark: str) -> None:
        """Edit nothing; only show `mark`, a single character."""
        self.mark = mark
        self.value = ""
        self.refresh()

    def check_consume_key(self, key: str, character: str | None) -> bool:
        return self._takes(key) and super().check_consume_key(key, character)

    def _takes(self, key: str) -> bool:
        """Whether the printable `key` is text here."""
        return self.is_text and not (self.is_number and key == "slash")

    def on_focus(self) -> None:
        self._on_entered()

    async def _on_key(self, event: Key) -> None:
        alt = event.key.startswith("alt+")  # the app makes it escape and the letter
        if event.is_printable and not alt and self._takes(event.key):
            return  # the input takes it
        call = self._keys.get(event.key) or (None if self.is_text else self._choice_keys.get(event.key))
        if call is not None:
            event.stop()
            call()
        elif self.is_text and not event.is_printable:
            await super()._on_key(event)
        event.prevent_default()

    def render_line(self, y: int) -> Strip:
        if self.mark is None:
            return super().render_line(y)
        return Strip([Segment(self.mark, self.visual_style.rich_style)])
