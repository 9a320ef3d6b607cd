"""The keys at the bottom of a screen."""

from typing import ClassVar

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets._footer import FooterKey

from cifar_tui.app.widgets.footer import Footer
from tests.app.panes.pane_app import until


class KeysApp(App[None]):
    """Five keys of 8 cells each, with the gap behind them."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding(key, f"ring('{key}')", f"Ring{key}") for key in "abcde"]
    ENABLE_COMMAND_PALETTE = False

    def compose(self) -> ComposeResult:
        yield Footer()

    def shown(self) -> str:
        return "".join(key.key for key in self.query(FooterKey) if key.display)


async def test_a_key_that_would_be_cut_is_not_shown_until_there_is_room():
    app = KeysApp()
    async with app.run_test(size=(31, 5)) as pilot:
        await until(pilot, lambda: app.shown() == "abcd")  # the gap behind the last takes no room
        assert max(key.region.right for key in app.query(FooterKey) if key.display) <= 31
        await pilot.resize_terminal(30, 5)
        await until(pilot, lambda: app.shown() == "abc")
        await pilot.resize_terminal(80, 5)
        await until(pilot, lambda: app.shown() == "abcde")
