"""A screen of panes: all side by side where they fit, else one at a time."""

from collections.abc import Callable, Mapping
from typing import ClassVar

from textual.app import ComposeResult
from textual.containers import Grid
from textual.content import Content
from textual.geometry import Size
from textual.screen import ScreenResultType
from textual.widgets import Static

from cifar_tui.app.linked import LinkedScreen
from cifar_tui.app.widgets.header import PaneTabs
from cifar_tui.app.widgets.pane import Pane

MINIMUM_SIZE = (60, 16)
_ALL_PANES = (110, 36)
"""The least columns and rows where all panes are visible at once."""

_WIDTHS = [
    (0, "-too-narrow"),
    (MINIMUM_SIZE[0], "-slim"),
    (80, "-narrow"),
    (_ALL_PANES[0], "-wide"),
    (170, "-very-wide"),
]
_HEIGHTS = [(0, "-too-low"), (MINIMUM_SIZE[1], "-flat"), (20, "-low"), (_ALL_PANES[1], "-high")]
"""The least columns and rows of each class of sizes."""


class PanedScreen(LinkedScreen[ScreenResultType]):
    """Shows the panes of `PANES`, whose ids are their names; each has its number as its key.

    Args:
        size: of the terminal, for the first frame: Textual applies breakpoints only after it.
    """

    HORIZONTAL_BREAKPOINTS = _WIDTHS
    VERTICAL_BREAKPOINTS = _HEIGHTS
    PANES: ClassVar[tuple[str, ...]] = ()

    def __init__(self, size: Size) -> None:
        width = _size_class(size.width, _WIDTHS)
        super().__init__(classes=f"paned {width} {_size_class(size.height, _HEIGHTS)}")

    def compose_panes(self, panes: Mapping[str, Callable[..., Pane]]) -> ComposeResult:
        """Yield the tabs and the panes, made by the values of `panes`; the first one is in front."""
        yield PaneTabs(tuple(panes))
        with Grid(id="panes"):
            for number, (name, make) in enumerate(panes.items()):
                pane = make(id=name)
                pane.set_class(number == 0, "-front")
                yield pane

    def too_small_notice(self) -> Static:
        """Return what is shown instead of everything else where the terminal is too small."""
        return Static(_too_small(self.app.size), id="too-small")

    def on_resize(self) -> None:
        self.query_one("#too-small", Static).update(_too_small(self.size))

    def pane(self, name: str) -> Pane:
        """Return the pane `name`."""
        return self.query_one(f"#{name}", Pane)

    @property
    def focused_pane(self) -> str | None:
        """The name of the pane that has the focus; None if none has."""
        return next((name for name in self.PANES if self.pane(name).has_focus_within), None)

    def show_pane(self, name: str) -> None:
        """Focus the pane `name`, and bring it to the front where only one is visible."""
        for pane in self.PANES:
            self.pane(pane).set_class(pane == name, "-front")
        self.query_one(PaneTabs).front = name
        # at once: keys typed ahead are for the new focus
        self.set_focus(self.pane(name).first_focusable())

    def action_show_pane(self, name: str) -> None:
        self.show_pane(name)

    def maximise(self) -> None:
        """Give the whole screen to the pane that has the focus, or give it back."""
        self.show_pane(self.focused_pane or self.default_pane)
        self.toggle_class("-maximised")

    @property
    def default_pane(self) -> str:
        """The pane to maximise if none has the focus."""
        return self.PANES[0]

    @property
    def is_maximised(self) -> bool:
        """Whether one pane has the whole screen."""
        return self.has_class("-maximised")

    @property
    def has_room_for_all(self) -> bool:
        """Whether all panes would fit, so that maximising one changes something."""
        return self.size.width >= _ALL_PANES[0] and self.size.height >= _ALL_PANES[1]


def _too_small(size: Size) -> Content:
    needed = f"{MINIMUM_SIZE[0]}×{MINIMUM_SIZE[1]}"
    return Content(f"Terminal too small: {size.width}×{size.height} (needs {needed})")


def _size_class(cells: int, breakpoints: list[tuple[int, str]]) -> str:
    return max((least, name) for least, name in breakpoints if least <= cells)[1]
