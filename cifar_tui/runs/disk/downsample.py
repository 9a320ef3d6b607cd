"""Thins the points of a long run for its event log, without losing a spike."""

from cifar_tui.engine.events import LossPoint

POINTS_PER_LEVEL = 4096
"""So many points are kept; then as many of the next twice as many, and so on."""


class Downsampler:
    """Keeps the lowest and the highest of neighbouring points, of the more neighbours the longer the run is.

    The log grows with the logarithm of the run's length; every point in it is one that was measured.
    """

    def __init__(self) -> None:
        self._low: LossPoint | None = None
        self._high: LossPoint | None = None
        self._seen = 0
        self._steps_per_point = 0

    def take(self, point: LossPoint) -> list[LossPoint]:
        """Take in the next point; what is to be logged now, in the order of the steps."""
        self._steps_per_point = max(self._steps_per_point, point.steps)
        level = (point.step // self._steps_per_point // POINTS_PER_LEVEL + 1).bit_length() - 1
        if level == 0:
            return [point]
        if self._low is None or point.loss < self._low.loss:
            self._low = point
        if self._high is None or point.loss > self._high.loss:
            self._high = point
        self._seen += 1
        return self.rest() if self._seen >= 2 << level else []

    def rest(self) -> list[LossPoint]:
        """What is kept of the points that were not decided upon; they are now."""
        kept = {point.step: point for point in (self._low, self._high) if point is not None}
        self._low = self._high = None
        self._seen = 0
        return [kept[step] for step in sorted(kept)]
