"""How a run is steered from outside its thread: pause, resume, save, evaluate, stop."""

import threading


class RunControl:
    """Requests from any thread to the one that trains, which looks at them between two steps.

    The trainer reads `pending`, one attribute, after every few of them; everything else happens only where it
    is set.
    A stop is a request: the run has ended when its thread has returned.
    """

    def __init__(self) -> None:
        self.pending = False
        self._changed = threading.Condition()
        self._paused = False
        self._save = False
        self._evaluate = False
        self._stop = False
        self.stops = 0

    def pause(self) -> None:
        """Hold training before its next step."""
        self._request(paused=True)

    def resume(self) -> None:
        """Let a paused training go on."""
        self._request(paused=False)

    def pause_or_resume(self) -> None:
        """Hold training, or let it go on if it was asked to hold."""
        with self._changed:
            self._request(paused=not self._paused)

    def save(self) -> None:
        """Write a checkpoint before the next step."""
        self._request(save=True)

    def evaluate(self) -> None:
        """Evaluate the test set before the next step."""
        self._request(evaluate=True)

    def stop(self) -> None:
        """Save and end before the next step; cancels a load or a download."""
        with self._changed:
            self.stops += 1
        self._request(stop=True)

    def wait_for_stop(self, stops: int, seconds: float) -> bool:
        """Wait until a stop was asked for more than `stops` times, for at most `seconds`; true if it was."""
        with self._changed:
            return self._changed.wait_for(lambda: self.stops > stops, seconds)

    def _request(
        self, *, paused: bool | None = None, save: bool = False, evaluate: bool = False, stop: bool = False
    ) -> None:
        with self._changed:
            if paused is not None:
                self._paused = paused
            self._save |= save
            self._evaluate |= evaluate
            self._stop |= stop
            self.pending = self._paused or self._save or self._evaluate or self._stop
            self._changed.notify_all()

    @property
    def stop_requested(self) -> bool:
        """Whether the run is to save and end."""
        return self._stop

    @property
    def paused(self) -> bool:
        """Whether training is to hold."""
        return self._paused

    def take_save(self) -> bool:
        """Whether a checkpoint was asked for; asks no longer."""
        with self._changed:
            asked, self._save = self._save, False
            self.pending = self._paused or self._evaluate or self._stop
            return asked

    def take_evaluate(self) -> bool:
        """Whether an evaluation was asked for; asks no longer."""
        with self._changed:
            asked, self._evaluate = self._evaluate, False
            self.pending = self._paused or self._save or self._stop
            return asked

    def wait_while_paused(self, seconds: float | None = None) -> bool:
        """Block until resumed, or until something else is asked for: true; false after `seconds`."""
        with self._changed:
            return self._changed.wait_for(
                lambda: not self._paused or self._save or self._evaluate or self._stop, seconds
            )
