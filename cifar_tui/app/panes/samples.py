"""Test images with their labels and predictions."""

from typing import ClassVar

from rich.segment import Segment
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.coordinate import Coordinate
from textual.strip import Strip
from textual.widgets import DataTable

from cifar_tui.app.charts.pictures import half_blocks
from cifar_tui.app.widgets.pane import Pane
from cifar_tui.app.widgets.strip_view import StripView
from cifar_tui.runs.format import UNKNOWN
from cifar_tui.runs.source import Sample, SampleBatch

PICTURE_WIDTHS = (32, 28, 24, 20, 18, 16, 14, 12, 10, 8)
"""Widths of a picture in cells; 32 and 16 divide the image evenly."""

GAP = 2
"""Columns between two pictures."""

COLUMNS = {"Image": 6, "GroundTruth": 0, "Predicted": 0, "Confidence": 10, "": 7}
"""The columns of the table and their widths; 0 for a name, which gets what the others leave."""
_NAME_WIDTHS = range(10, 21)
_FIXED_WIDTH = sum(COLUMNS.values()) + 2 * len(COLUMNS)


class SampleTable(DataTable[Content | str]):
    """A table with the keys of vi."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "cursor_down", "Down", show=False),
        Binding("k", "cursor_up", "Up", show=False),
        Binding("g", "scroll_top", "Top", show=False),
        Binding("G", "scroll_bottom", "Bottom", show=False),
    ]


class SamplesPane(Pane):
    """A batch of test images above a table of their labels and predictions."""

    DEFAULT_CSS = """
    SamplesPane {
        layout: vertical;
        align: center middle;
        padding: 0;

        #pictures { color: $foreground 60%; }
        #labels { height: auto; max-height: 1fr; width: auto; background: transparent; }
        /* words must stay readable on the row that has the cursor, with and without colours */
        #labels > .datatable--cursor, #labels:focus > .datatable--cursor {
            background: $foreground 20%;
            color: $foreground;
            text-style: bold;
        }
        #labels > .datatable--header { background: transparent; text-style: bold; color: $foreground 60%; }
    }
    """

    BORDER_TITLE = "3 Samples"
    EMPTY_TEXT = "Test images appear when training starts"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._batch: SampleBatch | None = None
        self._drawn: tuple[int, ...] = ()
        self._name_width = 0

    def compose(self) -> ComposeResult:
        yield from super().compose()
        yield StripView(id="pictures")
        table = SampleTable(id="labels", cursor_type="row", cursor_foreground_priority="renderable")
        yield table

    def on_mount(self) -> None:
        self.query("#pictures, #labels").add_class("content")

    def on_resize(self) -> None:
        self._draw_pictures()
        name_width = sorted((_NAME_WIDTHS[0], (self.size.width - _FIXED_WIDTH) // 2, _NAME_WIDTHS[-1]))[1]
        if name_width != self._name_width:
            self._name_width = name_width
            table = self.query_one(SampleTable)
            table.clear(columns=True)
            for label, column_width in COLUMNS.items():
                table.add_column(label, width=column_width or name_width)
            self._fill_table(self._batch.samples if self._batch else ())

    def show(self, batch: SampleBatch | None) -> None:
        """Show `batch`; None if there are no images yet."""
        self._batch = batch
        self.set_class(batch is not None, "-filled")
        keys = Content("[ previous batch · ] next batch" if batch else "")
        self.write_border(title=_title(batch), subtitle=keys)
        self._draw_pictures()
        self._fill_table(batch.samples if batch else ())

    def _fill_table(self, samples: tuple[Sample, ...]) -> None:
        table = self.query_one(SampleTable)
        if not table.columns:  # shown before it has a size
            return
        while table.row_count > len(samples):
            table.remove_row(table.ordered_rows[-1].key)
        for row, sample in enumerate(samples):
            cells = _cells(sample, self._name_width)
            if row >= table.row_count:
                table.add_row(*cells)
                continue
            for column, cell in enumerate(cells):
                table.update_cell_at(Coordinate(row, column), cell)

    def _draw_pictures(self) -> None:
        samples = self._batch.samples if self._batch else ()
        room = self.size.height - len(samples) - 1
        columns, width = arrange(len(samples), self.size.width, room)
        drawn = (columns, width, *(sample.index for sample in samples))
        if drawn == self._drawn:  # predictions change far more often than the images
            return
        self._drawn = drawn
        lines = _grid(samples, columns, width) if width else []
        view = self.query_one("#pictures", StripView)
        view.styles.height = len(lines) + (room > len(lines))
        view.styles.width = max((line.cell_length for line in lines), default=0)
        view.show(lines)


def arrange(count: int, width: int, height: int) -> tuple[int, int]:
    """Fit `count` square pictures, each with a caption row, as large as possible.

    Returns the columns of the grid and the width of a picture in cells, or (0, 0) if nothing fits.
    """
    for picture in PICTURE_WIDTHS:
        for rows in range(1, count + 1):
            columns = -(-count // rows)
            if columns * (picture + GAP) - GAP <= width and rows * (picture // 2 + 1) <= height:
                return columns, picture
    return 0, 0


def _grid(samples: tuple[Sample, ...], columns: int, width: int) -> list[Strip]:
    gap = Strip.blank(GAP)
    lines: list[Strip] = []
    for start in range(0, len(samples), columns):
        pictures = [
            [_caption(sample, width), *half_blocks(sample.image, width)]
            for sample in samples[start : start + columns]
        ]
        lines += [
            Strip.join([cell for part in parts for cell in (part, gap)][:-1])
            for parts in zip(*pictures, strict=True)
        ]
    return lines


def _caption(sample: Sample, width: int) -> Strip:
    return Strip([Segment(f"{sample.index:,} {sample.ground_truth}")]).adjust_cell_length(width)


def _cells(sample: Sample, name_width: int) -> list[Content | str]:
    """The row of `sample` in the table."""
    predicted, confidence, verdict, style = UNKNOWN, UNKNOWN, "", ""
    if sample.predicted is not None:
        predicted = sample.predicted
        is_right = predicted == sample.ground_truth
        verdict, style = ("✓ right", "$text-success") if is_right else ("✗ wrong", "bold $text-error")
        if sample.confidence is not None:
            confidence = f"{100 * sample.confidence:5.1f} %"
    return [
        f"{sample.index:,}",
        _cut(Content(sample.ground_truth), name_width),
        _cut(Content.styled(predicted, style), name_width),
        confidence,
        Content.styled(verdict, style),
    ]


def _cut(name: Content, width: int) -> Content:
    return name.truncate(width, ellipsis=True)


def _title(batch: SampleBatch | None) -> Content:
    if batch is None:
        return Content(SamplesPane.BORDER_TITLE)
    if any(sample.predicted is None for sample in batch.samples):
        when = "not predicted yet"
    else:
        when = "predicted" if batch.step is None else f"predicted at step {batch.step:,}"
    return Content(f"{SamplesPane.BORDER_TITLE} · {batch.number + 1:,}/{batch.count:,} · {when}")
