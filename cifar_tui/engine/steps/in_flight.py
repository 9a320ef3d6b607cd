"""Keep the host from running ahead of a GPU, so that a pause takes effect at once."""

from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import Protocol

import torch

_LAUNCHES_IN_FLIGHT = 2


class _Launched(Protocol):
    def synchronize(self) -> object:
        """Wait until the device is done with it."""


class InFlightLimit:
    """A block that launches work waits until at most one earlier launch is in flight.

    Otherwise the host runs many launches ahead and a pause waits for all of them; with one queued behind the
    running one the device is never idle.

    Args:
        mark: marks the end of what was launched so far.
    """

    def __init__(self, mark: Callable[[], _Launched]) -> None:
        self._mark = mark
        self._in_flight: deque[_Launched] = deque()

    def __enter__(self) -> None:
        if len(self._in_flight) == _LAUNCHES_IN_FLIGHT:
            self._in_flight.popleft().synchronize()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            self._in_flight.append(self._mark())


def limit_in_flight(device: torch.device) -> AbstractContextManager[None]:
    """The limit for launches on `device`; without a GPU nothing is in flight."""
    return InFlightLimit(_mark_on_cuda) if device.type == "cuda" else nullcontext()


def _mark_on_cuda() -> _Launched:
    # blocking: sleep instead of spinning while waiting
    mark = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]  # torch has no types for it
    mark.record()
    return mark
