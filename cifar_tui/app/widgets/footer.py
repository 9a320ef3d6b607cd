"""The keys that work now, at the bottom of a screen."""

from textual.screen import Screen
from textual.widgets import Footer as TextualFooter


class Footer(TextualFooter):
    """Textual's footer, recomposed only when its keys change.

    Textual recomposes it whenever the focus moves, which takes as long as drawing the rest of the screen.
    """

    def __init__(self) -> None:
        super().__init__(compact=True, show_command_palette=False)
        self._shown: list[tuple[str, str, bool]] | None = None

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
