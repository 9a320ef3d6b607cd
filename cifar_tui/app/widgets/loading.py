"""The progress of loading: what is being loaded, a bar, the speed and the time left."""

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.eta import ETA

from cifar_tui.app.widgets.line import Line, bar
from cifar_tui.engine.events import LoadingProgress
from cifar_tui.engine.text import escaped
from cifar_tui.runs.format import byte_count, duration

SPEED_SECONDS = 5.0
"""The speed is the mean over this long, so that it neither jumps nor lags."""

MAX_BAR_WIDTH = 100


class LoadingView(Vertical):
    """Shows `LoadingProgress`."""

    DEFAULT_CSS = """
    LoadingView > .note { height: auto; text-wrap: wrap; color: $text-warning; }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._progress: LoadingProgress | None = None
        self._eta = ETA(SPEED_SECONDS)

    def compose(self) -> ComposeResult:
        yield from (Line(), Line(), Line(), Line(classes="note"))

    def show(self, progress: LoadingProgress | None) -> None:
        """Show `progress`; None if nothing is known yet."""
        if progress is self._progress:
            return
        if self._progress is None or progress is None or progress.stage != self._progress.stage:
            self._eta.reset()
        if progress is not None:
            self._eta.add_sample(progress.time, progress.done)
        self._progress = progress
        self._draw()

    def on_resize(self) -> None:
        self._draw()

    def _draw(self) -> None:
        progress, width = self._progress, min(MAX_BAR_WIDTH, max(4, self.size.width))
        rows = [Content("Starting…"), Content(), Content(), Content()]
        if progress is not None:
            rows[0] = Content(escaped(progress.stage))
            rows[2] = Content.styled(" · ".join(_figures(progress, self._eta.speed)), "$foreground 60%")
            rows[3] = Content(progress.note)
            if progress.total:
                fraction = progress.done / progress.total
                rows[1] = bar(fraction, width - 6, "$accent") + Content(f" {int(100 * fraction):>3} %")
        for line, row in zip(self.query(Line), rows, strict=True):
            line.show(row)


def _figures(progress: LoadingProgress, per_second: float | None) -> list[str]:
    def amount(count: float) -> str:
        if progress.unit == "bytes":
            return byte_count(count)
        number = f"{count:,.0f}"
        return f"{number} {progress.unit.removesuffix('s') if number == '1' else progress.unit}"

    figures = [amount(progress.done)]
    if progress.total:
        done = byte_count(progress.done) if progress.unit == "bytes" else f"{progress.done:,}"
        figures = [f"{done} of {amount(progress.total)}"]
    if per_second:
        figures.append(f"{amount(per_second)}/s")
        if progress.total and progress.done < progress.total:
            figures.append(f"{duration((progress.total - progress.done) / per_second)} left")
    return figures
