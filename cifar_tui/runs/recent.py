"""Figures over the latest steps of a run: throughput, and smoothed loss and accuracy."""

import math
from collections import deque
from dataclasses import dataclass, field

from cifar_tui.engine.events import LossPoint


@dataclass(slots=True)
class Throughput:
    """Images per second over the last `span_seconds` of training, or the last point if it took longer."""

    span_seconds: float = 3.0
    points: deque[tuple[float, int]] = field(default_factory=lambda: deque([(0.0, 0)]))

    def add(self, point: LossPoint) -> float | None:
        """Return the throughput up to `point`; a downsampled log may lack points before it."""
        self.points.append((point.train_seconds, point.step))
        while len(self.points) > 2 and point.train_seconds - self.points[1][0] >= self.span_seconds:
            self.points.popleft()
        seconds, steps = (now - then for now, then in zip(self.points[-1], self.points[0], strict=True))
        return steps * point.images / point.steps / seconds if seconds > 0 and point.steps else None


@dataclass(slots=True)
class SmoothedMetrics:
    """Exponential means of loss and training accuracy, at any rate of points and length of the run."""

    share: float = 0.05
    step: int = 0
    loss: float | None = None
    accuracy: float | None = None

    def add(self, point: LossPoint) -> None:
        """Weigh the steps since the last point against `share` of all steps up to this one."""
        steps, self.step = max(0, point.step - self.step), point.step
        if self.loss is None or self.accuracy is None or not math.isfinite(self.loss):
            self.loss, self.accuracy = point.loss, point.accuracy
            return
        weight = -math.expm1(-steps / (self.share * max(1, point.step)))
        self.loss += weight * (point.loss - self.loss)
        self.accuracy += weight * (point.accuracy - self.accuracy)
