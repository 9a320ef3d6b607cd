"""What `cifar-tui runs A B` says of runs beside their settings and results: the first one is the baseline."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from cifar_tui.engine.text import cut_names
from cifar_tui.runs.compared import ComparedRun
from cifar_tui.runs.comparison import run_label
from cifar_tui.runs.curves import Curves
from cifar_tui.runs.differences import (
    ClassDifference,
    class_differences,
    compare_images,
    difference_at_epoch,
    images_compared,
    other_images,
    why_not_compared,
)
from cifar_tui.runs.format import UNKNOWN, change_text, percentage
from cifar_tui.runs.series import decimate

_CURVES = ("loss", "train_accuracy", "test_accuracy", "learning_rate", "train_seconds")
_LONGEST_NAME = 24
_MOST_POINTS = 500
"""Points of each curve; of more, the lowest and the highest of equal parts of the steps are kept."""


def curves_as_json(curves: Curves) -> dict[str, Any]:
    """Return the curves as lists of [step, value], downsampled."""
    points = {name: decimate(list(getattr(curves, name)), _MOST_POINTS) for name in _CURVES}
    return {"steps_per_epoch": curves.steps_per_epoch or None, **points}


def comparisons_as_json(runs: Sequence[ComparedRun]) -> list[dict[str, Any]]:
    """Compare every other run with the first: at the same epoch, per class and image by image."""
    baseline, *others = runs
    return [
        {
            "run": run.listed.name,
            "baseline": baseline.listed.name,
            "at_same_epoch": _at_same_epoch(run, baseline),
            "evaluated_steps": [each.evaluated.step if each.evaluated else None for each in (run, baseline)],
            "per_class": [_class_as_json(entry) for entry in _classes(run, baseline)],
            "images": _images_as_json(run, baseline),
        }
        for run in others
    ]


def class_gains(runs: Sequence[ComparedRun]) -> list[tuple[str, ...]]:
    """Return a row for each class: its name, its accuracy in the first run, and each other's gain or loss.

    The classes with the largest gain or loss come first; there are none without evaluations of the first.
    """
    baseline, *others = runs
    gains: dict[str, list[str]] = {}
    accuracies: dict[str, str] = {}
    sizes: dict[str, float] = {}
    for place, run in enumerate(others):
        for entry in _classes(run, baseline):
            gains.setdefault(entry.name, [UNKNOWN] * len(others))[place] = change_text(entry.change)
            accuracies[entry.name] = UNKNOWN if entry.baseline is None else percentage(entry.baseline, 1)
            sizes[entry.name] = max(sizes.get(entry.name, -1.0), abs(entry.change or 0.0))
    ordered = sorted(gains, key=lambda name: -sizes[name])
    shown = cut_names(ordered, _LONGEST_NAME)
    return [(text, accuracies[name], *gains[name]) for text, name in zip(shown, ordered, strict=True)]


def class_notes(runs: Sequence[ComparedRun]) -> list[str]:
    """Say which runs have no evaluation to compare, and which were evaluated on other images."""
    baseline, *others = runs
    if baseline.evaluated is None:
        return [f"{run_label(baseline.listed)} has no evaluation: no gains and losses per class"]
    notes = [f"{run_label(run.listed)} has no evaluation" for run in others if run.evaluated is None]
    for run in others:
        if run.evaluated is None:
            continue
        if run.evaluated.total != baseline.evaluated.total:
            different = f"{run.evaluated.total:,} test images, not {baseline.evaluated.total:,}"
        else:
            different = other_images(run.results, baseline.results)
        if different:
            notes.append(f"{run_label(run.listed)} was evaluated on {different}")
    return notes


def _classes(run: ComparedRun, baseline: ComparedRun) -> list[ClassDifference]:
    """Compare the classes of the latest evaluations; none if one of the two has none."""
    if run.evaluated is None or baseline.evaluated is None:
        return []
    return class_differences(run.evaluated, baseline.evaluated)


def _at_same_epoch(run: ComparedRun, baseline: ComparedRun) -> dict[str, Any] | None:
    difference = difference_at_epoch(run.curves, baseline.curves)
    return None if difference is None else dataclasses.asdict(difference)


def _class_as_json(entry: ClassDifference) -> dict[str, Any]:
    return dataclasses.asdict(entry) | {"change": entry.change}


def _images_as_json(run: ComparedRun, baseline: ComparedRun) -> dict[str, Any]:
    """Return which run recognises which test images, as counts and indices, or why that is not known."""
    ours, theirs = run.results, baseline.results
    labels = run_label(run.listed), run_label(baseline.listed)
    reason = why_not_compared(ours, theirs, other_images(ours, theirs), labels)
    if reason or ours is None or theirs is None:
        return {"compared": False, "reason": reason}
    found = dataclasses.asdict(compare_images(ours, theirs))
    return {
        "compared": True,
        "note": images_compared(ours, theirs),
        "step": ours.evaluated.step,
        "baseline_step": theirs.evaluated.step,
        "counts": {name: len(indices) for name, indices in found.items()},
        "indices": {name: indices.tolist() for name, indices in found.items()},
    }
