"""Sums that a training keeps: means as the tutorial takes them, and time spent training."""

import math
import time
from dataclasses import dataclass


@dataclass(slots=True)
class Mean:
    """A mean as the tutorial takes it: a running sum, divided at the end."""

    total: float = 0.0
    count: int = 0

    def add(self, value: float) -> None:
        """Take in a value."""
        self.total += value
        self.count += 1

    @property
    def value(self) -> float:
        """The mean; NaN of nothing."""
        return self.total / self.count if self.count else math.nan


@dataclass(slots=True)
class Stopwatch:
    """Seconds spent between `start` and `stop`, summed."""

    finished: float = 0.0
    started: float | None = None

    def start(self) -> None:
        """Let it run."""
        self.started = time.perf_counter()

    def stop(self) -> None:
        """Hold it."""
        self.finished, self.started = self.seconds, None

    @property
    def seconds(self) -> float:
        """The sum up to now."""
        running = 0.0 if self.started is None else time.perf_counter() - self.started
        return self.finished + running
