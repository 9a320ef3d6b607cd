"""A curve of unbounded length in bounded memory that keeps its spikes."""

import math
from bisect import bisect_left
from operator import itemgetter

_x, _y = itemgetter(0), itemgetter(1)


class Series:
    """Points (x, y) in the order of x, thinned to at most `capacity` when there are more.

    When it is full, the points are put into buckets of neighbours and each keeps its lowest and its highest,
    so a spike of a single point stays visible at any length. Values that are not finite are left out.
    """

    def __init__(self, capacity: int = 4096) -> None:
        self._capacity = capacity
        self._points: list[tuple[float, float]] = []

    def append(self, x: float, y: float) -> None:
        """Add a point to the right of all others."""
        if not (math.isfinite(x) and math.isfinite(y)):
            return
        if len(self._points) >= self._capacity:
            self._points = decimate(self._points, self._capacity // 2)
        self._points.append((x, y))

    def cut(self, x: float) -> None:
        """Take away all points to the right of `x`."""
        while self._points and self._points[-1][0] > x:
            self._points.pop()

    def points(self) -> tuple[tuple[float, float], ...]:
        """The points kept, in the order of x."""
        return tuple(self._points)


def decimate(points: list[tuple[float, float]], limit: int) -> list[tuple[float, float]]:
    """At most `limit` (at least 2) of the points: the lowest and the highest of each of limit / 2 buckets.

    The buckets are equally wide, so that what was thinned before is not thinned faster than what is new.
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
