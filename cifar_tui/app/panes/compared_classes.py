"""What a run gains and loses against the baseline, class by class."""

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.content import Content

from cifar_tui.app.widgets.line import Line
from cifar_tui.app.widgets.pane import ScrollPane
from cifar_tui.engine.events import Evaluated
from cifar_tui.engine.text import cell_width, cut_names
from cifar_tui.runs.differences import ClassDifference, class_differences
from cifar_tui.runs.format import UNKNOWN, change_text

_LONGEST_NAME, _SHORTEST_NAME = 16, 6
_FIGURES, _SHORT_FIGURES = len("  100.0 % → 100.0 %  ▲ +100.0"), len(" 100.0→100.0 ▲ +100.0")
_LONGEST_BAR = 24


class ComparedClassesPane(ScrollPane):
    """A line for each class, the largest gain or loss first."""

    DEFAULT_CSS = """
    ComparedClassesPane {
        #class-changes { height: auto; }
        #class-note { color: $foreground 60%; height: auto; text-wrap: wrap; }
    }
    """

    BORDER_TITLE = "3 Classes"
    EMPTY_TEXT = "Gains and losses per class appear once both runs are evaluated"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._differences: Sequence[ClassDifference] = ()
        self._labels = ("", "")
        self._notes: list[str] = []
        self._count_differs = False
        self._different = ""

    def compose(self) -> ComposeResult:
        yield from super().compose()
        yield Line(id="class-note", classes="content")
        yield Line(id="class-changes", classes="content")

    def on_resize(self) -> None:
        self._draw()

    def show(self, evaluations: tuple[Evaluated | None, Evaluated | None], labels: tuple[str, str]) -> None:
        """Show how far a run is from the baseline, by their latest evaluations; both are called `labels`."""
        run, baseline = evaluations
        differences: Sequence[ClassDifference] = ()
        if run is not None and baseline is not None:
            differences = class_differences(run, baseline)
            self._notes, self._count_differs = _notes(run, baseline), run.total != baseline.total
        if differences != self._differences:
            self._differences = differences
            self.fill(filled=bool(differences))
            self._draw()
        mean = ""
        changes = [entry.change for entry in differences if entry.change is not None]
        if changes:
            better, worse = (sum(sign * change > 0 for change in changes) for sign in (1, -1))
            mean = f" · {better} better, {worse} worse"
        if labels != self._labels:
            self._labels, self._different = labels, ""
        self._draw_notes()
        title = Content(f"{self.BORDER_TITLE} · {labels[0]} against {labels[1]}{mean}")
        self.write_border(title=title, subtitle=Content(""))

    def show_images(self, different: str) -> None:
        """Say on which `different` test images the two were evaluated; "" if no difference is known."""
        self._different = different
        self._draw_notes()

    def _draw_notes(self) -> None:
        different = [f"on {self._different}"] if self._different and not self._count_differs else []
        self.query_one("#class-note", Line).show(Content(" · ".join(self._notes + different)))

    def _draw(self) -> None:
        if self._differences and self.size:
            self.query_one("#class-changes", Line).show(class_lines(self._differences, self.size.width))


def _notes(run: Evaluated, baseline: Evaluated) -> list[str]:
    """Say where the two evaluations differ in more than what they found."""
    notes = []
    if run.step != baseline.step:
        notes.append(f"after steps {run.step:,} and {baseline.step:,}")
    if run.total != baseline.total:
        notes.append(f"on {run.total:,} and {baseline.total:,} test images")
    return notes


def class_lines(differences: Sequence[ClassDifference], width: int) -> Content:
    """Return a line for each class: name, accuracies from the baseline to the run, gain or loss, a bar."""
    is_narrow = width < _LONGEST_NAME + _FIGURES
    longest = max(_SHORTEST_NAME, min(_LONGEST_NAME, width - (_SHORT_FIGURES if is_narrow else _FIGURES)))
    names = cut_names([entry.name for entry in differences], longest)
    widest = max(map(cell_width, names))
    room = 0 if is_narrow else min(_LONGEST_BAR, width - widest - _FIGURES - 1)
    largest = max((abs(entry.change) for entry in differences if entry.change is not None), default=0.0)
    lines = []
    for name, entry in zip(names, differences, strict=True):
        change = entry.change
        before, after = (_share(value) for value in (entry.baseline, entry.accuracy))
        figures = f" {before:>5}→{after:>5} " if is_narrow else f"  {before:>5} % → {after:>5} %  "
        bar = "█" * round(room * abs(change) / largest) if change and largest and room > 0 else ""
        better, worse = "$text-success", "$text-error"
        style = "" if not change else better if change > 0 else worse
        lines.append(
            Content.assemble(
                name + " " * (widest - cell_width(name)),
                figures,
                (f"{change_text(change):>8}", style),
                (f" {bar}" if bar else "", style),
            )
        )
    return Content("\n").join(lines)


def _share(value: float | None) -> str:
    return UNKNOWN if value is None else f"{100 * value:.1f}"
