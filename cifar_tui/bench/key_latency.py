"""How soon a key shows its effect on the terminal."""

import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from cifar_tui.bench.terminal import Terminal
from cifar_tui.engine.errors import RunFailedError

_PATIENCE_SECONDS = 5.0
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.05, 0.2
"""Seconds between two keys: they differ, so that no timer of the dashboard is always met alike."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Key:
    """A key, and a pattern of text that is drawn again only by its effect."""

    key: str
    name: str
    shows: str


_SPACE = "space holds the training"

_KEYS = (
    _Key(key="?", name="? opens help", shows="Pause training between two steps"),
    _Key(key="?", name="? closes help", shows="1 Configuration"),
    _Key(key="l", name="l logarithmic loss", shows="Loss, log"),
    _Key(key="l", name="l linear loss", shows=r"Loss {2}\S"),
    _Key(key="]", name="] next batch", shows="batch 2 of"),
    _Key(key="[", name="[ previous batch", shows="batch 1 of"),
    _Key(key=" ", name=_SPACE, shows="‖ pausing|▼ saving|‖ paused"),
    _Key(key=" ", name="space lets it go on", shows="▶ training|◎ evaluating"),
)
"""In this order each leaves the dashboard as it was found after two."""


@dataclass(frozen=True, kw_only=True, slots=True)
class KeyPress:
    """One key, and the milliseconds from writing it to the first bytes that show its effect."""

    name: str
    milliseconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class KeyLatency:
    """What was measured of the keys.

    Attributes:
        presses: all of them.
        paused_ms: milliseconds from each key that holds the training until it is paused and saved. It may
            first have to end a step or an evaluation.
    """

    presses: tuple[KeyPress, ...]
    paused_ms: tuple[float, ...]


def measure_key_latency(terminal: Terminal, presses: int) -> KeyLatency:
    """Press keys in a dashboard of at least 170×36 whose run trains; one without an effect counts as 5 s.

    Raises:
        RunFailedError: the dashboard ended, or a training does not hold.
    """
    generator = random.Random(0)  # noqa: S311 - the same numbers every time, no secret
    found, paused_ms = [], []
    for number in range(presses):
        key = _KEYS[number % len(_KEYS)]
        terminal.read_for(generator.uniform(_SHORTEST_PAUSE, _LONGEST_PAUSE))
        terminal.press(key.key)
        seconds = terminal.until(key.shows, _PATIENCE_SECONDS) or _PATIENCE_SECONDS
        found.append(KeyPress(name=key.name, milliseconds=1000 * seconds))
        if key.name == _SPACE:
            rest = terminal.until("‖ paused")
            if rest is None:
                raise RunFailedError("a run that was to be measured does not hold: is the machine too busy?")
            paused_ms.append(1000 * (seconds + rest))
    return KeyLatency(presses=tuple(found), paused_ms=tuple(paused_ms))


def percentile(values: Sequence[float], percent: int) -> float:
    """The value that `percent` (1-99) of `values` do not exceed, between two of them where it falls there."""
    if len(values) < 2:
        return values[0]
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]
