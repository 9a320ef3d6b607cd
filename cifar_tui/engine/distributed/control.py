"""Requests that all processes of a run answer at the same step."""

from cifar_tui.engine.control import RunControl
from cifar_tui.engine.distributed.ranks import Ranks

_QUEUED = ("save", "evaluate")


class AgreedControl(RunControl):
    """What the processes of a run agree to do: what was requested of any of them before they last agreed.

    Args:
        own: takes the requests to this process, from any thread.
        ranks: the processes.
    """

    def __init__(self, own: RunControl, ranks: Ranks) -> None:
        super().__init__()
        self._own = own
        self._ranks = ranks

    def agree(self) -> None:
        """Take over what was requested of any process; all of them call this after the same step."""
        own = self._own
        taken = [int(own.take(name)) for name in _QUEUED]
        stop, paused, *queued = self._ranks.highest([int(own.stop_requested), int(own.paused), *taken])
        self.stop_requested, self.paused, self.stops = bool(stop), bool(paused), own.stops
        self._queued |= {name for name, requested in zip(_QUEUED, queued, strict=True) if requested}
        self._update_pending()

    def request(self, name: str) -> None:
        """Request `name` of this process; it takes effect when all agree."""
        self._own.request(name)

    def wait_for_stop(self, stops: int, seconds: float) -> bool:
        """Wait for another stop of this process."""
        return self._own.wait_for_stop(stops, seconds)

    def wait_while_paused(self, seconds: float) -> bool:
        """Wait until the first process is asked for something, up to `seconds`; then agree."""
        if self._ranks.is_first:
            self._own.wait_while_paused(seconds)
        self.agree()
        return not self.paused or bool(self._queued) or self.stop_requested
