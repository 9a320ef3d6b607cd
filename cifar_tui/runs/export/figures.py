"""The figures of one or several runs: loss, accuracy, learning rate and confusion matrices."""

import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

from cifar_tui.engine.events import LossPoint
from cifar_tui.runs.export.elements import svg_file
from cifar_tui.runs.export.files import MARK, ExportFile
from cifar_tui.runs.export.matrix import confusion_figure
from cifar_tui.runs.export.plot import Curve, PlotTexts, Point, line_plot
from cifar_tui.runs.export.record import RunRecord
from cifar_tui.runs.series import smoothed

_SMOOTHING = 0.05
"""Width of the window of a smoothed line, in shares of the points, as on the screen."""
_LEAST_SMOOTHED = 20
"""Fewer points are drawn as they are."""


def svg_files(records: Sequence[RunRecord], folder: Path) -> list[ExportFile]:
    """Return the figures as files in `folder`: the curves of all runs, and a confusion matrix of each."""
    pictures = {name: draw(records) for name, draw in CURVES.items()}
    for record in records:
        picture = confusion_of(record)
        if picture is not None:
            pictures[f"confusion-{record.run.name}"] = picture
    return [
        ExportFile(path=folder / f"{name}.svg", content=svg_file(picture, MARK))
        for name, picture in pictures.items()
    ]


def loss_plot(records: Sequence[RunRecord]) -> ET.Element:
    """Draw the training losses: smoothed, and of a single run also as they were logged."""
    return _training_plot(records, "Training loss", "Loss (nats)", lambda point: point.loss)


def accuracy_plot(records: Sequence[RunRecord]) -> ET.Element:
    """Draw the test accuracies, of a single run also those on training and validation images."""
    x_name, across = _x_axis(records)
    curves = []
    for number, record in enumerate(records):
        tests = [(across(record, made.step), 100 * made.accuracy) for made in record.evaluations]
        name = record.label if len(records) > 1 else "test"
        curves.append(Curve(points=sorted(tests), label=name, style=number, marks=True))
    if len(records) == 1:
        (record,) = records
        held_out = [(across(record, made.step), 100 * made.accuracy) for made in record.validations]
        if held_out:
            curves.append(Curve(points=held_out, label="validation", style=2, marks=True))
        training, _ = _finite(record, across, lambda point: 100 * point.accuracy)
        curves.append(Curve(points=_smooth(training), label="training", style=1))
    texts = PlotTexts(title="Accuracy" if len(records) == 1 else "Test accuracy", x=x_name, y="Accuracy (%)")
    return line_plot(texts, curves)


def rate_plot(records: Sequence[RunRecord]) -> ET.Element:
    """Draw the learning rates."""
    x_name, across = _x_axis(records)
    curves = [
        Curve(
            points=_finite(record, across, lambda point: point.learning_rate)[0],
            label=record.label if len(records) > 1 else "",
            style=number,
        )
        for number, record in enumerate(records)
    ]
    return line_plot(PlotTexts(title="Learning rate", x=x_name, y="Learning rate"), curves)


CURVES: dict[str, Callable[[Sequence[RunRecord]], ET.Element]] = {
    "loss": loss_plot,
    "accuracy": accuracy_plot,
    "learning_rate": rate_plot,
}
"""The plots of curves by the names of their files."""


def confusion_of(record: RunRecord) -> ET.Element | None:
    """Draw the confusion matrix of a run; None without stored predictions."""
    results, evaluated = record.results, record.evaluated
    if results is None or evaluated is None:
        return None
    accuracy = f"{100 * evaluated.accuracy:.2f} % of {evaluated.total:,} test images"
    title = f"{record.label} · {accuracy}" + (f" · step {evaluated.step:,}" if evaluated.step else "")
    return confusion_figure(results.confusion, results.class_names, title=title)


def _training_plot(
    records: Sequence[RunRecord], title: str, y_name: str, value: Callable[[LossPoint], float]
) -> ET.Element:
    x_name, across = _x_axis(records)
    curves = []
    left_out, is_smoothed = 0, False
    for number, record in enumerate(records):
        points, missing = _finite(record, across, value)
        left_out += missing
        line = _smooth(points)
        is_smoothed |= line is not points
        if len(records) == 1 and line is not points:
            curves.append(Curve(points=points, faint=True))
        name = record.label if len(records) > 1 else ""
        curves.append(Curve(points=line, label=name, style=number))
    notes = [f"smoothed over {100 * _SMOOTHING:.0f} % of the points"] if is_smoothed else []
    if left_out:
        notes.append(f"{left_out:,} non-finite {'point' if left_out == 1 else 'points'} left out")
    return line_plot(PlotTexts(title=title, x=x_name, y=y_name, note="; ".join(notes)), curves)


def _x_axis(records: Iterable[RunRecord]) -> tuple[str, Callable[[RunRecord, int], float]]:
    """Return the name of the x axis, and where a step of a run is on it: in epochs if all runs have them."""
    if all(record.steps_per_epoch for record in records):
        return "Epoch", lambda record, step: step / record.steps_per_epoch
    return "Step", lambda _, step: float(step)


def _finite(
    record: RunRecord, across: Callable[[RunRecord, int], float], value: Callable[[LossPoint], float]
) -> tuple[list[Point], int]:
    """Return the finite points of a curve, and how many others there are."""
    points = [(across(record, point.step), value(point)) for point in record.points]
    finite = [(x, y) for x, y in points if math.isfinite(y)]
    return finite, len(points) - len(finite)


def _smooth(points: list[Point]) -> list[Point]:
    """Return `points` smoothed; themselves if they are few."""
    import numpy as np

    if len(points) < _LEAST_SMOOTHED:
        return points
    values = smoothed(np.array([y for _, y in points]), _SMOOTHING).tolist()
    return [(x, y) for (x, _), y in zip(points, values, strict=True)]
