"""The line of keys at the bottom of a screen."""

from textual.screen import Screen
from textual.widgets import Footer as TextualFooter


class Footer(TextualFooter):
    """Textual's footer, made anew only where it would show something else.

    Textual makes it anew whenever a screen comes back or the cursor moves: as long as to draw all the rest.
    """

    def __init__(self) -> None:
        super().__init__(compact=True, show_command_palette=False)
        self._made_of: list[tuple[str, str, bool]] | None = None

    def bindings_changed(self, screen: Screen[object]) -> None:
        """Show the keys that work on `screen` now."""
        shown = [
            (binding.key, binding.description, enabled)
            for _, binding, enabled, _ in screen.active_bindings.values()
            if binding.show
        ]
        if shown == self._made_of:
            return
        if screen.app.app_focus:  # without it nothing is made
            self._made_of = shown
        super().bindings_changed(screen)
