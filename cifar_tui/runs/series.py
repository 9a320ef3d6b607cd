"""A curve of unbounded length in bounded memory that keeps its spikes."""

import math


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
    """At most `limit` (at least 2) of the points: the lowest and the highest of each of limit / 2 buckets."""
    if len(points) <= limit:
        return list(points)
    buckets = limit // 2
    kept: list[tuple[float, float]] = []
    for bucket in range(buckets):
        part = points[bucket * len(points) // buckets : (bucket + 1) * len(points) // buckets]
        low = min(part, key=lambda point: point[1])
        high = max(part, key=lambda point: point[1])
        kept.extend(sorted({low, high}))
    return kept
