"""What all panes of the dashboard have in common."""

from textual.containers import Container
from textual.widget import Widget


class Pane(Container):
    """A framed part of the dashboard; `BORDER_TITLE` starts with the number of the key that goes to it."""

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
