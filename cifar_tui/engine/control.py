"""Steer a run from outside its thread: pause, resume, save, evaluate, stop."""

import threading


class RunControl:
    """Requests from any thread to the training thread, which answers them between two steps.

    The trainer reads `pending`, one attribute, after every few steps; everything else happens only when it is
    set. A stop is a request too: the run has ended when its thread has returned.

    Attributes:
        pending: whether the training thread has something to answer.
        stop_requested: whether the run shall save and end.
        paused: whether training shall hold.
        stops: how many times a stop was requested.
    """

    def __init__(self) -> None:
        self.pending = False
        self.stop_requested = False
        self.paused = False
        self.stops = 0
        self._changed = threading.Condition()
        self._queued: set[str] = set()

    def request(self, name: str) -> None:
        """Request `name`: pause, resume, toggle_pause, stop, or anything that the trainer answers by name."""
        with self._changed:
            match name:
                case "pause":
                    self.paused = True
                case "resume":
                    self.paused = False
                case "toggle_pause":
                    self.paused = not self.paused
                case "stop":
                    self.stop_requested = True
                    self.stops += 1
                case _:
                    self._queued.add(name)
            self._changed.notify_all()
            self._update_pending()

    def take(self, name: str) -> bool:
        """Whether `name` was requested since the last call."""
        with self._changed:
            queued = name in self._queued
            self._queued.discard(name)
            self._update_pending()
            return queued

    def wait_for_stop(self, stops: int, seconds: float) -> bool:
        """Wait up to `seconds` until a stop was requested more than `stops` times; true if it was."""
        with self._changed:
            return self._changed.wait_for(lambda: self.stops > stops, seconds)

    def wait_while_paused(self, seconds: float | None = None) -> bool:
        """Block until resumed or until something else is requested: true; false after `seconds`."""
        with self._changed:
            return self._changed.wait_for(
                lambda: not self.paused or bool(self._queued) or self.stop_requested, seconds
            )

    def _update_pending(self) -> None:
        self.pending = self.paused or self.stop_requested or bool(self._queued)
