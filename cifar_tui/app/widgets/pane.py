"""What all panes of the dashboard have in common."""

from typing import Self

from textual.containers import Container
from textual.content import Content
from textual.geometry import Region
from textual.widget import Widget


class Pane(Container):
    """A framed part of the dashboard; `BORDER_TITLE` starts with the number of the key that goes to it."""

    _writing_border = False

    def write_border(self, *, title: Content | None = None, subtitle: Content) -> None:
        """Write on the frame, and paint nothing but the frame: what lies in it may be dear to paint."""
        self._writing_border = True
        try:
            if title is not None and title.markup != self.border_title:
                self.border_title = title
            if subtitle.markup != self.border_subtitle:
                self.border_subtitle = subtitle
        finally:
            self._writing_border = False

    def refresh(
        self, *regions: Region, repaint: bool = True, layout: bool = False, recompose: bool = False
    ) -> Self:
        """Paint `regions` of the pane again, or all of it."""
        if self._writing_border and not regions:
            (left, top), (width, height) = self.gutter.top_left, self.outer_size
            regions = tuple(Region(-left, y, width, 1) for y in (-top, height - top - 1))
        return super().refresh(*regions, repaint=repaint, layout=layout, recompose=recompose)

    def first_focusable(self) -> Widget:
        """The first part of the pane that can be seen and takes the keys, or else the pane itself."""
        for part in self.walk_children(Widget):
            inside = [
                node
                for node in part.ancestors_with_self
                if isinstance(node, Widget) and self in node.ancestors
            ]
            if part.focusable and all(node.display for node in inside):
                return part
        return self
