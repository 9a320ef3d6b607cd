"""`cifar-tui lr`: find a learning rate with a range test."""

import argparse
import math
from functools import partial
from typing import Any

from cifar_tui.cli.output import json_text
from cifar_tui.cli.parser import build_settings
from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.optim.lr_range import (
    HIGHEST,
    LOWEST,
    LrRange,
    LrSuggestion,
    RangePoint,
    default_steps,
)
from cifar_tui.runs.format import loss_figure, rate_figure
from cifar_tui.runs.range_test import LiveRangeTest

_ROWS = 16
_BAR = 30
_HEADROOM = 1.02
"""A bar is full at so many times the first loss."""


def find_learning_rate(options: argparse.Namespace) -> int:
    """Run the command and return its exit code.

    Raises:
        ConfigError: a setting or the range is wrong.
    """
    config = build_settings(options)
    lr_range = LrRange(
        low=LOWEST if options.low is None else options.low,
        high=HIGHEST if options.high is None else options.high,
        steps=options.steps or default_steps(config.batch_size),
    )
    from cifar_tui.cli.headless import range_test_headless

    test = LiveRangeTest(config, lr_range)
    return range_test_headless(test, partial(_json if options.json else _lines, test))


def _json(test: LiveRangeTest) -> list[str]:
    suggestion = test.suggestion
    found: dict[str, Any] = {"suggestion": None, "reason": suggestion}
    if isinstance(suggestion, LrSuggestion):
        found["suggestion"] = {
            "learning_rate": suggestion.learning_rate,
            "rule": "steepest descent",
            "minimum": suggestion.minimum,
            "still_falling": suggestion.still_falling,
            "settings": suggestion.settings(test.config),
        }
        found["reason"] = None
    points = [
        {
            "step": point.step,
            "learning_rate": point.learning_rate,
            "loss": point.loss,
            "smoothed_loss": point.smoothed,
        }
        for point in test.points()
    ]
    return [json_text(found | {"steps": test.lr_range.steps, "points": points})]


def _lines(test: LiveRangeTest) -> list[str]:
    points, steps = test.points(), test.lr_range.steps
    lines = [*_table(points, test.suggestion), ""]
    if len(points) < steps:
        last = points[-1]
        lines.append(f"Ended at step {last.step:,} of {steps:,}: the loss diverged")
    return [*lines, *_conclusion(test.suggestion, test.config)]


def _table(points: list[RangePoint], suggestion: LrSuggestion | str | None) -> list[str]:
    """Return rows of the rate and the smoothed loss, evenly spaced, with bars and what is suggested."""
    points = [point for point in points if math.isfinite(point.smoothed)]
    if not points:
        return []
    signs: dict[int, str] = {}
    if isinstance(suggestion, LrSuggestion):
        for rate, sign in ((suggestion.minimum, "least loss"), (suggestion.learning_rate, "suggested")):
            signs[_nearest(points, rate)] = f" < {sign}"
    rows = sorted({round(row * (len(points) - 1) / (_ROWS - 1)) for row in range(_ROWS)} | set(signs))
    losses = [points[row].smoothed for row in rows]
    low = min(losses)
    span = (_HEADROOM * losses[0] - low) or 1.0
    lines = [f"{'learning rate':>13}  {'loss':>8}"]
    for row, loss in zip(rows, losses, strict=True):
        bar = "#" * (1 + round((_BAR - 1) * min(1.0, (loss - low) / span)))
        rate = points[row].learning_rate
        lines.append(f"{rate:>13.1e}  {loss_figure(loss):>8}  {bar}{signs.get(row, '')}")
    return lines


def _nearest(points: list[RangePoint], rate: float) -> int:
    return min(range(len(points)), key=lambda row: abs(math.log(points[row].learning_rate / rate)))


def _conclusion(suggestion: LrSuggestion | str | None, config: TrainConfig) -> list[str]:
    if not isinstance(suggestion, LrSuggestion):
        return [str(suggestion)]
    suggested, least, tenth = map(
        rate_figure, (suggestion.learning_rate, suggestion.minimum, suggestion.minimum / 10)
    )
    lines = [
        f"Suggested learning rate: {suggested} (steepest descent of the loss)",
        f"Least loss at {least}; a tenth of that: {tenth}",
    ]
    if suggestion.still_falling:
        lines.append("The loss still falls at the end: higher rates may be better (--to)")
    settings = suggestion.settings(config)
    if len(settings) > 1:  # they were tested in proportion
        lines.append(f"Set {', '.join(f'{name} {rate_figure(rate)}' for name, rate in settings.items())}")
    return lines
