"""The images that one of two runs recognises and the other does not."""

import contextlib
from bisect import bisect_left
from dataclasses import dataclass
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.content import Content
from textual.events import Click
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widgets import Static

from cifar_tui.app.charts.pictures import half_blocks
from cifar_tui.app.widgets.line import Line
from cifar_tui.app.widgets.pane import Pane
from cifar_tui.app.widgets.strip_view import StripView
from cifar_tui.engine.text import cell_width, cut, cut_names
from cifar_tui.runs.differences import Disagreements, images_compared
from cifar_tui.runs.results import ImagePredictions, Results

_GROUPS = ("only_run", "only_baseline", "both_wrong", "both_right")
"""What `f` cycles through: the fields of `Disagreements`."""

_LONGEST_NAME, _SHORTEST_NAME = 12, 5
_BESIDE_NAMES = 22
"""Columns of a line beside three names and the number of the image."""
_LEAST_PICTURE, _MOST_PICTURE = 12, 32


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ImageComparison:
    """The predictions of a run and of its baseline for the same test images.

    Attributes:
        run: the latest evaluation of the run.
        baseline: that of the baseline.
        found: the images by the run that recognises them.
    """

    run: Results
    baseline: Results
    found: Disagreements


class ImageList(ScrollView, can_focus=True):
    """Images by number, a line each with the true class and both predictions; draws only those visible."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("home,g", "move(-1000000000)", "First", show=False),
        Binding("end,G", "move(1000000000)", "Last", show=False),
    ]

    place = reactive(0, repaint=False)
    """The line under the cursor."""

    class Moved(Message):
        """The cursor is on another image."""

    def __init__(self) -> None:
        super().__init__(id="image-list")
        self._shown: ImageComparison | None = None
        self._indices: list[int] = []
        self._names: tuple[list[str], list[str]] = ([], [])

    @property
    def current(self) -> int | None:
        """The number of the image under the cursor; None without images."""
        return self._indices[self.place] if self.place < len(self._indices) else None

    def show_images(self, comparison: ImageComparison, indices: list[int]) -> None:
        """Show the images at `indices`, which ascend, with the cursor on the same image or the next one."""
        current = self.current or 0
        self._shown, self._indices = comparison, indices
        self._cut_names()
        self.virtual_size = Size(0, len(indices))
        self.place = max(0, min(bisect_left(indices, current), len(indices) - 1))
        self._follow_cursor()
        self.refresh()
        self.post_message(self.Moved())

    @property
    def columns_needed(self) -> int:
        """Columns that a line takes where names need not be cut more."""
        if self._shown is None:
            return 0
        both = (self._shown.run.class_names, self._shown.baseline.class_names)
        widest = max(cell_width(name) for names in both for name in cut_names(names, _LONGEST_NAME))
        return self._digits + _BESIDE_NAMES + 3 * widest

    @property
    def _digits(self) -> int:
        return 0 if self._shown is None else len(f"#{len(self._shown.run.predictions.targets) - 1}")

    def on_resize(self) -> None:
        self._cut_names()

    def _cut_names(self) -> None:
        if self._shown is not None:
            room = (self.scrollable_size.width - self._digits - _BESIDE_NAMES) // 3
            longest = max(_SHORTEST_NAME, min(_LONGEST_NAME, room))
            both = (self._shown.run.class_names, self._shown.baseline.class_names)
            self._names = (cut_names(both[0], longest), cut_names(both[1], longest))
            self.refresh()

    def value_to_copy(self) -> str:
        """Return the line under the cursor."""
        if self._shown is None or self.current is None:
            return ""
        return " ".join(self._text(self.current, self._shown).split())

    def action_move(self, lines: int) -> None:
        self.place = max(0, min(self.place + lines, len(self._indices) - 1))

    def action_page(self, pages: int) -> None:
        self.action_move(pages * max(1, self.size.height - 1))

    def on_click(self, event: Click) -> None:
        self.action_move(int(event.y + self.scroll_offset.y) - self.place)

    def watch_place(self) -> None:
        self._follow_cursor()
        self.refresh()
        self.post_message(self.Moved())

    def on_focus(self) -> None:
        self.refresh()

    on_blur = on_focus

    def render_line(self, y: int) -> Strip:
        row, width = y + self.scroll_offset.y, self.size.width
        if self._shown is None or row >= len(self._indices):
            return Strip.blank(width)
        on_cursor = row == self.place
        style = Style(reverse=on_cursor and self.has_focus, bold=on_cursor)
        text = self._text(self._indices[row], self._shown)
        base = self.rich_style
        return Strip([Segment(text, base + style)]).adjust_cell_length(width, base + style)

    def _text(self, index: int, shown: ImageComparison) -> str:
        ours, theirs = self._names
        run, baseline = shown.run.predictions, shown.baseline.predictions
        widest = max(map(cell_width, (*ours, *theirs)), default=0)

        def padded(name: str) -> str:
            return name + " " * (widest - cell_width(name))

        def prediction(made: ImagePredictions, names: list[str]) -> str:
            sign = "✓" if made.predicted[index] == made.targets[index] else "✗"
            return f"{sign} {padded(names[made.predicted[index]])} {100 * made.confidences[index]:3.0f} %"

        number = f"#{index}"
        return (
            f"{number:<{self._digits}} {padded(theirs[baseline.targets[index]])}  "
            f"{prediction(run, ours)}  {prediction(baseline, theirs)}"
        )

    def _follow_cursor(self) -> None:
        self.scroll_to_region(Region(0, self.place, 1, 1), animate=False, force=True)


class ComparedImagesPane(Pane):
    """Counts of the images by the run that recognises them, a list of some, and a picture where it fits."""

    DEFAULT_CSS = """
    ComparedImagesPane {
        layout: vertical;

        #image-counts { height: auto; max-height: 2; text-wrap: wrap; }
        #image-heading { color: $foreground 60%; }
        #image-row { layout: horizontal; height: 1fr; }
        ImageList { width: 1fr; height: 1fr; scrollbar-size-vertical: 1; }
        #picture { display: none; height: 1fr; margin-left: 1; }
        &.-picture #picture { display: block; }
    }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f", "group", "Filter", tooltip="Filter the images by which of the two runs recognises them"),
    ]

    BORDER_TITLE = "4 Images"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._comparison: ImageComparison | None = None
        self._labels = ("", "")
        self._group = 0

    def compose(self) -> ComposeResult:
        yield from super().compose()
        yield Line(id="image-counts", classes="content")
        yield Line(id="image-heading", classes="content")
        with Container(id="image-row", classes="content"):
            yield ImageList()
            yield StripView(id="picture")

    def on_resize(self) -> None:
        self._draw_picture()

    def show(self, comparison: ImageComparison | None, reason: str, labels: tuple[str, str]) -> None:
        """Show the images of a run and its baseline, called `labels`; or the reason why there are none."""
        self._comparison, self._labels = comparison, labels
        self.fill(filled=comparison is not None)
        self.query_one(".empty", Static).update(Content(reason))
        self._draw()

    def action_group(self) -> None:
        self._group = (self._group + 1) % len(_GROUPS)
        self._draw()

    def on_image_list_moved(self) -> None:
        self._draw_picture()

    def _draw(self) -> None:
        comparison, (run, baseline) = self._comparison, self._labels
        title = Content(f"{self.BORDER_TITLE} · {run} against {baseline}")
        self.write_border(title=title, subtitle=Content("f filter" if comparison is not None else ""))
        if comparison is None:
            return
        words = {
            "only_run": f"only {cut(run, 20)} right",
            "only_baseline": f"only {cut(baseline, 20)} right",
            "both_wrong": "both wrong",
            "both_right": "both right",
        }
        group = _GROUPS[self._group]
        counts = {name: len(getattr(comparison.found, name)) for name in _GROUPS}
        parts = [
            (f"{words[name]} {counts[name]:,}", "bold reverse" if name == group else "") for name in _GROUPS
        ]
        content = Content(" · ").join(Content.styled(*part) for part in parts)
        self.query_one("#image-counts", Line).show(content)
        heading = f"image, true class, {cut(run, 20)}, {cut(baseline, 20)}"
        ours, theirs = comparison.run.evaluated.step, comparison.baseline.evaluated.step
        if ours != theirs:
            heading += f" · steps {ours:,} and {theirs:,}"
        if doubt := images_compared(comparison.run, comparison.baseline):
            heading = f"{doubt} · {heading}"
        self.query_one("#image-heading", Line).show(Content(heading))
        indices: list[int] = getattr(comparison.found, group).tolist()
        self.query_one(ImageList).show_images(comparison, indices)
        self._draw_picture()

    def _draw_picture(self) -> None:
        images = self.query_one(ImageList)
        comparison, index = self._comparison, images.current
        room = self.size.width - images.columns_needed - 2
        width = min(_MOST_PICTURE, 2 * images.size.height, room)
        image = None
        if comparison is not None and index is not None and width >= _LEAST_PICTURE:
            with contextlib.suppress(OSError, IndexError):  # there was no room for it, or its file is gone
                image = comparison.run.images[index]
        self.set_class(image is not None, "-picture")
        if image is not None:
            picture = self.query_one("#picture", StripView)
            picture.styles.width = width
            picture.show(half_blocks(image, width))
