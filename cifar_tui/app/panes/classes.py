"""Every class of an evaluation: recall, precision, F1, its change and its course."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import DataTable

from cifar_tui.app.panes.confusion import ShowImages
from cifar_tui.app.widgets.pane import Pane
from cifar_tui.engine.evaluation.statistics import ClassStatistics, changes
from cifar_tui.engine.text import cell_width, cut_names
from cifar_tui.runs.format import UNKNOWN
from cifar_tui.runs.results import ImageFilter, Results

_LONGEST_NAME = 16
_COURSE = "▁▂▃▄▅▆▇"  # the full block would touch the line above
_COURSE_WIDTH = 10
_PADDING = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassRow:
    """A class in the table; shares from 0 to 1, None where there is none.

    Attributes:
        index: of the class.
        change: by how much its accuracy has changed since the evaluation before.
        course: its accuracies over the evaluations, the latest last.
    """

    index: int
    name: str
    statistics: ClassStatistics
    change: float | None
    course: tuple[float | None, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Column:
    key: str
    heading: str
    width: int
    right: bool = True


# each has room for the arrow beside its heading
_COLUMNS = (
    _Column(key="name", heading="class", width=0, right=False),
    _Column(key="recall", heading="accuracy", width=9),
    _Column(key="change", heading="change", width=7),
    _Column(key="precision", heading="precision", width=10),
    _Column(key="f1", heading="F1", width=6),
    _Column(key="support", heading="images", width=7),
    _Column(key="course", heading="over time", width=_COURSE_WIDTH, right=False),
)
_MOST_NEEDED = ("name", "recall", "change", "course", "precision", "f1", "support")
"""The columns, from the one that stays longest where there is little room."""


def class_rows(results: Results) -> list[ClassRow]:
    """Return a row for each class, in their order."""
    count = len(results.class_names)
    evaluations = [entry.per_class for entry in results.history if len(entry.per_class) == count]
    courses = list(zip(*evaluations, strict=True)) if evaluations else [()] * len(results.class_names)
    before = None
    if len(evaluations) > 1:
        before = [
            ClassStatistics(support=entry.total, predicted=0, correct=entry.correct)
            for entry in evaluations[-2]
        ]
    changed = changes(results.classes, before)
    return [
        ClassRow(
            index=index,
            name=name,
            statistics=results.classes[index],
            change=changed[index],
            course=tuple(entry.accuracy for entry in courses[index]),
        )
        for index, name in enumerate(results.class_names)
    ]


def course_line(values: Sequence[float | None], width: int) -> str:
    """Draw the last `width` of `values` (0-1) between their least and greatest; a blank where one is None."""
    shown = list(values)[-width:]
    known = [value for value in shown if value is not None]
    if not known:
        return ""
    low, high = min(known), max(known)
    levels = len(_COURSE) - 1
    return "".join(
        " "
        if value is None
        else _COURSE[levels // 2 if high == low else round(levels * (value - low) / (high - low))]
        for value in shown
    )


class ClassTable(DataTable[Content]):
    """The classes, sorted by any column."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "select_cursor", "Images", tooltip="Show the images of the class"),
        Binding("j", "cursor_down", "Down", show=False),
        Binding("k", "cursor_up", "Up", show=False),
        Binding("g,home", "scroll_top", "Top", show=False),
        Binding("G,end", "scroll_bottom", "Bottom", show=False),
        Binding(
            "s",
            "sort(1)",
            "Sort",
            key_display="s/S",
            tooltip="Sort the classes by the next column, or reverse (S)",
        ),
        Binding("S", "reverse", show=False),
    ]

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, cursor_type="row", cursor_foreground_priority="renderable")
        self._rows: list[ClassRow] = []
        self._shown: list[ClassRow] = []
        self._key, self._descending = "name", False

    def on_resize(self) -> None:
        self._fill()

    def show_rows(self, rows: list[ClassRow]) -> None:
        """Show `rows` with the cursor on the same class as before."""
        self._rows = rows
        self._fill()

    @property
    def current(self) -> ClassRow | None:
        """The class under the cursor; None without any."""
        return self.row_at(self.cursor_row)

    def row_at(self, place: int) -> ClassRow | None:
        """The class at `place`, from 0 at the top; None where there is none."""
        return self._shown[place] if 0 <= place < len(self._shown) else None

    def value_to_copy(self) -> str:
        """Return the figures of the class under the cursor, all of them."""
        row = self.current
        if row is None:
            return ""
        figures = (
            f"{column.heading} {_cell(row, column, '').plain.strip()}"
            for column in _COLUMNS
            if column.key not in {"name", "course"}
        )
        return " · ".join((row.name, *figures))

    def action_sort(self, step: int) -> None:
        """Sort by the column `step` columns further on."""
        keys = [column.key for column in self._columns_shown() if column.key != "course"]
        place = keys.index(self._key) if self._key in keys else -1
        self._sort_by(keys[(place + step) % len(keys)])

    def action_reverse(self) -> None:
        self._descending = not self._descending
        self._fill()

    def on_data_table_header_selected(self, event: DataTable.HeaderSelected) -> None:
        key = self._columns_shown()[event.column_index].key
        if key == self._key:
            self.action_reverse()
        elif key != "course":
            self._sort_by(key)

    def _sort_by(self, key: str) -> None:
        self._key, self._descending = key, key == "support"
        self._fill()

    def _columns_shown(self) -> list[_Column]:
        """Return the columns that fit, the most needed first to stay."""
        room = self.size.width - self._name_width() - _PADDING
        kept = {"name"}
        widths = {column.key: column.width + _PADDING for column in _COLUMNS}
        for key in _MOST_NEEDED[1:]:
            if widths[key] > room:
                break
            room -= widths[key]
            kept.add(key)
        return [column for column in _COLUMNS if column.key in kept]

    def _name_width(self) -> int:
        names = cut_names([row.name for row in self._rows], _LONGEST_NAME)
        return max([len("class ▲"), *map(cell_width, names)])

    def _fill(self) -> None:
        if not self._rows or not self.size:
            return
        current = self.current
        rows = sorted(self._rows, key=self._sort_value, reverse=self._descending)
        self._shown = sorted(rows, key=lambda row: self._value(row) is None)  # unknown figures come last
        names = cut_names([row.name for row in self._rows], _LONGEST_NAME)
        columns, name_width = self._columns_shown(), self._name_width()
        scrolled = self.scroll_y
        self.clear(columns=True)
        for column in columns:
            arrow = ("▼" if self._descending else "▲") if column.key == self._key else ""
            width = column.width or name_width
            heading = f"{column.heading}{arrow}" if column.right else f"{column.heading} {arrow}".strip()
            self.add_column(Text(heading.rjust(width) if column.right else heading), width=width)
        for row in self._shown:
            self.add_row(*(_cell(row, column, names[row.index]) for column in columns))
        self.scroll_to(y=scrolled, animate=False)
        place = self._shown.index(current) if current in self._shown else self._place_of(current)
        self.move_cursor(row=place, animate=False)

    def _place_of(self, current: ClassRow | None) -> int:
        indices = [row.index for row in self._shown]
        return indices.index(current.index) if current is not None and current.index in indices else 0

    def _value(self, row: ClassRow) -> float | int | None:
        if self._key == "name":
            return row.index
        if self._key == "change":
            return row.change
        value: float | int | None = getattr(row.statistics, self._key)
        return value

    def _sort_value(self, row: ClassRow) -> float:
        value = self._value(row)
        return 0.0 if value is None else float(value)


class ClassesPane(Pane):
    """The classes as a table."""

    DEFAULT_CSS = """
    ClassesPane {
        ClassTable { height: 1fr; background: transparent; scrollbar-size-vertical: 1; }
        /* so grey that it stays grey among 256 colours */
        ClassTable > .datatable--cursor { background: grey 20%; color: $foreground; }
        ClassTable:focus > .datatable--cursor { background: grey 35%; text-style: bold; }
        ClassTable > .datatable--header { background: transparent; text-style: bold; color: $foreground 60%; }
    }
    """

    BORDER_TITLE = "2 Classes"
    EMPTY_TEXT = "Accuracy per class appears after the first evaluation"

    def compose(self) -> ComposeResult:
        yield from super().compose()
        yield ClassTable(id="class-table")

    def on_mount(self) -> None:
        self.query_one(ClassTable).add_class("content")

    def show(self, results: Results | None) -> None:
        """Show the latest evaluation; None before the first."""
        self.fill(filled=results is not None)
        if results is not None:
            self.query_one(ClassTable).show_rows(class_rows(results))

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        row = self.query_one(ClassTable).row_at(event.cursor_row)
        if row is not None:
            self.post_message(ShowImages(ImageFilter(truth=row.index)))


def _cell(row: ClassRow, column: _Column, name: str) -> Content:
    statistics = row.statistics
    style = ""
    match column.key:
        case "name":
            text = name
        case "support":
            text = f"{statistics.support:,}"
        case "change":
            text = UNKNOWN if row.change is None else f"{100 * row.change:+.1f}"
            if row.change:
                style = "$text-success" if row.change > 0 else "$text-error"
        case "course":
            text, style = course_line(row.course, _COURSE_WIDTH), "$text-accent"
        case key:
            value = getattr(statistics, key)
            text = UNKNOWN if value is None else f"{100 * value:.1f} %"
            style = "bold" if key == "recall" else ""
    return Content.styled(text.rjust(column.width) if column.right else text, style)
