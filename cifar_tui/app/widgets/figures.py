"""The figures of a run: what decides in large digits, then progress, speed and training figures."""

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.events import Resize
from textual.widgets import Digits

from cifar_tui.app.widgets.line import Line, bar
from cifar_tui.engine.events import Phase, TrainingStarted
from cifar_tui.runs.format import UNKNOWN, duration, loss_figure, percentage, rate_figure, throughput
from cifar_tui.runs.state import RunSnapshot

WIDE = 96
"""Columns from which the time left is large, too."""


_OVER = frozenset({Phase.DONE, Phase.FAILED, Phase.CRASHED})


class LargeFigure(Vertical):
    """A figure in large digits below its label."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._label, self._figure = "", UNKNOWN

    def compose(self) -> ComposeResult:
        yield Line()
        yield Digits(UNKNOWN)

    def show(self, label: str, figure: str) -> None:
        """Show `figure` below `label`."""
        self._label, self._figure = label, figure
        if self.display:  # Textual takes as long for an update that nobody sees
            self.on_show()

    def on_show(self) -> None:
        self.query_one(Line).show(Content(self._label))
        digits = self.query_one(Digits)
        if digits.value != self._figure:
            digits.update(self._figure)


class RunFigures(Horizontal):
    """Test accuracy and time left in large digits, or in a row in a low pane, and the other figures."""

    DEFAULT_CSS = """
    RunFigures {
        height: auto;

        FigureRows { width: 1fr; height: auto; }
        LargeFigure {
            display: none;
            width: auto;
            height: 4;
            margin-right: 2;

            Line { width: auto; }
            /* as wide as most figures, so that what is beside them rarely moves */
            Digits { width: auto; min-width: 15; color: $text-accent; }
        }
        #deciding { display: block; }
        &.-digits {
            #test-figure { display: block; }
            &.-wide #time-figure { display: block; }
            #deciding { display: none; }
        }
        &.-low #batch { display: none; }
    }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._snapshot = RunSnapshot()

    def compose(self) -> ComposeResult:
        yield LargeFigure(id="test-figure")
        yield LargeFigure(id="time-figure")
        yield FigureRows()

    def on_resize(self, event: Resize) -> None:
        self.set_class(event.size.width >= WIDE, "-wide")
        self.show(self._snapshot)

    def show(self, snapshot: RunSnapshot) -> None:
        """Show the run of `snapshot`."""
        self._snapshot = snapshot
        wide = self.has_class("-wide")
        self.query_one("#test-figure", LargeFigure).show(*_test_figure(snapshot, wide=wide))
        self.query_one("#time-figure", LargeFigure).show(*_time_figure(snapshot))
        self.query_one(FigureRows).show(snapshot)


class FigureRows(Vertical):
    """Rows of figures, with bars as wide as there is room for."""

    def __init__(self) -> None:
        super().__init__()
        self._snapshot = RunSnapshot()

    def compose(self) -> ComposeResult:
        for name in ("deciding", "epoch", "batch", "training", "speed"):
            yield Line(id=name)

    def on_resize(self, event: Resize) -> None:
        self._write(event.size.width)

    def show(self, snapshot: RunSnapshot) -> None:
        """Show the run of `snapshot`."""
        self._snapshot = snapshot
        self._write(self.size.width)

    def _write(self, width: int) -> None:
        snapshot = self._snapshot
        if snapshot.started is None or not width:
            return
        lines = {str(line.id): line for line in self.query(Line)}
        low = not lines["batch"].display
        epoch, batch = _epoch_and_batch(snapshot, snapshot.started, width)
        evaluating = snapshot.evaluating
        if snapshot.phase is Phase.EVALUATING and evaluating is not None:
            batch = _progress("Test batch", evaluating.batch, evaluating.batches, width)
            epoch = batch if low else epoch
        for name, row in {
            "deciding": _deciding(snapshot, width),
            "epoch": epoch,
            "batch": batch,
            "training": fitting(_training(snapshot), width),
            "speed": fitting(_speed(snapshot, with_left=not lines["deciding"].display), width),
        }.items():
            lines[name].show(row)


def fitting(parts: list[Content], width: int) -> Content:
    """Join as many of the parts as fit; the first are the most important."""
    while len(parts) > 1 and sum(part.cell_length + 3 for part in parts) - 3 > width:
        parts = parts[:-1]
    return Content(" · ").join(parts)


def _test_figure(snapshot: RunSnapshot, *, wide: bool) -> tuple[str, str]:
    """Return the latest test accuracy, and a label with the best one, about as wide as it unless `wide`."""
    if snapshot.last_accuracy is None or snapshot.best_accuracy is None:
        return "test · not evaluated yet" if wide else "test · not evaluated", UNKNOWN
    latest = percentage(snapshot.last_accuracy, 2)
    if snapshot.best_accuracy == snapshot.last_accuracy:
        return f"test · best @ epoch {snapshot.best_epoch}", latest
    best = percentage(snapshot.best_accuracy, 2)
    if not wide:
        return f"best {best} @ ep. {snapshot.best_epoch}", latest
    return f"test now · best {best} @ epoch {snapshot.best_epoch}", latest


def _time_figure(snapshot: RunSnapshot) -> tuple[str, str]:
    """Return the time left, or how long a run trained that has none left."""
    if snapshot.finished is not None or snapshot.phase in _OVER:
        return "trained for", duration(snapshot.train_seconds)
    if snapshot.seconds_left is None:
        return "time left", UNKNOWN
    return "time left", duration(snapshot.seconds_left)


def _deciding(snapshot: RunSnapshot, width: int) -> Content:
    """Build the row that takes the place of the large figures."""
    label, test = _test_figure(snapshot, wide=True)
    what, time = _time_figure(snapshot)
    parts = [f"test {test}", label.partition(" · ")[2]]
    if test == UNKNOWN:
        parts = [label]
    parts.insert(1, f"{time} left" if what == "time left" else f"{what} {time}")
    return fitting([Content.styled(part, "bold") for part in parts], width)


def _training(snapshot: RunSnapshot) -> list[Content]:
    parts = []
    if snapshot.accuracy is not None:
        parts.append(_labelled("train", percentage(snapshot.accuracy, 1)))
    if snapshot.loss is not None:
        parts.append(_labelled("loss", loss_figure(snapshot.loss)) + " (smoothed)")
    if snapshot.learning_rate is not None:
        parts.append(_labelled("lr", rate_figure(snapshot.learning_rate)))
    return parts


def _speed(snapshot: RunSnapshot, *, with_left: bool) -> list[Content]:
    finished, phase, seconds = snapshot.finished, snapshot.phase, duration(snapshot.train_seconds)
    if finished is not None and finished.train_seconds > 0:
        whole_run = throughput(finished.images / finished.train_seconds, "whole run")
        return [Content(f"trained for {seconds}"), Content(whole_run)]
    if finished is not None or phase in _OVER:
        return [Content(f"trained for {seconds}")]
    parts = [f"trained for {seconds}"]
    if snapshot.seconds_left is not None and with_left:
        parts.insert(0, f"{duration(snapshot.seconds_left)} left")
    if snapshot.images_per_second is not None and phase is not Phase.PAUSED:
        parts.insert(0, throughput(snapshot.images_per_second, "now"))
    return [Content(part) for part in parts]


def _labelled(label: str, figure: str) -> Content:
    return Content.assemble(f"{label} ", (figure, "bold"))


def _epoch_and_batch(snapshot: RunSnapshot, started: TrainingStarted, width: int) -> list[Content]:
    epochs = max(1, round(started.total_steps / max(1, started.steps_per_epoch)))
    count_width = len(_count(max(started.steps_per_epoch, epochs), max(started.steps_per_epoch, epochs)))
    run = snapshot.step / max(1, started.total_steps)
    return [
        _progress("Epoch", snapshot.epoch, epochs, width, fraction=run, count_width=count_width),
        _progress("Batch", snapshot.batch, started.steps_per_epoch, width, count_width=count_width),
    ]


def _progress(
    label: str, done: int, total: int, width: int, *, fraction: float | None = None, count_width: int = 0
) -> Content:
    """Build `Batch 5,650 of 12,500  ━━━━━╸────   45 %`, without the bar if there is no room for it.

    `fraction` (0-1) is `done` / `total` by default, `count_width` that of the largest count.
    """
    if fraction is None:
        fraction = done / max(1, total)
    count = _count(done, total).ljust(max(count_width, len(_count(total, total))))
    bar_width = width - len(label) - len(count) - 10
    percent = f"{int(100 * fraction):>3} %"
    parts: list[Content | tuple[str, str]] = [(f"{label} ", ""), (count, "bold")]
    if bar_width >= 4:
        return Content.assemble(*parts, "  ", bar(fraction, bar_width, "$accent"), "  ", percent)
    return Content.assemble(*parts, f" {percent}")


def _count(done: int, total: int) -> str:
    return f"{done:,} of {total:,}"
