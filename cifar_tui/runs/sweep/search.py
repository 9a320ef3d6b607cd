"""The values to try: every combination of those given, or drawn at random from ranges. Imports no torch."""

import itertools
import math
import random
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cifar_tui.engine.config.schema import setting_field
from cifar_tui.engine.config.text import parse_setting
from cifar_tui.engine.errors import ConfigError

_COMMA = re.compile(r"(?<!\\),")
_NUMBERS = (int, float, float | None)
_DIGITS = 4
"""Significant digits of a number that is drawn: what a table shows of it is then all of it."""
_TRIES = 100
_MOST_SEEDS = 10_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """A range to draw numbers from, both ends included; `log`: evenly on a logarithmic scale."""

    low: float
    high: float
    log: bool
    whole: bool

    def draw(self, generator: random.Random) -> str:
        """Draw a number, as text."""
        low, high = (math.log(self.low), math.log(self.high)) if self.log else (self.low, self.high)
        if self.whole and not self.log:
            return str(generator.randint(int(self.low), int(self.high)))
        number = generator.uniform(low, high)
        number = math.exp(number) if self.log else number
        if self.whole:
            return str(round(min(max(number, self.low), self.high)))
        rounded = float(f"{number:.{_DIGITS}g}")
        return str(rounded if self.low <= rounded <= self.high else number)


Axis = tuple[str, ...] | Span
"""What a setting is varied over: values, as a user writes them, or a range."""


def parse_axis(name: str, text: str) -> Axis:
    r"""Parse what a user wrote for the setting `name`: `A,B,C`, or `LOW..HIGH`, `LOW..HIGH:log` for numbers.

    A comma that belongs to a value is written as `\,`.

    Raises:
        ConfigError: there is no such setting, or a value is wrong, empty or there twice.
    """
    is_number = setting_field(name).type in _NUMBERS
    if is_number and ".." in text:
        return _parse_span(name, text)
    values = tuple(value.replace("\\,", ",").strip() for value in _COMMA.split(text))
    if len(values) > 1 and "" in values:
        raise ConfigError(f"{name} {text!r} has an empty value: write values as A,B,C", field=name)
    parsed = [parse_setting(name, value) for value in values]
    for index, value in enumerate(parsed):
        if value in parsed[:index]:
            raise ConfigError(f"{name} {text!r} has {values[index]} twice: leave one out", field=name)
    return values


def parse_seeds(text: str) -> tuple[str, ...]:
    """Parse seeds such as `0-4` or `0,3,7-9`.

    Raises:
        ConfigError: they are none, or one is there twice.
    """
    seeds: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,19})(?:-(\d{1,19}))?\s*", part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if last < first:
            raise ConfigError(f"--seeds {text!r} must be whole numbers and ranges, such as 0-4 or 0,3,7")
        if last - first >= _MOST_SEEDS:
            raise ConfigError(f"--seeds {text!r} has more than {_MOST_SEEDS:,} seeds: give fewer")
        seeds += range(first, last + 1)
    if len(set(seeds)) < len(seeds):
        raise ConfigError(f"--seeds {text!r} has a seed twice: leave one out")
    return tuple(map(str, seeds))


def grid(axes: Mapping[str, Axis]) -> list[dict[str, str]]:
    """Return every combination of the values, the last setting varying fastest.

    Raises:
        ConfigError: one has a range.
    """
    lists: list[tuple[str, ...]] = []
    for name, axis in axes.items():
        if isinstance(axis, Span):
            raise ConfigError(
                f"{name} has a range: draw from it with --random N, or give its values as A,B,C", field=name
            )
        lists.append(axis)
    return [dict(zip(axes, values, strict=True)) for values in itertools.product(*lists)]


def drawn(axes: Mapping[str, Axis], count: int, *, seed: int) -> list[dict[str, str]]:
    """Draw `count` different combinations: a number from each range, a value from each list.

    Raises:
        ConfigError: there are not so many, or nothing to draw from.
    """
    if all(not isinstance(axis, Span) and len(axis) == 1 for axis in axes.values()):
        raise ConfigError(
            "--random needs something to draw from, such as --set learning_rate=1e-4..1e-1:log or "
            "--set optimizer=sgd,adamw"
        )
    generator = random.Random(seed)  # noqa: S311 - no secret
    found: dict[tuple[str, ...], None] = {}
    for _ in range(_TRIES * count):
        values = tuple(
            axis.draw(generator) if isinstance(axis, Span) else generator.choice(axis)
            for axis in axes.values()
        )
        found.setdefault(values)
        if len(found) == count:
            return [dict(zip(axes, values, strict=True)) for values in found]
    raise ConfigError(
        f"--random {count}: found only {len(found)} different combinations; lower N or widen the ranges"
    )


def varied(axes: Iterable[tuple[str, Axis]]) -> tuple[str, ...]:
    """Return the names of the settings with several values."""
    return tuple(name for name, axis in axes if isinstance(axis, Span) or len(axis) > 1)


def _parse_span(name: str, text: str) -> Span:
    expected = ConfigError(
        f"{name} {text!r} must be LOW..HIGH or LOW..HIGH:log with LOW below HIGH, such as 1e-4..1e-1:log",
        field=name,
    )
    ends, _, scale = text.partition(":")
    low, _, high = (part.strip() for part in ends.partition(".."))
    low_value, high_value = parse_setting(name, low), parse_setting(name, high)
    if not isinstance(low_value, int | float) or not isinstance(high_value, int | float):
        raise expected
    log = scale.strip() == "log"
    if low_value >= high_value or (scale and not log):
        raise expected
    if log and low_value <= 0:
        raise ConfigError(f"{name} {text!r} must begin above 0 for a logarithmic scale", field=name)
    whole = setting_field(name).type is int
    return Span(low=low_value, high=high_value, log=log, whole=whole)
