"""Test images with their labels and predictions."""

from rich.segment import Segment
from textual.app import ComposeResult
from textual.content import Content
from textual.strip import Strip

from cifar_tui.app.charts.pictures import half_blocks
from cifar_tui.app.widgets.line import Line
from cifar_tui.app.widgets.pane import Pane
from cifar_tui.app.widgets.strip_view import StripView
from cifar_tui.runs.format import UNKNOWN, cut
from cifar_tui.runs.source import Sample, SampleBatch

PICTURE_WIDTHS = (32, 28, 24, 20, 18, 16, 14, 12, 10, 8)
"""Widths of a picture in cells; 32 and 16 divide the image evenly."""

GAP = 2
"""Cells between two pictures, and between two columns of the table."""

COLUMNS = {"Image": 6, "GroundTruth": 0, "Predicted": 0, "Confidence": 10, "": 7}
"""The columns of the table and their widths; 0 for a name, which gets what the others leave."""
_NAME_WIDTHS = range(10, 21)
_FIXED_WIDTH = sum(COLUMNS.values()) + GAP * (len(COLUMNS) - 1)


class SamplesPane(Pane, can_focus=True):
    """A batch of test images above a table of their labels and predictions."""

    DEFAULT_CSS = """
    SamplesPane {
        layout: vertical;
        align: center middle;
        padding: 0;

        #pictures { color: $foreground 60%; }
    }
    """

    BORDER_TITLE = "3 Samples"
    EMPTY_TEXT = "Test images appear when training starts"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._batch: SampleBatch | None = None
        self._drawn: tuple[int, ...] = ()

    def compose(self) -> ComposeResult:
        yield from super().compose()
        yield StripView(id="pictures")
        yield Line(id="labels")

    def on_mount(self) -> None:
        self.query("#pictures, #labels").add_class("content")

    def on_resize(self) -> None:
        self._draw()

    def show(self, batch: SampleBatch | None) -> None:
        """Show `batch`; None if there are no images yet."""
        self._batch = batch
        self.set_class(batch is not None, "-filled")
        title, keys = _title(batch), Content("keys [ and ]: previous, next batch" if batch else "")
        if batch and not self.styles.border_bottom[0]:  # nor a place for a subtitle
            title += Content(" · keys [ and ]")
        self.write_border(title=title, subtitle=keys)
        self._draw()

    def _draw(self) -> None:
        samples = self._batch.samples if self._batch else ()
        self._draw_pictures(samples)
        labels, lines = self.query_one("#labels", Line), _table(samples, self.size.width)
        labels.styles.height, labels.styles.width = len(lines), lines[0].cell_length
        labels.show(Content("\n").join(lines))

    def _draw_pictures(self, samples: tuple[Sample, ...]) -> None:
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
    caption = cut(f"{sample.index:,} {sample.ground_truth}", width)
    return Strip([Segment(caption)]).adjust_cell_length(width)


def _table(samples: tuple[Sample, ...], width: int) -> list[Content]:
    """A heading and a row for each of `samples`, in less than `width` cells if they fit."""
    name_width = sorted((_NAME_WIDTHS[0], (width - 2 - _FIXED_WIDTH) // 2, _NAME_WIDTHS[-1]))[1]
    heading = _row(tuple(map(Content, COLUMNS)), name_width).stylize("bold $foreground 60%")
    return [heading, *(_row(_cells(sample), name_width) for sample in samples)]


def _cells(sample: Sample) -> tuple[Content, ...]:
    """The cells of `sample` in the table."""
    predicted, confidence, verdict, style = UNKNOWN, UNKNOWN, "", ""
    if sample.predicted is not None:
        predicted = sample.predicted
        is_right = predicted == sample.ground_truth
        verdict, style = ("✓ right", "$text-success") if is_right else ("✗ wrong", "bold $text-error")
        if sample.confidence is not None:
            confidence = f"{100 * sample.confidence:5.1f} %"
    return (
        Content(f"{sample.index:,}"),
        Content(sample.ground_truth),
        Content.styled(predicted, style),
        Content(confidence),
        Content.styled(verdict, style),
    )


def _row(cells: tuple[Content, ...], name_width: int) -> Content:
    """Join `cells`, each cut or padded to the width of its column."""
    return Content(" " * GAP).join(
        cell.truncate(width or name_width, ellipsis=True, pad=True)
        for cell, width in zip(cells, COLUMNS.values(), strict=True)
    )


def _title(batch: SampleBatch | None) -> Content:
    if batch is None:
        return Content(SamplesPane.BORDER_TITLE)
    if any(sample.predicted is None for sample in batch.samples):
        when = "not predicted yet"
    else:
        when = "predicted" if batch.step is None else f"predicted at step {batch.step:,}"
    return Content(f"{SamplesPane.BORDER_TITLE} · {batch.number + 1:,}/{batch.count:,} · {when}")
