"""Test images with their labels and predictions."""

from typing import ClassVar

from rich.segment import Segment
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.events import Click
from textual.strip import Strip

from cifar_tui.app.charts.pictures import half_blocks, has_few_colours
from cifar_tui.app.widgets.line import Line
from cifar_tui.app.widgets.pane import Pane
from cifar_tui.app.widgets.strip_view import StripView
from cifar_tui.engine.text import cut, cut_path, escaped_name
from cifar_tui.runs.format import UNKNOWN
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

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("down,j", "move(1)", "Down", show=False),
    ]

    BORDER_TITLE = "3 Samples"
    EMPTY_TEXT = "Test images appear when training starts"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._batch: SampleBatch | None = None
        self._place = 0
        self._drawn: tuple[int, ...] = ()

    def compose(self) -> ComposeResult:
        yield from super().compose()
        yield StripView(id="pictures")
        yield Line(id="labels")

    def on_mount(self) -> None:
        self.query("#pictures, #labels").add_class("content")

    def on_resize(self) -> None:
        self._draw()

    @property
    def indices(self) -> tuple[int, ...]:
        """The positions in the test set of the images shown."""
        return tuple(sample.index for sample in self._samples)

    @property
    def _samples(self) -> tuple[Sample, ...]:
        return self._batch.samples if self._batch else ()

    def value_to_copy(self) -> str:
        """Return the row under the cursor."""
        return _in_words(self._samples[self._place]) if self._place < len(self._samples) else ""

    def action_move(self, rows: int) -> None:
        self._place = max(0, min(self._place + rows, len(self._samples) - 1))
        self._draw_table()

    def on_click(self, event: Click) -> None:
        labels = self.query_one("#labels")
        if event.widget is labels and event.y > 0:
            self.action_move(event.y - 1 - self._place)

    def on_focus(self) -> None:
        self._draw_table()

    on_blur = on_focus

    def show(self, batch: SampleBatch | None, *, wrong_only: bool = False) -> None:
        """Show `batch`, which may be of images predicted wrong only; None if there are no images yet."""
        self._batch = batch
        self._place = max(0, min(self._place, len(self._samples) - 1))
        self.fill(filled=batch is not None)
        keys = f"keys [ and ]: previous, next batch · w: {'all' if wrong_only else 'wrong only'}"
        title = _title(batch, wrong_only=wrong_only)
        if batch and not self.styles.border_bottom[0]:  # nor a place for a subtitle
            title += Content(" · keys [ ] w")
        self.write_border(title=title, subtitle=Content(keys if batch else ""))
        self._draw()

    def _draw(self) -> None:
        self._draw_pictures(self._samples)
        self._draw_table()

    def _draw_table(self) -> None:
        labels, lines = self.query_one("#labels", Line), _table(self._samples, self.size.width)
        if self.has_focus and self._samples:
            lines[self._place + 1] = lines[self._place + 1].stylize("bold on grey 35%")
        labels.styles.height, labels.styles.width = len(lines), lines[0].cell_length
        labels.show(Content("\n").join(lines))

    def _draw_pictures(self, samples: tuple[Sample, ...]) -> None:
        room = self.size.height - len(samples) - 1
        columns, width = arrange(len(samples), self.size.width, room)
        drawn = (columns, width, *(sample.index for sample in samples))
        if drawn == self._drawn:  # predictions change far more often than the images
            return
        self._drawn = drawn
        dithered = has_few_colours(self.app.console)
        lines = _grid(samples, columns, width, dithered=dithered) if width else []
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


def _grid(samples: tuple[Sample, ...], columns: int, width: int, *, dithered: bool) -> list[Strip]:
    gap = Strip.blank(GAP)
    lines: list[Strip] = []
    for start in range(0, len(samples), columns):
        pictures = [
            [_caption(sample, width), *half_blocks(sample.image, width, dithered=dithered)]
            for sample in samples[start : start + columns]
        ]
        lines += [
            Strip.join([cell for part in parts for cell in (part, gap)][:-1])
            for parts in zip(*pictures, strict=True)
        ]
    return lines


def _caption(sample: Sample, width: int) -> Strip:
    front = f"{sample.index:,} "
    caption = cut(front + cut_path(escaped_name(sample.ground_truth), max(1, width - len(front))), width)
    return Strip([Segment(caption)]).adjust_cell_length(width)


def _table(samples: tuple[Sample, ...], width: int) -> list[Content]:
    """A heading and a row for each of `samples`, in less than `width` cells if they fit."""
    name_width = sorted((_NAME_WIDTHS[0], (width - 2 - _FIXED_WIDTH) // 2, _NAME_WIDTHS[-1]))[1]
    heading = _row(tuple(map(Content, COLUMNS)), name_width).stylize("bold $foreground 60%")
    return [heading, *(_row(_cells(sample, name_width), name_width) for sample in samples)]


def _cells(sample: Sample, name_width: int) -> tuple[Content, ...]:
    """The cells of `sample` in the table."""
    predicted, confidence, verdict, style = UNKNOWN, UNKNOWN, "", ""
    if sample.predicted is not None:
        predicted = cut_path(escaped_name(sample.predicted), name_width)
        is_right = sample.predicted == sample.ground_truth
        verdict, style = ("✓ right", "$text-success") if is_right else ("✗ wrong", "bold $text-error")
        if sample.confidence is not None:
            confidence = f"{100 * sample.confidence:5.1f} %"
    return (
        Content(f"{sample.index:,}"),
        Content(cut_path(escaped_name(sample.ground_truth), name_width)),
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


def _in_words(sample: Sample) -> str:
    words = f"image {sample.index:,} · GroundTruth {sample.ground_truth}"
    if sample.predicted is None:
        return words
    confidence = "" if sample.confidence is None else f" · {100 * sample.confidence:.1f} %"
    return f"{words} · Predicted {sample.predicted}{confidence}"


def _title(batch: SampleBatch | None, *, wrong_only: bool) -> Content:
    if batch is None:
        return Content(SamplesPane.BORDER_TITLE)
    if any(sample.predicted is None for sample in batch.samples):
        when = "not predicted yet"
    else:
        when = "predicted" if batch.step is None else f"predicted at step {batch.step:,}"
    which = "wrong only · " if wrong_only else ""
    return Content(f"{SamplesPane.BORDER_TITLE} · {which}{batch.number + 1:,}/{batch.count:,} · {when}")
