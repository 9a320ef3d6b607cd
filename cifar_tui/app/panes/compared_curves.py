"""Curves of several runs with a table of the runs: their marks, figures and differences from the baseline."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.events import Click
from textual.message import Message
from textual.reactive import reactive

from cifar_tui.app.charts.overlay import MARKS, MOST_RUNS, RunLines, step_of
from cifar_tui.app.charts.palette import Palette
from cifar_tui.app.charts.view import XUnit
from cifar_tui.app.panes.overlay_charts import OverlayCharts
from cifar_tui.app.widgets.line import Line
from cifar_tui.app.widgets.pane import Pane
from cifar_tui.runs.curves import Curves
from cifar_tui.runs.differences import EpochDifference, difference_at_epoch, epochs_done, recent_mean
from cifar_tui.runs.format import UNKNOWN, change_text, loss_figure, percentage

_GAP = "  "
_HEADINGS = ("", "run", "test", "Δ test", "loss", "Δ loss", "epoch", "Δ at", "state")
_SPEAKING = ("run", "state")
"""Columns whose texts need no heading."""
_KEPT_LONGEST = (0, 1, 2, 3, 6, 7, 4, 5, 8)
"""The columns, from the one that stays longest where there is little room."""
_FAR = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class CurveRow:
    """A run in the table.

    Attributes:
        place: its number, which gives its mark.
        label: what the user calls it.
        state: what it does, or why it cannot be read.
        lines: its curves; None while they are not read.
    """

    place: int
    label: str
    state: str
    lines: RunLines | None


class ComparedRunsTable(Line, can_focus=True):
    """The runs on the charts, a line for each. A `DataTable` takes ten times as long to draw a new figure."""

    DEFAULT_CSS = """
    ComparedRunsTable { max-height: 50%; padding: 0 1; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("b", "baseline", "Baseline", tooltip="Make the run under the cursor the baseline"),
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("home,g", f"move({-MOST_RUNS})", "First", show=False),
        Binding("end,G", f"move({MOST_RUNS})", "Last", show=False),
        Binding("left", "screen.move_cursor(-1)", "Left", show=False),
        Binding("right", "screen.move_cursor(1)", "Right", show=False),
        Binding("shift+left", f"screen.move_cursor({-_FAR})", "Far left", show=False),
        Binding("shift+right", f"screen.move_cursor({_FAR})", "Far right", show=False),
    ]

    place = reactive(0, repaint=False)
    """The number of the run under the cursor."""

    class Chosen(Message):
        """The run number `place` is to be the baseline."""

        def __init__(self, place: int) -> None:
            super().__init__()
            self.place = place

    class Moved(Message):
        """The cursor is on another run."""

    def __init__(self) -> None:
        super().__init__(id="compared-runs")
        self.rows: Sequence[tuple[Content, ...]] = ()
        self._top = 0

    def on_resize(self) -> None:
        self._draw()

    def on_focus(self) -> None:
        self._draw()

    on_blur = on_focus

    def on_click(self, event: Click) -> None:
        if event.y > 0:
            self.action_move(event.y - 1 + self._top - self.place)

    def action_baseline(self) -> None:
        if self.rows:
            self.post_message(self.Chosen(self.place))

    def action_move(self, lines: int) -> None:
        self.place = max(0, min(self.place + lines, len(self.rows) - 1))

    def watch_place(self) -> None:
        self._draw()
        self.post_message(self.Moved())

    def value_to_copy(self) -> str:
        """Return the figures of the run under the cursor, at the cursor of the charts if there is one."""
        row = self.rows[self.place] if self.rows else ()
        figures = [
            cell.plain if heading in _SPEAKING else f"{heading} {cell.plain}"
            for heading, cell in zip(_HEADINGS, row, strict=False)
        ]
        return " · ".join(figures[1:])

    def show_rows(self, rows: Sequence[tuple[Content, ...]]) -> None:
        """Show `rows`, of each as many columns as there is room for."""
        if len(rows) != len(self.rows):
            self.styles.height = len(rows) + 1  # "auto" would lay the screen out for each new figure
        self.rows = rows
        self._draw()

    def _draw(self) -> None:
        if not self.rows:
            return
        widths = [
            max(cell_len(heading), *(row[column].cell_length for row in self.rows))
            for column, heading in enumerate(_HEADINGS)
        ]
        columns = _fitting(widths, self.size.width)
        headings = [_aligned(Content(_HEADINGS[column]), column, widths[column]) for column in columns]
        lines = [Content(_GAP).join(headings).stylize("bold $foreground 60%")]
        visible = max(1, self.size.height - 1)
        self._top = min(self._top, self.place, max(0, len(self.rows) - visible))
        self._top = max(self._top, self.place - visible + 1)
        for number in range(self._top, min(self._top + visible, len(self.rows))):
            row = self.rows[number]
            line = Content(_GAP).join(_aligned(row[column], column, widths[column]) for column in columns)
            if number == self.place:
                line += " " * (self.size.width - line.cell_length)
                line = line.stylize("on grey 35% bold" if self.has_focus else "on grey 20%")
            lines.append(line)
        self.show(Content("\n").join(lines))


class ComparedCurvesPane(Pane):
    """The charts above the table of their runs."""

    DEFAULT_CSS = """
    ComparedCurvesPane {
        layout: vertical;

        OverlayCharts { height: 1fr; }
    }
    """

    BORDER_TITLE = "1 Curves"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._rows: Sequence[CurveRow] = ()
        self._baseline = 0

    def compose(self) -> ComposeResult:
        yield OverlayCharts(id="charts")
        yield ComparedRunsTable()

    def on_mount(self) -> None:
        self.watch(self.charts, "view", self._draw_table)
        self.app.theme_changed_signal.subscribe(self, lambda _: self._draw_table())

    def on_resize(self) -> None:
        self._draw_table()

    @property
    def charts(self) -> OverlayCharts:
        """The charts, and how they are viewed."""
        return self.query_one(OverlayCharts)

    @property
    def table(self) -> ComparedRunsTable:
        """The runs."""
        return self.query_one(ComparedRunsTable)

    def show(self, rows: Sequence[CurveRow], baseline: int) -> None:
        """Show figures of the runs and their differences from number `baseline`."""
        self._rows, self._baseline = rows, baseline
        self._draw_table()

    def show_curves(self) -> None:
        """Draw the charts of the runs shown."""
        self.charts.show_runs(tuple(row.lines for row in self._rows if row.lines is not None))

    def _draw_table(self) -> None:
        if not self._rows or not self.size:
            return
        colours = Palette.from_theme(self.app.theme_variables).runs
        baseline = self._rows[self._baseline].lines
        view = self.charts.view
        rows = [
            table_row(
                row,
                None if baseline is None else baseline.curves,
                colour=colours[row.place],
                is_baseline=row.place == self._baseline,
                at=None if view.cursor is None else (view.unit, view.cursor),
            )
            for row in self._rows
        ]
        self.table.show_rows(rows)


def _fitting(widths: Sequence[int], room: int) -> list[int]:
    """Return the columns that fit into `room` cells, those most needed first to stay."""
    kept: list[int] = []
    for column in _KEPT_LONGEST:
        room -= widths[column] + len(_GAP)
        if room < -len(_GAP):
            break
        kept.append(column)
    return sorted(kept)


def table_row(
    row: CurveRow, baseline: Curves | None, *, colour: str, is_baseline: bool, at: tuple[XUnit, float] | None
) -> tuple[Content, ...]:
    """Return the cells of a run: its latest figures, or those `at` a place on the x axis in a unit."""
    lines = row.lines
    sign = f"{MARKS[row.place]} {lines.line if lines is not None else ''}"
    first = (Content.styled(sign, colour), Content.styled(row.label, "bold" if is_baseline else ""))
    state = Content(row.state)
    step = None
    if lines is not None:
        step = _last_step(lines.curves) if at is None else step_of(lines.curves, *at)
    if lines is None or step is None:
        return *first, *(Content(UNKNOWN) for _ in range(6)), state
    curves = lines.curves
    tests = [value for place, value in curves.test_accuracy if place <= step * (1 + 1e-9)]
    loss = recent_mean(curves.loss, step)
    epoch = step / curves.steps_per_epoch if curves.steps_per_epoch else None
    difference = None
    if not is_baseline and baseline is not None and epoch is not None:
        difference = difference_at_epoch(curves, baseline, epoch)
    return (
        *first,
        Content(percentage(tests[-1], 1) if tests else UNKNOWN),
        Content("baseline") if is_baseline else _test_change(difference),
        Content(loss_figure(loss) if loss is not None else UNKNOWN),
        Content(UNKNOWN) if difference is None else _loss_change(difference.loss),
        Content(UNKNOWN if epoch is None else f"{epoch:.2f}"),
        Content(UNKNOWN if difference is None else f"{difference.epoch:.2f}"),
        state,
    )


def _last_step(curves: Curves) -> float:
    return epochs_done(curves) * curves.steps_per_epoch or max(
        (points[-1][0] for points in (curves.loss, curves.test_accuracy) if points), default=0.0
    )


def _test_change(difference: EpochDifference | None) -> Content:
    """Format a difference of test accuracies, with its epoch unless it is that of the losses."""
    change = None if difference is None else difference.test_accuracy
    if difference is None or change is None or difference.test_epoch is None:
        return Content(UNKNOWN)
    about = "≈ " if difference.interpolated else ""
    earlier = difference.test_epoch < difference.epoch * (1 - 1e-6)
    at = f" @{difference.test_epoch:.3g}" if earlier else ""
    style = "" if not change else "$text-success" if change > 0 else "$text-error"
    return Content.styled(f"{about}{change_text(change)}{at}", style)


def _loss_change(change: float | None) -> Content:
    """Format a difference of losses, of which a lower one is better."""
    if change is None:
        return Content(UNKNOWN)
    arrow, style = ("▼", "$text-success") if change < 0 else ("▲", "$text-error") if change > 0 else ("=", "")
    return Content.styled(f"{arrow} {change:+.3f}", style)


def _aligned(content: Content, column: int, width: int) -> Content:
    pad = Content(" " * (width - content.cell_length))
    return content + pad if column in {0, 1, len(_HEADINGS) - 1} else pad + content
