"""The confusion matrix of an evaluation: truth by prediction, and the pairs confused most."""

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.color import Color
from textual.containers import Container
from textual.content import Content
from textual.events import Click, MouseScrollDown, MouseScrollUp
from textual.message import Message
from textual.reactive import reactive

from cifar_tui.app.charts.matrix import (
    MatrixLayout,
    MatrixStyle,
    MatrixWindow,
    cell_at,
    matrix_layout,
    matrix_lines,
    scrolled,
)
from cifar_tui.app.charts.palette import Palette
from cifar_tui.app.widgets.line import Line
from cifar_tui.app.widgets.pane import Pane
from cifar_tui.app.widgets.strip_view import DrawnView
from cifar_tui.engine.evaluation.statistics import ConfusedPair
from cifar_tui.engine.text import cell_width, cut, cut_names, escaped_name
from cifar_tui.runs.results import ImageFilter, Results

_PAIR_WIDTH, _LEAST_PAIRS_HEIGHT = 34, 4
"""Columns of a pair of classes with its figures, and the least rows for a list of them with its heading."""

_MOST_PAIRS = 50
_WHEEL_ROWS = 3


class ShowImages(Message):
    """The user wants to see the images that pass `chosen`."""

    def __init__(self, chosen: ImageFilter) -> None:
        super().__init__()
        self.chosen = chosen


class MatrixView(DrawnView, can_focus=True):
    """The cells that fit, with a cursor."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1, 0)", "Up", show=False),
        Binding("down,j", "move(1, 0)", "Down", show=False),
        Binding("left,h", "move(0, -1)", "Left", show=False),
        Binding("right,l", "move(0, 1)", "Right", show=False),
        Binding("pageup", "page(-1, 0)", "Page up", show=False),
        Binding("pagedown", "page(1, 0)", "Page down", show=False),
        Binding("home", "page(0, -1)", "Page left", show=False),
        Binding("end", "page(0, 1)", "Page right", show=False),
        Binding("enter", "open", "Images", tooltip="Show the images of the cell"),
        Binding(
            "n",
            "next_pair(1)",
            "Next mistake",
            key_display="n/N",
            tooltip="Move to the pair of classes confused next most, or back (N)",
        ),
        Binding("N", "next_pair(-1)", show=False),
        Binding(
            "percent_sign",
            "per_cent",
            "Count/%",
            key_display="%",
            tooltip="Show counts or % of the row",
        ),
    ]

    window = reactive(MatrixWindow(), init=False)
    per_cent = reactive(default=False, init=False)

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._results: Results | None = None
        self._layout = MatrixLayout(name_width=0, cell_width=1, rows=0, columns=0)
        self._pair = -1

    def show_results(self, results: Results) -> None:
        """Draw the matrix of `results`."""
        self._results = results
        self._pair = -1
        self.redraw()

    def redraw(self) -> None:
        """Draw what fits."""
        if self._results is None or not self.size:
            return
        names, confusion = self._results.class_names, self._results.confusion
        self._layout = matrix_layout(confusion, names, self.size.width, self.size.height)
        self.set_reactive(MatrixView.window, scrolled(self.window, self._layout, len(names)))
        background = Color.parse(self.app.theme_variables["background"])
        style = MatrixStyle(
            palette=Palette.from_theme(self.app.theme_variables),
            background=None if background.ansi is not None else background,
            per_cent=self.per_cent,
            few_colours=self.app.console.color_system == "256",
        )
        self.show(matrix_lines(confusion, names, self.window, self._layout, style))

    def watch_window(self) -> None:
        self.redraw()
        self.post_message(self.Moved())

    watch_per_cent = redraw

    class Moved(Message):
        """The cursor is on another cell."""

    def action_move(self, rows: int, columns: int) -> None:
        self.go(self.window.row + rows, self.window.column + columns)

    def action_page(self, rows: int, columns: int) -> None:
        self.action_move(rows * max(1, self._layout.rows), columns * max(1, self._layout.columns))

    def action_per_cent(self) -> None:
        self.per_cent = not self.per_cent

    def action_open(self) -> None:
        row, column = self.window.row, self.window.column
        if self._results is not None and self._results.confusion[row, column]:
            self.post_message(ShowImages(ImageFilter(truth=row, predicted=column)))

    def value_to_copy(self) -> str:
        """Return the cell under the cursor in words."""
        return "" if self._results is None else _cell_in_words(self._results, self.window, 0).plain

    def action_next_pair(self, step: int) -> None:
        """Move to the next of the pairs confused most."""
        pairs = () if self._results is None else self._results.most_confused[:_MOST_PAIRS]
        if pairs:
            self._pair = (self._pair + step) % len(pairs) if self._pair >= 0 or step > 0 else len(pairs) - 1
            self.go(pairs[self._pair].truth, pairs[self._pair].predicted)

    def on_click(self, event: Click) -> None:
        cell = cell_at(self.window, self._layout, event.x, event.y)
        if cell is None:
            return
        if cell == (self.window.row, self.window.column) and event.chain > 1:
            self.action_open()
        else:
            self.go(*cell)

    def on_mouse_scroll_down(self, event: MouseScrollDown) -> None:
        event.stop()
        self.action_move(_WHEEL_ROWS, 0)

    def on_mouse_scroll_up(self, event: MouseScrollUp) -> None:
        event.stop()
        self.action_move(-_WHEEL_ROWS, 0)

    def go(self, row: int, column: int) -> None:
        """Move the cursor to a cell."""
        if self._results is not None:
            moved = replace(self.window, row=row, column=column)
            self.window = scrolled(moved, self._layout, len(self._results.class_names))


class PairList(Line):
    """The pairs confused most, in as many columns as fit."""

    class Pointed(Message):
        """The mouse points to a pair; `opens` after a double click."""

        def __init__(self, pair: ConfusedPair, *, opens: bool) -> None:
            super().__init__()
            self.pair = pair
            self.opens = opens

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._pairs: tuple[ConfusedPair, ...] = ()
        self._rows = self._column_width = 1

    def show_pairs(self, results: Results, width: int, height: int, cursor: tuple[int, int]) -> None:
        """List as many pairs as fit; the one at `cursor`, its truth and its prediction, is marked."""
        columns = max(1, width // _PAIR_WIDTH)
        self._rows, self._column_width = max(1, height - 1), width // columns
        self._pairs = results.most_confused[: self._rows * columns]
        self.show(_pairs(results.class_names, self._pairs, self._rows, self._column_width, cursor))

    def on_click(self, event: Click) -> None:
        place = event.x // self._column_width * self._rows + event.y - 1
        if event.y >= 1 and place < len(self._pairs):
            self.post_message(self.Pointed(self._pairs[place], opens=event.chain > 1))


class ConfusionPane(Pane):
    """The matrix, the cell under the cursor in words, and the pairs confused most where there is room."""

    DEFAULT_CSS = """
    ConfusionPane {
        layout: vertical;

        #matrix-row { layout: horizontal; height: 1fr; }
        MatrixView { width: 1fr; height: 1fr; }
        #pairs { display: none; height: 1fr; }
        #cell { color: $foreground; }
        &.-filled #matrix-row { display: block; }
        &.-beside #pairs { display: block; width: auto; margin-left: 2; }
        &.-below #matrix-row { layout: vertical; }
        &.-below #pairs { display: block; width: 1fr; margin-top: 1; }
    }
    """

    BORDER_TITLE = "1 Confusion"
    EMPTY_TEXT = "The confusion matrix appears after the first evaluation"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._results: Results | None = None

    def compose(self) -> ComposeResult:
        yield from super().compose()
        with Container(id="matrix-row", classes="content"):
            yield MatrixView(id="matrix")
            yield PairList(id="pairs")
        yield Line(id="cell", classes="content")

    @property
    def matrix(self) -> MatrixView:
        """The cells."""
        return self.query_one(MatrixView)

    def on_resize(self) -> None:
        self._draw_words()

    def show(self, results: Results | None) -> None:
        """Show the latest evaluation; None before the first."""
        self._results = results
        self.fill(filled=results is not None)
        if results is not None:
            self.matrix.show_results(results)
        self._draw_words()

    def on_matrix_view_moved(self) -> None:
        self._draw_words()

    def on_pair_list_pointed(self, event: PairList.Pointed) -> None:
        pair = event.pair
        self.matrix.go(pair.truth, pair.predicted)
        if event.opens:
            self.post_message(ShowImages(ImageFilter(truth=pair.truth, predicted=pair.predicted)))

    def _draw_words(self) -> None:
        results, window = self._results, self.matrix.window
        if results is None or not self.size:
            return
        width, height = self.size.width, self.size.height - 1
        self.query_one("#cell", Line).show(_cell_in_words(results, window, width))
        layout = matrix_layout(results.confusion, results.class_names, width, height)
        below = height - layout.rows - 2
        is_beside = width - layout.width >= _PAIR_WIDTH and height >= _LEAST_PAIRS_HEIGHT
        is_below = not is_beside and below >= _LEAST_PAIRS_HEIGHT
        self.set_class(is_beside, "-beside")
        self.set_class(is_below, "-below")
        self.matrix.styles.height = layout.rows + 1 if is_below else "1fr"
        cursor = window.row, window.column
        if is_beside:
            self.query_one(PairList).show_pairs(results, width - layout.width - 2, height, cursor)
        elif is_below:
            self.query_one(PairList).show_pairs(results, width, below, cursor)


def _cell_in_words(results: Results, window: MatrixWindow, width: int) -> Content:
    """Say how many images the cell under the cursor has, and what enter does if that fits into `width`."""
    names, row, column = results.class_names, window.row, window.column
    count, support = int(results.confusion[row, column]), results.classes[row].support
    truth, predicted = (cut(escaped_name(names[k]), 24) for k in (row, column))
    share = f" · {100 * count / support:.1f} % of {truth}" if support else f" · no test images of {truth}"
    what = f"{truth} recognised" if row == column else f"{truth} → {predicted}"
    images = "1 image" if count == 1 else f"{count:,} images"
    words = Content.assemble((what, "bold"), f": {images}{share}")
    hint = Content.assemble(" · ", ("enter", "bold"), " show ", "it" if count == 1 else "them")
    return words + hint if count and words.cell_length + hint.cell_length <= width else words


def _pairs(
    class_names: Sequence[str],
    pairs: Sequence[ConfusedPair],
    rows: int,
    width: int,
    cursor: tuple[int, int],
) -> Content:
    """A heading and a line for each of `pairs`, in columns of `rows` and `width`."""
    if not pairs:
        return Content("No mistakes")
    figures = " 10,000 100 %"
    name_width = (width - len(" → ") - len(figures) - 2) // 2
    names = cut_names(class_names, max(4, name_width))
    texts = [f"{names[pair.truth]} → {names[pair.predicted]}" for pair in pairs]
    widest = max(map(cell_width, texts))
    heading = "Most confused (n next)"
    lines = [Content.styled(heading, "bold $foreground 60%")]
    cells = []
    for pair, text in zip(pairs, texts, strict=True):
        pad = " " * (widest - cell_width(text))
        line = f"{text}{pad} {pair.count:>6,} {100 * pair.share:3.0f} %"
        at_cursor = (pair.truth, pair.predicted) == cursor
        cells.append(
            Content.styled(line, "reverse" if at_cursor else "") + " " * max(0, width - cell_width(line))
        )
    lines += [Content("").join(cells[row::rows]) for row in range(min(rows, len(cells)))]
    return Content("\n").join(lines)
