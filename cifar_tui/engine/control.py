"""Steer a run from outside its thread: pause, resume, save, evaluate, stop."""

import threading


class RunControl:
    """Passes requests from any thread to the training thread, which answers them between two steps.

    The trainer only reads `pending`, a plain attribute, every few steps, and does the rest when it is set. A
    stop is complete only when the run's thread has returned.

    Attributes:
        pending: whether there is a request to answer, or training should pause.
        stop_requested: whether the run is to save and end.
        paused: whether training should pause.
        stops: number of stops requested.
    """

    def __init__(self) -> None:
        self.pending = False
        self.stop_requested = False
        self.paused = False
        self.stops = 0
        self._changed = threading.Condition()
        self._queued: set[str] = set()

    def request(self, name: str) -> None:
        """Request `name`: pause, resume, toggle_pause, stop, or whatever else the trainer takes."""
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

    def agree(self) -> None:
        """Take over what other processes of the run were asked for; this one is alone."""

    def take(self, name: str) -> bool:
        """Return whether `name` was requested since the last call."""
        with self._changed:
            queued = name in self._queued
            self._queued.discard(name)
            self._update_pending()
            return queued

    def wait_for_stop(self, stops: int, seconds: float) -> bool:
        """Wait up to `seconds` until more than `stops` stops were requested; true if they were."""
        with self._changed:
            return self._changed.wait_for(lambda: self.stops > stops, seconds)

    def wait_while_paused(self, seconds: float) -> bool:
        """Wait until training is resumed or something else is requested: true; false after `seconds`."""
        with self._changed:
            return self._changed.wait_for(
                lambda: not self.paused or bool(self._queued) or self.stop_requested, seconds
            )

    def _update_pending(self) -> None:
        self.pending = self.paused or self.stop_requested or bool(self._queued)
