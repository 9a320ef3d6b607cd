"""The rows of figures of a run at work."""

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.events import Resize
from textual.geometry import Size
from textual.renderables.digits import Digits as DigitsRenderable
from textual.widgets import Digits

from cifar_tui.app.widgets.bars import counter
from cifar_tui.app.widgets.line import Line
from cifar_tui.engine.events import EvaluationProgress, Phase, TrainingStarted
from cifar_tui.runs.format import UNKNOWN, duration, loss_figure, throughput
from cifar_tui.runs.state import RunSnapshot


class Rows(Vertical):
    """Rows of figures that fill the width: they are written again when it changes."""

    def __init__(self) -> None:
        super().__init__()
        self._snapshot = RunSnapshot()

    def compose(self) -> ComposeResult:
        """Four rows; a style may hide the last."""
        for name in ("epoch", "batch", "rates", "accuracy"):
            yield Line(id=name)

    def on_resize(self, event: Resize) -> None:
        """Fit the bars."""
        self._write(event.size.width)

    def show(self, snapshot: RunSnapshot) -> None:
        """Show the run as it is now."""
        self._snapshot = snapshot
        self._write(self.size.width)

    def _write(self, width: int) -> None:
        snapshot, lines = self._snapshot, list(self.query(Line))
        if snapshot.started is None or not width:
            return
        rows = [
            *epoch_and_batch(snapshot, snapshot.started, width),
            rates(snapshot, with_loss=self.has_class("-with-loss")),
            accuracies(snapshot),
        ]
        if snapshot.phase is Phase.EVALUATING and snapshot.evaluating is not None:
            rows[3 if lines[3].display else 2] = tested(snapshot.evaluating, width)
        for line, row in zip(lines, rows, strict=True):
            line.show(row)


class LossDigits(Digits):
    """Large digits as wide as the widest value so far.

    What stands beside them stays where it is, and the screen need not be laid out anew with every loss.
    """

    _widest = 0

    def update(self, value: str) -> None:
        """Show `value`."""
        width = DigitsRenderable.get_width(value)
        self._value = value
        self.refresh(layout=width > self._widest)
        self._widest = max(self._widest, width)

    def get_content_width(self, container: Size, viewport: Size) -> int:
        """That of the widest value."""
        return max(self._widest, super().get_content_width(container, viewport))


class RunFigures(Horizontal):
    """The loss in large digits, or in a row where there is little height, beside the other figures."""

    def compose(self) -> ComposeResult:
        """The loss, and the rows."""
        with Vertical(id="loss"):
            yield Line(id="loss-label")
            yield LossDigits(UNKNOWN, id="loss-digits")
        yield Rows()

    def on_mount(self) -> None:
        """Name the digits."""
        self.query_one("#loss-label", Line).show(Content.styled("loss", "$foreground 60%"))

    def show(self, snapshot: RunSnapshot) -> None:
        """Show the run as it is now."""
        digits, loss = self.query_one(Digits), UNKNOWN
        if snapshot.loss is not None:
            loss = loss_figure(snapshot.loss)
        if digits.value != loss:
            digits.update(loss)
        self.query_one(Rows).show(snapshot)


def epoch_and_batch(snapshot: RunSnapshot, started: TrainingStarted, width: int) -> list[Content]:
    """How far the run and its epoch are, in two rows."""
    epochs = max(1, round(started.total_steps / max(1, started.steps_per_epoch)))
    figures = 2 * len(f"{max(started.steps_per_epoch, epochs):,}") + len(" of ")
    rows = (
        ("Epoch", snapshot.epoch, epochs, snapshot.step / max(1, started.total_steps)),
        (
            "Batch",
            snapshot.batch,
            started.steps_per_epoch,
            snapshot.batch / max(1, started.steps_per_epoch),
        ),
    )
    return [
        counter(label, done, total, share=share, width=width, figures=figures)
        for label, done, total, share in rows
    ]


def rates(snapshot: RunSnapshot, *, with_loss: bool) -> Content:
    """Speed and times in one row, after the loss where that is not shown elsewhere."""
    parts = [f"loss {loss_figure(snapshot.loss)}"] if with_loss and snapshot.loss is not None else []
    if snapshot.images_per_second is not None:
        parts.append(throughput(snapshot.images_per_second))
    parts.append(f"{duration(snapshot.train_seconds)} elapsed")
    if snapshot.seconds_left is not None:
        parts.append(f"{duration(snapshot.seconds_left)} left")
    return Content(" · ".join(parts))


def accuracies(snapshot: RunSnapshot) -> Content:
    """What share is classified rightly, in one row."""
    parts = []
    if snapshot.accuracy is not None:
        parts.append(f"training accuracy {100 * snapshot.accuracy:.1f} %")
    if snapshot.evaluated is not None:
        parts.append(f"test {100 * snapshot.evaluated.accuracy:.2f} %")
    return Content.styled(" · ".join(parts), "$foreground 60%")


def tested(progress: EvaluationProgress, width: int) -> Content:
    """How far the evaluation is, in one row."""
    share = progress.done / max(1, progress.total)
    figures = 2 * len(f"{progress.total:,}") + len(" of ")
    return counter("Tested", progress.done, progress.total, share=share, width=width, figures=figures)
