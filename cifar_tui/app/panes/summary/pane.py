"""The pane that says how good the net is."""

from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from cifar_tui.app.widgets.bars import bar
from cifar_tui.app.widgets.pane import Pane
from cifar_tui.engine.events import ClassAccuracy, Evaluated
from cifar_tui.runs.format import duration, throughput
from cifar_tui.runs.state import RunSnapshot

EMPTY_TEXT = Content.assemble(
    ("how good the net is, class by class,\nstands here after an evaluation", "$foreground 60%"),
    "\n\n",
    ("e", "bold $text-accent"),
    " evaluates while a run is live",
)
LONGEST_NAME = 16
SMALLEST_BAR = 6
FIXED_WIDTH = len("    100.0 % ▼ worst")
SCROLLBAR = 1


class Reading(VerticalScroll):
    """Scrolls by the arrows, and by j, k, g and G as well."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "scroll_down", "Down", show=False),
        Binding("k", "scroll_up", "Up", show=False),
        Binding("g", "scroll_home", "Top", show=False),
        Binding("G", "scroll_end", "Bottom", show=False),
    ]


class SummaryPane(Pane):
    """Accuracy, loss, time and the accuracy of every class."""

    BORDER_TITLE = "4 Summary"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._snapshot = RunSnapshot()
        self._shown: tuple[object, ...] = ()

    def compose(self) -> ComposeResult:
        """A text that scrolls."""
        yield Static(EMPTY_TEXT, id="no-summary")
        with Reading():
            yield Static(id="summary")

    def on_resize(self) -> None:
        """Fit the bars."""
        self._draw()

    def show(self, snapshot: RunSnapshot) -> None:
        """Show the latest evaluation of the run."""
        self._snapshot = snapshot
        self._draw()

    def _draw(self) -> None:
        snapshot, width = self._snapshot, self.size.width - SCROLLBAR
        shown = (snapshot.evaluated, snapshot.finished, snapshot.checkpoint, width)
        if shown == self._shown:
            return
        self._shown = shown
        self.set_class(snapshot.evaluated is not None, "-filled")
        if snapshot.evaluated is not None:
            lines = [
                *_overall(snapshot, snapshot.evaluated),
                *class_bars(snapshot.evaluated.per_class, width),
            ]
            self.query_one("#summary", Static).update(Content("\n").join(lines))


def _overall(snapshot: RunSnapshot, evaluated: Evaluated) -> list[Content]:
    lines = [
        Content.styled(evaluated.tutorial_line(), "bold"),
        Content.assemble(
            (f"{100 * evaluated.accuracy:.2f} %", "bold $text-accent"),
            f" · {evaluated.correct:,} of {evaluated.total:,} right",
        ),
        _which_weights(evaluated),
    ]
    figures = [f"loss {evaluated.loss:.3f}"]
    finished = snapshot.finished
    if finished is not None:
        figures.append(f"trained in {duration(finished.train_seconds)}")
        if finished.train_seconds > 0 and finished.images:
            figures.append(f"{throughput(finished.images / finished.train_seconds)} overall")
    lines.append(Content(" · ".join(figures)))
    if snapshot.checkpoint is not None:
        folder = str(Path(snapshot.checkpoint.path).parent)
        lines.append(Content.assemble(("saved in ", "$foreground 60%"), folder))
    return [*lines, Content()]


def _which_weights(evaluated: Evaluated) -> Content:
    trained = f" · step {evaluated.step:,}" if evaluated.step else ""
    if evaluated.final:
        return Content.assemble(("✓ ", "$text-success"), f"final weights{trained}")
    return Content.assemble(
        ("~ ", "bold $text-warning"), f"interim, not the final weights · step {evaluated.step:,}"
    )


def class_bars(classes: tuple[ClassAccuracy, ...], width: int) -> list[Content]:
    """A line for every class: its name, a bar, its accuracy, and a sign at the best and at the worst."""
    known = [entry.accuracy for entry in classes if entry.accuracy is not None]
    best, worst = max(known, default=None), min(known, default=None)
    name_width = min(LONGEST_NAME, max((len(entry.name) for entry in classes), default=0))
    count_width = max((len(_count(entry)) for entry in classes), default=0)
    room = width - name_width - FIXED_WIDTH
    counts = room - count_width - 2 >= SMALLEST_BAR
    bar_width = max(0, room - (count_width + 2 if counts else 0))
    lines = []
    for entry in classes:
        accuracy = entry.accuracy
        name = Content(entry.name).truncate(name_width, ellipsis=True, pad=True)
        if accuracy is None:
            lines.append(name + Content.styled("  no test images", "$foreground 60%"))
            continue
        sign, style = _sign(accuracy, best, worst)
        parts: list[Content | tuple[str, str]] = [name, ("  ", "")]
        if bar_width >= SMALLEST_BAR:
            parts += [bar(accuracy, bar_width, style), ("  ", "")]
        parts.append((f"{100 * accuracy:5.1f} %", "bold"))
        if counts:
            parts.append((f"  {_count(entry):>{count_width}}", "$foreground 60%"))
        parts.append((sign, style))
        lines.append(Content.assemble(*parts))
    return lines


def _count(entry: ClassAccuracy) -> str:
    return f"{entry.correct:,}/{entry.total:,}"


def _sign(accuracy: float, best: float | None, worst: float | None) -> tuple[str, str]:
    if best == worst:
        return "", "$accent"
    if accuracy == best:
        return " ▲ best", "$text-success"
    return (" ▼ worst", "$text-error") if accuracy == worst else ("", "$accent")
