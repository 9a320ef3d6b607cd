"""How often a part of the screen is drawn: as often as it may, and no more than it costs."""

import time

from cifar_tui.engine.events import Phase
from cifar_tui.runs.state import RunSnapshot

_BUSY = {Phase.TRAINING, Phase.EVALUATING, Phase.SAVING}
"""What a training goes through again and again."""

_STOOD_STILL_SECONDS = 0.5
"""Nobody has looked for so long: the process was stopped, and so was the training."""

LOOK_SECONDS = 0.2
"""What passes between two looks as a rule."""


class Pacer:
    """Spaces out the drawings of a part of the screen while a training is under way.

    Where it is one of the same process, both share one interpreter, and on the same machine the processor's
    cores: what one of them computes there, the other waits for. So drawing lives on an income, a small share
    of the time. What was not spent is kept, up to a limit, so that a run that begins is drawn often; where a
    part shows the whole course of it, ever less often as it grows older.

    Args:
        share: of the time, what drawing may take in the long run (0-1).
        savings: seconds of drawing that it begins with, and that it saves at most.
        fastest: seconds from one drawing to the next at least.
        slowest: seconds after which it is drawn whatever that costs.
        growth: by what part of the time for which a training has been shown it is to be shown longer for the
            next drawing; not in force where it makes no steps, nor after `slowest`.
    """

    def __init__(
        self, *, share: float, savings: float, fastest: float, slowest: float, growth: float = 0.0
    ) -> None:
        self._share = share
        self._most = self._saved = savings
        self._fastest = fastest
        self._slowest = slowest
        self._growth = growth
        self._shown_for = 0.0
        self._drawn_at = -slowest
        self._looked_at = time.monotonic()
        self._began = 0.0

    def due(self, snapshot: RunSnapshot) -> bool:
        """Whether it is time to draw the run in `snapshot` again; to be asked several times a second."""
        now = time.monotonic()
        passed, self._looked_at = now - self._looked_at, now
        if passed > _STOOD_STILL_SECONDS:
            self._drawn_at += passed - LOOK_SECONDS
            passed = LOOK_SECONDS / 2  # what there was of it on both sides of the stop, on average
        self._saved = min(self._most, self._saved + self._share * passed)
        waited = now - self._drawn_at
        if snapshot.phase not in _BUSY:
            return waited >= self._fastest
        self._shown_for += passed
        enough = self._saved >= 0 and waited >= max(self._fastest, self._growth * self._shown_for)
        return enough or waited >= max(self._fastest, self._slowest)

    def begin(self) -> None:
        """A drawing begins, in the thread of the screen."""
        self._drawn_at = time.monotonic()
        self._began = time.thread_time()

    def end(self) -> None:
        """What was begun is on the screen."""
        # no debts: after a single dear drawing it waits for as long as after any other of that price
        self._saved = max(self._saved, 0.0) - (time.thread_time() - self._began)
