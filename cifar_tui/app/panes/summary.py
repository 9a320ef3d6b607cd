"""The result of the latest evaluation: accuracy, loss, time and every class."""

from pathlib import Path

from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import Static

from cifar_tui.app.widgets.line import bar
from cifar_tui.app.widgets.pane import ScrollPane
from cifar_tui.engine.events import ClassAccuracy, Evaluated
from cifar_tui.engine.text import cell_width, cut_names, cut_path
from cifar_tui.runs.format import duration, loss_figure, throughput
from cifar_tui.runs.state import RunSnapshot

MAX_NAME_WIDTH = 16
MIN_BAR_WIDTH = 6
_MANY_CLASSES = 20
_EXTREMES = 5
"""Of more classes than `_MANY_CLASSES`, the so many worst and best come first."""
FIXED_WIDTH = len("    100.0 % ▼ worst")


class SummaryPane(ScrollPane):
    """Overall figures and a bar per class."""

    DEFAULT_CSS = """
    SummaryPane {
        padding: 0 0 0 1;
        scrollbar-gutter: stable;
        #summary { height: auto; }
    }
    """

    BORDER_TITLE = "4 Summary"
    EMPTY_TEXT = Content.assemble(
        "Accuracy per class appears after the first evaluation\n\nPress ",
        ("e", "bold $text-accent"),
        " to evaluate during training",
    )

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._snapshot = RunSnapshot()
        self._shown: tuple[object, ...] = ()

    def compose(self) -> ComposeResult:
        yield from super().compose()
        yield Static(id="summary", classes="content")

    def on_resize(self) -> None:
        self._draw()

    def show(self, snapshot: RunSnapshot) -> None:
        """Show the latest evaluation of the run."""
        self._snapshot = snapshot
        self._draw()

    def _draw(self) -> None:
        snapshot, width = self._snapshot, self.scrollable_content_region.width
        evaluated = snapshot.evaluated
        shown = (evaluated, snapshot.finished, snapshot.checkpoint, width)
        if shown == self._shown:
            return
        self._shown = shown
        self.fill(filled=evaluated is not None)
        if evaluated is not None:
            lines = [*_overall(snapshot, evaluated, width), *class_lines(evaluated.per_class, width)]
            self.query_one("#summary", Static).update(Content("\n").join(lines))


def _overall(snapshot: RunSnapshot, evaluated: Evaluated, width: int) -> list[Content]:
    figures = [f"test loss {loss_figure(evaluated.loss)}"]
    finished = snapshot.finished
    if finished is not None:
        figures.append(f"trained in {duration(finished.train_seconds)}")
        if finished.train_seconds > 0 and finished.images:
            figures.append(throughput(finished.images / finished.train_seconds, "whole run"))
    lines = [
        Content.styled(evaluated.tutorial_line(), "bold"),
        Content.assemble(
            (f"{100 * evaluated.accuracy:.2f} %", "bold $text-accent"),
            f" · {evaluated.correct:,} of {evaluated.total:,} correct",
        ),
        _which_weights(evaluated),
        Content(" · ".join(figures)),
    ]
    if snapshot.checkpoint is not None:
        label = "saved in "
        folder = cut_path(str(Path(snapshot.checkpoint.path).parent), width - len(label))
        lines.append(Content.assemble((label, "$foreground 60%"), folder))
    return lines


def _which_weights(evaluated: Evaluated) -> Content:
    step = f" · step {evaluated.step:,}" if evaluated.step or not evaluated.final else ""
    if evaluated.final:
        return Content.assemble(("✓ ", "$text-success"), f"saved weights{step}")
    return Content.assemble(("~ ", "bold $text-warning"), f"intermediate weights{step}")


def class_lines(classes: tuple[ClassAccuracy, ...], width: int) -> list[Content]:
    """Draw all classes; of many, the worst and the best first."""
    if len(classes) <= _MANY_CLASSES:
        return class_bars(classes, width)
    judged = [entry for entry in classes if entry.accuracy is not None]
    ordered = tuple(sorted(judged, key=lambda entry: entry.accuracy or 0.0))
    parts = {
        f"worst {_EXTREMES}": ordered[:_EXTREMES],
        f"best {_EXTREMES}": ordered[: -_EXTREMES - 1 : -1],
        f"all {len(classes)} classes": classes,
    }
    return [
        line
        for title, entries in parts.items()
        for line in (Content.styled(title, "bold"), *class_bars(entries, width, among=classes))
    ]


def class_bars(
    classes: tuple[ClassAccuracy, ...], width: int, *, among: tuple[ClassAccuracy, ...] = ()
) -> list[Content]:
    """Draw a line per class: its name, a bar, its accuracy, and a mark at the best and the worst.

    `among` has all classes if `classes` are some of them.
    """
    among = among or classes
    accuracies = [entry.accuracy for entry in among if entry.accuracy is not None]
    best, worst = max(accuracies, default=None), min(accuracies, default=None)
    counts = [_count(entry) for entry in classes]
    names = dict(zip(among, cut_names([entry.name for entry in among], MAX_NAME_WIDTH), strict=True))
    name_width = max(map(cell_width, names.values()), default=0)
    count_width = 2 + max((len(_count(entry)) for entry in among), default=0)
    bar_width = width - name_width - FIXED_WIDTH
    with_counts = bar_width - count_width >= MIN_BAR_WIDTH
    if with_counts:
        bar_width -= count_width
    lines = []
    for entry, count in zip(classes, counts, strict=True):
        accuracy = entry.accuracy
        name = Content(names[entry]).truncate(name_width, pad=True)
        if accuracy is None:
            lines.append(name + Content.styled("  no test images", "$foreground 60%"))
            continue
        mark, style = "", "$accent"
        if best != worst and accuracy == best:
            mark, style = " ▲ best", "$text-success"
        elif best != worst and accuracy == worst:
            mark, style = " ▼ worst", "$text-error"
        parts: list[Content | tuple[str, str]] = [name, ("  ", "")]
        if bar_width >= MIN_BAR_WIDTH:
            parts += [bar(accuracy, bar_width, style), ("  ", "")]
        parts.append((f"{100 * accuracy:5.1f} %", "bold"))
        if with_counts:
            parts.append((f"{count:>{count_width}}", "$foreground 60%"))
        parts.append((mark, style))
        lines.append(Content.assemble(*parts))
    return lines


def _count(entry: ClassAccuracy) -> str:
    return f"{entry.correct:,}/{entry.total:,}"
