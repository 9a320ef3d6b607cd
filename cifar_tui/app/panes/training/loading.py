"""How far loading is: what is loaded, a bar, and for how long it will go on."""

from collections import deque

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content

from cifar_tui.app.widgets.bars import bar
from cifar_tui.app.widgets.line import Line
from cifar_tui.engine.events import LoadingProgress
from cifar_tui.runs.format import byte_count, duration

SPAN_SECONDS = 5.0
"""The speed is taken over this long, so that it neither jumps nor lags."""


WIDEST = 100
"""Columns beyond which a bar grows no longer."""


class Speed:
    """Units a second, from the last few `LoadingProgress` of a stage."""

    def __init__(self) -> None:
        self._stage = ""
        self._points: deque[tuple[float, int]] = deque()

    def add(self, progress: LoadingProgress) -> float | None:
        """The speed up to `progress`; None while there is nothing to tell it from."""
        if progress.stage != self._stage or (self._points and progress.done < self._points[-1][1]):
            self._stage = progress.stage
            self._points.clear()
        if not self._points or progress.time > self._points[-1][0]:
            self._points.append((progress.time, progress.done))
        while len(self._points) > 2 and progress.time - self._points[1][0] >= SPAN_SECONDS:
            self._points.popleft()
        seconds = self._points[-1][0] - self._points[0][0]
        done = self._points[-1][1] - self._points[0][1]
        return done / seconds if seconds > 0 and done > 0 else None


class LoadingView(Vertical):
    """Shows `LoadingProgress`."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._speed = Speed()
        self._progress: LoadingProgress | None = None
        self._per_second: float | None = None

    def compose(self) -> ComposeResult:
        """Three lines."""
        yield Line(id="stage")
        yield Line(id="loading-bar")
        yield Line(id="loading-figures")

    def show(self, progress: LoadingProgress | None) -> None:
        """Say how far loading is; None while nothing was heard of it yet."""
        if progress is not self._progress:
            self._progress = progress
            self._per_second = self._speed.add(progress) if progress else None
            self._draw()

    def on_resize(self) -> None:
        """Fit the bar."""
        self._draw()

    def _draw(self) -> None:
        progress, width = self._progress, min(WIDEST, max(4, self.size.width))
        stage, meter, figures = self.query(Line)
        if progress is None:
            stage.show(Content("starting…"))
            meter.show(Content())
            figures.show(Content())
            return
        stage.show(Content(progress.stage))
        if progress.total:
            share = progress.done / progress.total
            meter.show(bar(share, width - 6, "$accent") + Content(f" {int(100 * share):>3} %"))
        else:
            meter.show(Content())
        figures.show(Content.styled(" · ".join(_figures(progress, self._per_second)), "$foreground 60%"))


def _figures(progress: LoadingProgress, per_second: float | None) -> list[str]:
    def amount(count: float) -> str:
        return byte_count(count) if progress.unit == "bytes" else f"{count:,.0f} {progress.unit}"

    if progress.total:
        done = f"{progress.done:,}" if progress.unit != "bytes" else byte_count(progress.done)
        figures = [f"{done} of {amount(progress.total)}"]
    else:
        figures = [amount(progress.done)]
    if per_second:
        figures.append(f"{amount(per_second)}/s")
        if progress.total and progress.done < progress.total:
            figures.append(f"{duration((progress.total - progress.done) / per_second)} left")
    return figures
