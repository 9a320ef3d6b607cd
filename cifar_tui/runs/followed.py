"""`FollowedRuns`: runs that are compared, each followed through its folder as long as they are shown."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from cifar_tui.engine.errors import UserError
from cifar_tui.runs.attached import AttachedRun
from cifar_tui.runs.listing import LIVE, ListedRun, list_run

_LOAD_SECONDS = 0.02
_LIST_SECONDS = 2.0


@dataclass(frozen=True, kw_only=True, slots=True)
class FollowedRun:
    """A run that is compared.

    Attributes:
        listed: what the list shows of it.
        source: its events; None while they are not read yet.
        problem: why they cannot be read; "" if they can.
    """

    listed: ListedRun
    source: AttachedRun | None = None
    problem: str = ""


class FollowedRuns:
    """Follows `runs` on threads; no method blocks. Memory is bounded, as that of each `AttachedRun` is."""

    def __init__(self, runs: Sequence[ListedRun]) -> None:
        self._runs = tuple(FollowedRun(listed=run) for run in runs)
        self._closed = threading.Event()

    def start(self) -> None:
        """Read the event logs, one after another, and follow them."""
        threading.Thread(target=self._follow, name="cifar-tui-compare", daemon=True).start()

    def close(self) -> None:
        """Stop following."""
        self._closed.set()
        for run in self._runs:
            if run.source is not None:
                run.source.close()

    @property
    def runs(self) -> tuple[FollowedRun, ...]:
        """The runs as they are known now, in the order given."""
        return self._runs

    def _follow(self) -> None:
        for place, run in enumerate(self._runs):
            if not self._closed.is_set():
                self._set(place, _opened(run.listed, self._closed))
        while not self._closed.wait(_LIST_SECONDS):
            for place, run in enumerate(self._runs):
                if run.listed.state in LIVE or (run.source is not None and run.source.live):
                    listed = list_run(run.listed.folder)
                    self._set(place, FollowedRun(listed=listed, source=run.source, problem=run.problem))
        self.close()  # those that were opened meanwhile

    def _set(self, place: int, run: FollowedRun) -> None:
        self._runs = (*self._runs[:place], run, *self._runs[place + 1 :])


def _opened(run: ListedRun, closed: threading.Event) -> FollowedRun:
    """Read the events of `run` so far."""
    try:
        source = AttachedRun(run.folder, images=False)
    except UserError as error:
        return FollowedRun(listed=run, problem=str(error))
    source.start()
    while not source.loaded and not closed.is_set():
        time.sleep(_LOAD_SECONDS)
    return FollowedRun(listed=run, source=source)
