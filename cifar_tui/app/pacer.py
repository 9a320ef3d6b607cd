"""How often a part of the screen is drawn: as often as it may, and no more than it costs."""

import time

from cifar_tui.engine.events import Phase
from cifar_tui.runs.state import RunSnapshot

_BUSY = {Phase.TRAINING, Phase.EVALUATING, Phase.SAVING}
"""What a training goes through again and again."""


class Pacer:
    """Spaces out the drawings of a part of the screen while a training is under way in the same process.

    Training and screen share one interpreter: what one of them computes there, the other waits for. The
    dearer a drawing, the longer until the next.

    Args:
        share: of the time, what drawing may take (0-1).
        fastest: seconds from one drawing to the next at least.
        slowest: seconds after which it is drawn whatever that costs.
    """

    def __init__(self, *, share: float, fastest: float, slowest: float) -> None:
        self._share = share
        self._fastest = fastest
        self._slowest = slowest
        self._interval = fastest
        self._drawn_at = -slowest
        self._began = 0.0

    def due(self, snapshot: RunSnapshot) -> bool:
        """Whether it is time to draw the run in `snapshot` again."""
        interval = self._interval if snapshot.phase in _BUSY else self._fastest
        return time.monotonic() - self._drawn_at >= interval

    def begin(self) -> None:
        """A drawing begins, in the thread of the screen."""
        self._drawn_at = time.monotonic()
        self._began = time.thread_time()

    def end(self) -> None:
        """What was begun is on the screen."""
        cost = time.thread_time() - self._began
        self._interval = min(self._slowest, max(self._fastest, cost / self._share))
