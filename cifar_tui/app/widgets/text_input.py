"""An input that takes its own keys in the order in which they were typed."""

from textual.events import Key
from textual.widgets import Input


class TextInput(Input):
    """Runs its key bindings at once: as messages they would run after the letters typed behind them.

    Leaves alt+letter to the app, which makes it escape and the letter, and up and down to the screen.
    """

    async def _on_key(self, event: Key) -> None:
        if event.key.startswith("alt+"):
            event.prevent_default()
        elif event.key in {"up", "down"}:
            return  # Textual's input would scroll with them
        elif not event.is_printable and event.key in self._bindings.key_to_bindings:
            event.stop()
            event.prevent_default()
            await self.run_action(self._bindings.key_to_bindings[event.key][0].action)
