"""The keys that work now, at the bottom of a screen."""

from collections.abc import Iterable

from textual.app import ComposeResult
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Footer as TextualFooter
from textual.widgets._footer import FooterKey

from cifar_tui.engine.text import cell_width


class Footer(TextualFooter):
    """Textual's footer, recomposed only when its keys change, without a key that would be cut.

    Textual recomposes it whenever the focus moves, which takes as long as drawing the rest of the screen.
    """

    def __init__(self) -> None:
        super().__init__(compact=True, show_command_palette=False)
        self._shown: list[tuple[str, str, bool]] | None = None

    def compose(self) -> ComposeResult:
        keys = list(super().compose())
        self._hide_cut(keys)
        yield from keys

    def on_resize(self) -> None:
        self._hide_cut(self.children)

    def bindings_changed(self, screen: Screen[object]) -> None:
        shown = [
            (binding.key, binding.description, enabled)
            for _, binding, enabled, _ in screen.active_bindings.values()
            if binding.show
        ]
        if shown == self._shown:
            return
        if screen.app.app_focus:  # otherwise Textual skips the update
            self._shown = shown
        super().bindings_changed(screen)

    def _hide_cut(self, keys: Iterable[Widget]) -> None:
        """Show those of `keys` that fit, from the first on."""
        end = 0
        for key in keys:
            if isinstance(key, FooterKey):
                end += cell_width(f"{key.key_display} {key.description} ")
                key.display = end - 1 <= self.screen.size.width
