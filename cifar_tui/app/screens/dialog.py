"""What all boxes over a screen have in common."""

from typing import TypeVar

from textual.screen import ModalScreen

Answer = TypeVar("Answer")


class Dialog(ModalScreen[Answer]):
    """A box that is closed by the keys that leave the program anywhere else."""

    def leave(self) -> None:
        """Close it at such a key."""
        self.dismiss(None)
