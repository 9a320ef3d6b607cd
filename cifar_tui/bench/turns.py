"""Trainings that take turns on a machine, so that all of them meet the same of what else it does.

A machine that others share is faster in one minute than in the next, and by more than what is measured. Where
one training after the other goes on for a short time, again and again, each gets its part of both.
"""

import contextlib
import itertools
import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cifar_tui.engine.errors import RunFailedError

Span = tuple[float, float]
"""From when to when, in Unix seconds."""

_DRAIN_SECONDS = 0.1
"""A GPU goes on with what was queued when its process is halted: not in the turn of the next."""

_POINTS_TO_COUNT_WITHIN = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Contestant:
    """A training that is under way in a process group of its own.

    Attributes:
        group: the group's id.
        pass_time: waits so many seconds, doing meanwhile what the training needs to go on.
    """

    group: int
    pass_time: Callable[[float], object]

    def halt(self) -> None:
        """Let all of its processes stand still."""
        os.killpg(self.group, signal.SIGSTOP)

    def go_on(self) -> None:
        """Let those go on that are left."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.group, signal.SIGCONT)


def take_turns(contestants: Sequence[Contestant], *, turns: int, seconds: float) -> list[list[Span]]:
    """Let one after the other go on for `seconds`, and that `turns` times; all of them go on afterwards.

    Who is first in a turn changes from one to the next.

    Returns:
        When each of them went on.
    """
    spans: list[list[Span]] = [[] for _ in contestants]
    for contestant in contestants:
        contestant.halt()
    try:
        for turn in range(turns):
            for place in range(len(contestants)):
                number = (turn + place) % len(contestants)
                began = time.time()
                contestants[number].go_on()
                contestants[number].pass_time(seconds)
                contestants[number].halt()
                spans[number].append((began, time.time()))
                time.sleep(_DRAIN_SECONDS)
    finally:
        for contestant in contestants:
            contestant.go_on()
    return spans


def rate(spans: Sequence[Span], steps: Sequence[tuple[float, int]], *, device: str) -> float:
    """Steps a second in all of `spans` together.

    Steps count from the first one of all to the last, and so does a step that a halt falls into. On a GPU,
    where enough is known of every span, they count from the first one known in it to the last: what it did
    while its process was halted is left out.

    Args:
        spans: when the training went on.
        steps: moments in Unix seconds and the step that was made then, in order.
        device: what it trains on, as its events name it; a GPU's name begins with "cuda".

    Raises:
        RunFailedError: there are not two of them in `spans`, or they do not go on.
    """
    inside = [(moment, step) for moment, step in steps if spans[0][0] <= moment <= spans[-1][1]]
    if len(inside) < 2:
        raise RunFailedError("too few steps of a training are known to measure it: give it more time")
    if any(later[1] <= earlier[1] for earlier, later in itertools.pairwise(inside)):
        raise RunFailedError("the steps of a training do not go on: its speed would mean nothing")
    within = [[known for known in inside if began <= known[0] <= ended] for began, ended in spans]
    if device.startswith("cuda") and all(len(own) >= _POINTS_TO_COUNT_WITHIN for own in within):
        counted = sum(own[-1][1] - own[0][1] for own in within)
        return counted / sum(own[-1][0] - own[0][0] for own in within)
    (first_moment, first), (last_moment, last) = inside[0], inside[-1]
    seconds = sum(max(0.0, min(ended, last_moment) - max(began, first_moment)) for began, ended in spans)
    return (last - first) / seconds
