"""The figures of a run: progress, loss, speed, times and accuracies."""

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.events import Resize
from textual.widgets import Digits

from cifar_tui.app.widgets.line import Line, bar
from cifar_tui.engine.events import Phase, TrainingStarted
from cifar_tui.runs.format import UNKNOWN, duration, loss_figure, throughput
from cifar_tui.runs.state import RunSnapshot


class RunFigures(Horizontal):
    """The loss in large digits, or as a figure in a low pane, beside the other figures."""

    def compose(self) -> ComposeResult:
        with Vertical(id="loss"):
            yield Line(id="loss-label")
            yield Digits(UNKNOWN, id="loss-digits")
        yield FigureRows()

    def on_mount(self) -> None:
        self.query_one("#loss-label", Line).show(Content.styled("loss", "$foreground 60%"))

    def show(self, snapshot: RunSnapshot) -> None:
        """Show the run of `snapshot`."""
        digits = self.query_one(Digits)
        loss = UNKNOWN if snapshot.loss is None else loss_figure(snapshot.loss)
        if digits.value != loss:
            digits.update(loss)
        self.query_one(FigureRows).show(snapshot)


class FigureRows(Vertical):
    """Rows of figures, with bars as wide as there is room for."""

    def __init__(self) -> None:
        super().__init__()
        self._snapshot = RunSnapshot()

    def compose(self) -> ComposeResult:
        for name in ("epoch", "batch", "rates", "accuracy"):
            yield Line(id=name)

    def on_resize(self, event: Resize) -> None:
        self._write(event.size.width)

    def show(self, snapshot: RunSnapshot) -> None:
        """Show the run of `snapshot`."""
        self._snapshot = snapshot
        self._write(self.size.width)

    def _write(self, width: int) -> None:
        snapshot, lines = self._snapshot, list(self.query(Line))
        if snapshot.started is None or not width:
            return
        rows = [
            *_epoch_and_batch(snapshot, snapshot.started, width),
            _rates(snapshot, with_loss=self.has_class("-with-loss")),
            _accuracies(snapshot),
        ]
        evaluating = snapshot.evaluating
        if snapshot.phase is Phase.EVALUATING and evaluating is not None:
            progress = _progress("Evaluated", evaluating.done, evaluating.total, width)
            rows[3 if lines[3].display else 2] = progress
        for line, row in zip(lines, rows, strict=True):
            line.show(row)


def _epoch_and_batch(snapshot: RunSnapshot, started: TrainingStarted, width: int) -> list[Content]:
    epochs = max(1, round(started.total_steps / max(1, started.steps_per_epoch)))
    count_width = len(_count(max(started.steps_per_epoch, epochs), max(started.steps_per_epoch, epochs)))
    run = snapshot.step / max(1, started.total_steps)
    return [
        _progress("Epoch", snapshot.epoch, epochs, width, fraction=run, count_width=count_width),
        _progress("Batch", snapshot.batch, started.steps_per_epoch, width, count_width=count_width),
    ]


def _rates(snapshot: RunSnapshot, *, with_loss: bool) -> Content:
    parts = [f"loss {loss_figure(snapshot.loss)}"] if with_loss and snapshot.loss is not None else []
    if snapshot.images_per_second is not None:
        parts.append(throughput(snapshot.images_per_second))
    parts.append(f"{duration(snapshot.train_seconds)} elapsed")
    if snapshot.seconds_left is not None:
        parts.append(f"{duration(snapshot.seconds_left)} left")
    return Content(" · ".join(parts))


def _accuracies(snapshot: RunSnapshot) -> Content:
    parts = []
    if snapshot.accuracy is not None:
        parts.append(f"training accuracy {100 * snapshot.accuracy:.1f} %")
    if snapshot.evaluated is not None:
        parts.append(f"test {100 * snapshot.evaluated.accuracy:.2f} %")
    return Content.styled(" · ".join(parts), "$foreground 60%")


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
    parts: list[Content | tuple[str, str]] = [(f"{label} ", "$foreground 60%"), (count, "bold")]
    if bar_width >= 4:
        return Content.assemble(*parts, "  ", bar(fraction, bar_width, "$accent"), "  ", percent)
    return Content.assemble(*parts, f" {percent}")


def _count(done: int, total: int) -> str:
    return f"{done:,} of {total:,}"
