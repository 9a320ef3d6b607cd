"""What all panes of the dashboard have in common."""

from itertools import takewhile
from typing import ClassVar, Self

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, VerticalScroll
from textual.content import Content, ContentType
from textual.geometry import Region
from textual.widget import Widget
from textual.widgets import Static

SCROLL_KEYS = (
    Binding("j", "scroll_down", "Down", show=False),
    Binding("k", "scroll_up", "Up", show=False),
    Binding("g", "scroll_home", "Top", show=False),
    Binding("G", "scroll_end", "End", show=False),
)
"""Keys that scroll, besides the arrows."""


class Pane(Container):
    """A bordered part of the dashboard.

    `BORDER_TITLE` starts with the number key that goes to the pane. `EMPTY_TEXT` shows until the pane is
    filled, which in turn shows the widgets of the class `content`.
    """

    DEFAULT_CSS = """
    Pane {
        border: round $foreground 30%;
        border-title-color: $foreground 70%;
        border-subtitle-color: $foreground 60%;
        padding: 0 1;
        width: 1fr;
        height: 1fr;

        &:focus-within, &:focus {
            border: round $accent;
            border-title-color: $text-accent;
            border-title-style: bold;
        }

        .empty { height: 1fr; content-align: center middle; text-align: center; color: $foreground 60%; }
        .content { display: none; }
        &.-filled {
            .empty { display: none; }
            .content { display: block; }
        }
    }

    Pane, Pane * {
        scrollbar-color: $foreground 30%;
        scrollbar-color-hover: $foreground 50%;
        scrollbar-color-active: $foreground 50%;
        scrollbar-background: transparent;
        scrollbar-background-hover: transparent;
        scrollbar-background-active: transparent;
    }
    """

    EMPTY_TEXT: ClassVar[ContentType] = ""
    _border_only = False

    def compose(self) -> ComposeResult:
        yield Static(self.EMPTY_TEXT, classes="empty")

    def write_border(self, *, title: Content | None = None, subtitle: Content) -> None:
        """Set the texts on the border and repaint only the border: the content may be expensive to paint."""
        self._border_only = True
        if title is not None and title.markup != self.border_title:
            self.border_title = title
        if subtitle.markup != self.border_subtitle:
            self.border_subtitle = subtitle
        self._border_only = False

    def refresh(
        self, *regions: Region, repaint: bool = True, layout: bool = False, recompose: bool = False
    ) -> Self:
        if self._border_only:
            (left, top), (width, height) = self.gutter.top_left, self.outer_size
            regions = tuple(Region(-left, y, width, 1) for y in (-top, height - top - 1))
        return super().refresh(*regions, repaint=repaint, layout=layout, recompose=recompose)

    def fill(self, *, filled: bool) -> None:
        """Show the content, or `EMPTY_TEXT` without one; a focus in the pane stays in it."""
        if filled == self.has_class("-filled"):
            return
        self.set_class(filled, "-filled")
        if self.has_focus_within:
            self.call_after_refresh(self._keep_focus)

    def _keep_focus(self) -> None:
        if self.has_focus_within or self.screen.focused is None:
            self.screen.set_focus(self.first_focusable())

    def allow_focus(self) -> bool:
        """A pane without anything that takes the focus takes it itself: keys are not for the pane before."""
        return super().allow_focus() or self.first_focusable() is self

    def first_focusable(self) -> Widget:
        """Return the first visible widget of the pane that takes the focus, or the pane itself."""
        for widget in self.walk_children(Widget):
            inside = takewhile(lambda node: node is not self, widget.ancestors_with_self)
            if widget.focusable and all(node.display for node in inside):
                return widget
        return self


class ScrollPane(Pane, can_focus=True):
    """A pane that scrolls as a whole."""

    DEFAULT_CSS = """
    ScrollPane { overflow: hidden auto; scrollbar-size-vertical: 1; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [*VerticalScroll.BINDINGS, *SCROLL_KEYS]
