"""Copy text to the clipboard of the user's terminal, also over SSH and inside tmux (OSC 52)."""

import os
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from textual.binding import Binding

from cifar_tui.engine.text import cut_path
from cifar_tui.runs.format import byte_count

if TYPE_CHECKING:
    from textual.app import App
    from textual.screen import Screen

LARGEST = 74_994
"""Bytes that terminals take: xterm and hterm ignore sequences of more than 100,000 characters."""

_SHOWN = 60

COPY = Binding("y", "app.copy_value", "Copy", show=False, tooltip="Copy what is at the cursor")
"""The key of the views that get no keys of the app."""


@runtime_checkable
class HasValue(Protocol):
    """A widget with a cursor, or what it reads, to copy."""

    def value_to_copy(self) -> str:
        """Return what is at the cursor, as the user reads it; "" without any."""


def value_at_cursor(screen: "Screen[object]") -> str:
    """Return what is at the cursor of the focused widget, or of what it is in; "" without any."""
    values = (
        node.value_to_copy()
        for node in (screen.focused or screen).ancestors_with_self
        if isinstance(node, HasValue)
    )
    return next(filter(None, values), "")


def copy(app: "App[int]", text: str) -> None:
    """Copy `text` and say so, or say that it is too long."""
    size = len(text.encode(errors="backslashreplace"))
    if size > LARGEST:
        app.notify(
            f"Not copied: {byte_count(size)} is more than terminals take ({byte_count(LARGEST)}).",
            severity="warning",
        )
        return
    app.copy_to_clipboard(text)
    app.notify(f"Copied {cut_path(text, _SHOWN)}")


def passed_through(sequence: str) -> str:
    """Return what makes tmux hand `sequence` on to the terminal it runs in; "" outside tmux.

    tmux itself takes OSC 52 only with `set-clipboard on`, and this only with `allow-passthrough on`.
    """
    if not os.environ.get("TMUX"):
        return ""
    return "\x1bPtmux;" + sequence.replace("\x1b", "\x1b\x1b") + "\x1b\\"
