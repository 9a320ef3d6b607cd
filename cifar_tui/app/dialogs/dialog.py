"""What all boxes over a screen have in common."""

from typing import TypeVar

from textual.screen import ModalScreen

Answer = TypeVar("Answer")


class Dialog(ModalScreen[Answer]):
    """A box that is closed by the keys that leave the program anywhere else.

    `AUTO_FOCUS` of one with buttons is the answer that enter gives, a harmless one.
    """

    def on_mount(self) -> None:
        """Focus on that answer also where the terminal is not in front: Textual would focus on nothing."""
        if self.AUTO_FOCUS:
            self.set_focus(self.query_one(self.AUTO_FOCUS))

    def leave(self) -> None:
        """Close it at such a key."""
        self.dismiss(None)
