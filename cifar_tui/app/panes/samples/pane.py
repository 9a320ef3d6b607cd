"""The pane that shows test images beside what the net takes them for."""

from typing import ClassVar

from rich.segment import Segment
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.coordinate import Coordinate
from textual.strip import Strip
from textual.widgets import DataTable, Static

from cifar_tui.app.charts.pictures import half_blocks, picture_height
from cifar_tui.app.widgets.pane import Pane
from cifar_tui.app.widgets.strip_view import StripView
from cifar_tui.runs.format import UNKNOWN
from cifar_tui.runs.source import Sample, SampleBatch

WIDTHS = (32, 28, 24, 20, 18, 16, 14, 12, 10, 8)
"""Widths of a picture, in cells; 32 and 16 are exact, the others are averaged."""

GAP = 2
"""Columns between two pictures."""

TITLE = "3 Samples"
EMPTY_TEXT = (
    "test images stand here once they are loaded,\nwith what they show and what the net takes them for"
)
NAME_WIDTH = 14
COLUMNS = {"Image": 7, "GroundTruth": NAME_WIDTH, "Predicted": NAME_WIDTH, "Confidence": 10, "": 8}
"""The columns of the table and their widths."""


class SampleTable(DataTable[Content | str]):
    """Moves by j and k as well."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "cursor_down", "Down", show=False),
        Binding("k", "cursor_up", "Up", show=False),
        Binding("g", "scroll_top", "Top", show=False),
        Binding("G", "scroll_bottom", "Bottom", show=False),
    ]


class SamplesPane(Pane):
    """A batch of test images and a table of their labels."""

    BORDER_TITLE = TITLE

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._batch: SampleBatch | None = None
        self._drawn: tuple[int, ...] | None = None

    def compose(self) -> ComposeResult:
        """The pictures above the table, or a sentence where there are none."""
        yield Static(EMPTY_TEXT, id="no-samples")
        yield StripView(id="pictures")
        table = SampleTable(id="labels", cursor_type="row", cursor_foreground_priority="renderable")
        for label, column_width in COLUMNS.items():
            table.add_column(label, width=column_width)
        yield table

    def on_resize(self) -> None:
        """Make the pictures as large as fits."""
        self._draw_pictures()

    def show(self, batch: SampleBatch | None) -> None:
        """Show `batch`; None while there are no images."""
        self._batch = batch
        self.set_class(batch is not None, "-filled")
        keys = Content("[ previous batch · ] next batch") if batch else Content()
        self.write_border(title=_title(batch), subtitle=keys)
        self._draw_pictures()
        self._fill_table(batch.samples if batch else ())

    def _fill_table(self, samples: tuple[Sample, ...]) -> None:
        table = self.query_one(SampleTable)
        while table.row_count > len(samples):
            table.remove_row(table.ordered_rows[-1].key)
        for row, sample in enumerate(samples):
            cells = _cells(sample)
            if row >= table.row_count:
                table.add_row(*cells)
                continue
            for column, cell in enumerate(cells):
                if not _is_same(table.get_cell_at(Coordinate(row, column)), cell):
                    table.update_cell_at(Coordinate(row, column), cell)

    def _draw_pictures(self) -> None:
        canvas = self.query_one("#pictures", StripView)
        samples = self._batch.samples if self._batch else ()
        room = self.size.height - len(samples) - 1
        columns, width = arrange(len(samples), self.size.width, room)
        drawn = (columns, width, *(sample.index for sample in samples))
        if drawn == self._drawn:
            return
        self._drawn = drawn
        lines = _grid(samples, columns, width) if width else []
        canvas.styles.height = len(lines) + (room > len(lines))
        canvas.styles.width = max((line.cell_length for line in lines), default=0)
        canvas.show(lines)


def arrange(count: int, width: int, height: int) -> tuple[int, int]:
    """Columns of the grid and cells across a picture, so that `count` square pictures are as large as fits.

    Each needs a line for its number. (0, 0) where not even the smallest fit.
    """
    for picture in WIDTHS:
        for rows in range(1, count + 1):
            columns = -(-count // rows)
            if columns * (picture + GAP) - GAP <= width and rows * (picture // 2 + 1) <= height:
                return columns, picture
    return 0, 0


def _grid(samples: tuple[Sample, ...], columns: int, width: int) -> list[Strip]:
    gap = Strip.blank(GAP)
    lines: list[Strip] = []
    for start in range(0, len(samples), columns):
        row = samples[start : start + columns]
        captions = [_caption(sample, width) for sample in row]
        pictures = [half_blocks(sample.image, width) for sample in row]
        height = picture_height(row[0].image, width)
        for y in range(-1, height):
            parts = captions if y < 0 else [picture[y] for picture in pictures]
            lines.append(Strip.join([cell for part in parts for cell in (part, gap)][:-1]))
    return lines


def _caption(sample: Sample, width: int) -> Strip:
    return Strip([Segment(f"{sample.index:,} {sample.ground_truth}")]).adjust_cell_length(width)


def _name(name: str, style: str = "") -> Content:
    return Content.styled(name, style).truncate(NAME_WIDTH, ellipsis=True)


def _cells(sample: Sample) -> list[Content | str]:
    number = f"{sample.index:,}"
    if sample.predicted is None:
        return [
            number,
            _name(sample.ground_truth),
            UNKNOWN,
            UNKNOWN,
            "",
        ]
    right = sample.predicted == sample.ground_truth
    style = "$text-success" if right else "bold $text-error"
    confidence = f"{100 * sample.confidence:.1f} %" if sample.confidence is not None else UNKNOWN
    return [
        number,
        _name(sample.ground_truth),
        _name(sample.predicted, style),
        confidence.rjust(7),
        Content.styled("✓ right" if right else "✗ wrong", style),
    ]


def _is_same(shown: Content | str, cell: Content | str) -> bool:
    """Whether a cell looks as it does already: contents are equal where only their text is."""
    if isinstance(shown, Content) and isinstance(cell, Content):
        return shown.is_same(cell)
    return type(shown) is type(cell) and shown == cell


def _title(batch: SampleBatch | None) -> Content:
    if batch is None:
        return Content(TITLE)
    when = _when_predicted(batch)
    return Content(f"{TITLE} · batch {batch.number + 1:,} of {batch.count:,} · {when}")


def _when_predicted(batch: SampleBatch) -> str:
    if any(sample.predicted is None for sample in batch.samples):
        return "not predicted yet"
    return "predicted" if batch.step is None else f"predicted at step {batch.step:,}"
