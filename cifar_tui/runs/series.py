"""A curve of any length in bounded memory that keeps its spikes."""

import math
from bisect import bisect_left
from operator import itemgetter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_x, _y = itemgetter(0), itemgetter(1)


class Series:
    """Points (x, y) in ascending x, decimated when there are more than `capacity`.

    Decimation keeps the lowest and the highest point of each bucket, so a spike of a single point survives.
    Non-finite values are left out.
    """

    def __init__(self, capacity: int = 4096) -> None:
        self._capacity = capacity
        self._points: list[tuple[float, float]] = []

    def append(self, x: float, y: float) -> None:
        """Append a point, unless it lies before the last one."""
        if not (math.isfinite(x) and math.isfinite(y)) or (self._points and x < self._points[-1][0]):
            return
        if len(self._points) >= self._capacity:
            self._points = decimate(self._points, self._capacity // 2)
        self._points.append((x, y))

    def cut(self, x: float) -> None:
        """Remove all points beyond `x`."""
        while self._points and self._points[-1][0] > x:
            self._points.pop()

    def points(self) -> tuple[tuple[float, float], ...]:
        """Return the points in ascending x."""
        return tuple(self._points)


def decimate(points: list[tuple[float, float]], limit: int) -> list[tuple[float, float]]:
    """Reduce the points to at most `limit` (at least 2): the lowest and highest of limit / 2 buckets.

    The buckets are equally wide in x, so that older points are not decimated faster than new ones.
    """
    if len(points) <= limit:
        return list(points)
    buckets = limit // 2
    start = points[0][0]
    width = (points[-1][0] - start) / buckets
    kept: list[tuple[float, float]] = []
    first = 0
    for bucket in range(1, buckets + 1):
        edge = math.inf if bucket == buckets else start + bucket * width
        end = bisect_left(points, edge, first, key=_x)
        if end > first:
            part = points[first:end]
            kept.extend(sorted({min(part, key=_y), max(part, key=_y)}))
        first = end
    return kept


def smoothed(values: "NDArray[np.float64]", share: float) -> "NDArray[np.float64]":
    """Compute the centred mean of `values` over a window of `share` (0-1) of them, at least three.

    The window shrinks towards both ends, so that the line never leaves the points it stands for.
    """
    import numpy as np

    index = np.arange(len(values))
    near = np.minimum(max(1, round(share * len(values) / 2)), np.minimum(index, index[::-1]))
    sums = np.concatenate(((0.0,), np.cumsum(values)))
    means: NDArray[np.float64] = (sums[index + near + 1] - sums[index - near]) / (2 * near + 1)
    return means
