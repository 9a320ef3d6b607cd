"""Downsample the chart points of a long run for its event log, keeping every spike."""

from cifar_tui.engine.events import LossPoint

POINTS_PER_LEVEL = 4096
"""The first 4,096 points are all kept, then 2 of every 4, then 2 of every 8, and so on."""


class Downsampler:
    """Keep the lowest and the highest loss of neighbouring points, in buckets that grow with the run.

    The log grows with the logarithm of the run's length, and every point in it was measured.
    """

    def __init__(self) -> None:
        self._low: LossPoint | None = None
        self._high: LossPoint | None = None
        self._seen = 0
        self._steps_per_point = 0

    def take(self, point: LossPoint) -> list[LossPoint]:
        """Add the next point; returns the points to log now, in step order."""
        self._steps_per_point = max(self._steps_per_point, point.steps)
        level = (point.step // self._steps_per_point // POINTS_PER_LEVEL + 1).bit_length() - 1
        if level == 0:
            return [point]
        if self._low is None or point.loss < self._low.loss:
            self._low = point
        if self._high is None or point.loss > self._high.loss:
            self._high = point
        self._seen += 1
        return self.flush() if self._seen >= 2 << level else []

    def flush(self) -> list[LossPoint]:
        """End the current bucket; returns the points to log of it."""
        kept = {point.step: point for point in (self._low, self._high) if point is not None}
        self._low = self._high = None
        self._seen = 0
        return [kept[step] for step in sorted(kept)]
