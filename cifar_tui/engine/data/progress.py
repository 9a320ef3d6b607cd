"""Tells how far a long stage of loading is, and ends it when the user asks to."""

import time
from collections.abc import Callable

from cifar_tui.engine.errors import CancelledError
from cifar_tui.engine.events import LoadingProgress

_SECONDS_BETWEEN_REPORTS = 0.1


class Progress:
    """One stage of loading, reported about ten times a second at most; the last report always comes.

    Args:
        stage: a gerund phrase for the user, such as "decoding images".
        unit: what is counted: "bytes", "files" or "images".
        report: takes every report.
        cancelled: whether the user asked to stop; asked at every step.
        total: how many there are; None where unknown.
    """

    def __init__(
        self,
        stage: str,
        unit: str,
        *,
        report: Callable[[LoadingProgress], None],
        cancelled: Callable[[], bool],
        total: int | None = None,
    ) -> None:
        self.total = total
        self._stage = stage
        self._unit = unit
        self._report = report
        self._cancelled = cancelled
        self._next_report = 0.0

    def check(self) -> None:
        """Raise CancelledError if the user asked to stop."""
        if self._cancelled():
            raise CancelledError(f"stopped while {self._stage}")

    def update(self, done: int) -> None:
        """Say that `done` of `total` units are done.

        Raises:
            CancelledError: the user asked to stop.
        """
        self.check()
        now = time.monotonic()
        if now >= self._next_report or done == self.total:
            self._next_report = now + _SECONDS_BETWEEN_REPORTS
            self._report(LoadingProgress(stage=self._stage, done=done, total=self.total, unit=self._unit))
