"""Let training runs take turns, so that all of them see the same load from the rest of the machine.

A shared machine is faster in one minute than in the next, by more than the differences to be measured. With
short turns in rotation every run gets its part of both.
"""

import itertools
import time
from collections.abc import Sequence

from cifar_tui.bench.training import Training
from cifar_tui.engine.errors import RunFailedError

Span = tuple[float, float]
"""Start and end of a turn, in Unix seconds."""

_DRAIN_SECONDS = 0.1
"""A suspended run's GPU queue still drains; keep that out of the next turn."""

_MIN_POINTS_PER_SPAN = 3


def measure_in_turns(trainings: Sequence[Training], *, turns: int, seconds: float) -> list[float]:
    """Return the steps per second of each run, over `turns` turns of `seconds` each."""
    spans = take_turns(trainings, turns=turns, seconds=seconds)
    speeds = []
    for training, own in zip(trainings, spans, strict=True):
        training.wait_for_point_after(own[-1][1])
        steps = [(point.time, point.step) for point in training.points]
        speeds.append(steps_per_second(own, steps, on_gpu=training.device.startswith("cuda")))
    return speeds


def take_turns(trainings: Sequence[Training], *, turns: int, seconds: float) -> list[list[Span]]:
    """Let one run after the other train for `seconds`, `turns` times each; all train afterwards.

    Each round starts with a different run.

    Returns:
        The spans in which each run trained.
    """
    spans: list[list[Span]] = [[] for _ in trainings]
    for training in trainings:
        training.suspend()
    try:
        for turn in range(turns):
            for place in range(len(trainings)):
                number = (turn + place) % len(trainings)
                start = time.time()
                trainings[number].resume()
                trainings[number].wait(seconds)
                trainings[number].suspend()
                spans[number].append((start, time.time()))
                time.sleep(_DRAIN_SECONDS)  # nothing tells when the queue of another process is empty
    finally:
        for training in trainings:
            training.resume()
    return spans


def steps_per_second(spans: Sequence[Span], steps: Sequence[tuple[float, int]], *, on_gpu: bool) -> float:
    """Return the steps per second over all `spans` together.

    Counted from the first known step to the last; a step during which the process is suspended counts. On a
    GPU, steps made while the process was suspended are left out if every span has enough known steps.

    Args:
        spans: when the run trained.
        steps: Unix seconds and step number of known steps, in order.
        on_gpu: whether the steps were made on a GPU.

    Raises:
        RunFailedError: fewer than two known steps are within the spans, or the step number does not rise.
    """
    known = [(moment, step) for moment, step in steps if spans[0][0] <= moment <= spans[-1][1]]
    if len(known) < 2:
        raise RunFailedError("too few steps to measure the training speed; is the machine overloaded?")
    if any(later[1] <= earlier[1] for earlier, later in itertools.pairwise(known)):
        raise RunFailedError("a run's step count did not increase, so its speed is meaningless")
    by_span = [[point for point in known if start <= point[0] <= end] for start, end in spans]
    if on_gpu and all(len(points) >= _MIN_POINTS_PER_SPAN for points in by_span):
        made = sum(points[-1][1] - points[0][1] for points in by_span)
        return made / sum(points[-1][0] - points[0][0] for points in by_span)
    (first_moment, first), (last_moment, last) = known[0], known[-1]
    seconds = sum(max(0.0, min(end, last_moment) - max(start, first_moment)) for start, end in spans)
    return (last - first) / seconds
