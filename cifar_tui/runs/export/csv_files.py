"""Runs as CSV (RFC 4180): chart points, epochs, evaluations and predictions."""

import csv
import io
import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from cifar_tui.runs.export.files import ExportFile
from cifar_tui.runs.export.record import RunRecord

_Row = tuple[object, ...]

_POINTS = (
    *("run", "step", "epoch", "batch", "steps", "loss", "accuracy", "learning_rate", "images"),
    *("train_seconds", "time"),
)
_EPOCHS = (
    *("run", "epoch", "step", "loss", "accuracy", "train_seconds", "time"),
    *("validation_loss", "validation_accuracy", "validation_correct", "validation_total"),
)
_EVALUATIONS = (
    *("run", "step", "final", "class_index", "class", "correct", "total", "accuracy", "loss", "time"),
)
_PREDICTIONS = (
    *("run", "step", "index", "file", "truth_index", "truth", "predicted_index", "predicted"),
    *("confidence", "correct"),
)


def csv_files(records: Sequence[RunRecord], folder: Path) -> list[ExportFile]:
    """Return `points.csv`, `epochs.csv`, `evaluations.csv` and `predictions.csv` in `folder`.

    Losses are in nats, accuracies and confidences from 0 to 1, times in seconds, `time` in Unix seconds. A
    number that is not known or not finite is empty. An evaluation has a row for all images, without a class,
    and one for each class.
    """
    return [
        _file(folder / "points.csv", _POINTS, map(_points, records)),
        _file(folder / "epochs.csv", _EPOCHS, map(_epochs, records)),
        _file(folder / "evaluations.csv", _EVALUATIONS, map(_evaluations, records)),
        _file(folder / "predictions.csv", _PREDICTIONS, map(_predictions, records)),
    ]


def _file(path: Path, header: _Row, parts: Iterable[Iterable[_Row]]) -> ExportFile:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(header)
    for rows in parts:
        writer.writerows(map(_cell, row) for row in rows)
    mark = ",".join(map(str, header)).encode()
    return ExportFile(path=path, content=text.getvalue().encode(errors="backslashreplace"), mark=mark)


def _cell(value: object) -> object:
    match value:
        case float():
            return value if math.isfinite(value) else ""
        case bool():
            return int(value)
        case _:
            return value


def _points(record: RunRecord) -> Iterator[_Row]:
    for point in record.points:
        yield record.run.name, *(getattr(point, name) for name in _POINTS[1:])


def _epochs(record: RunRecord) -> Iterator[_Row]:
    validations = {validated.step: validated for validated in record.validations}
    for epoch in record.epochs:
        row = record.run.name, *(getattr(epoch, name) for name in _EPOCHS[1:7])
        held_out = validations.get(epoch.step)
        if held_out is None:
            yield *row, "", "", "", ""
        else:
            yield *row, held_out.loss, held_out.accuracy, held_out.correct, held_out.total


def _evaluations(record: RunRecord) -> Iterator[_Row]:
    for made in record.evaluations:
        begin = record.run.name, made.step, made.final
        yield *begin, "", "", made.correct, made.total, made.accuracy, made.loss, made.time
        for index, entry in enumerate(made.per_class):
            yield *begin, index, entry.name, entry.correct, entry.total, entry.accuracy, "", made.time


def _predictions(record: RunRecord) -> Iterator[_Row]:
    results = record.results
    if results is None:
        return
    made, names, files = results.predictions, results.class_names, results.files
    images = zip(made.targets.tolist(), made.predicted.tolist(), made.confidences.tolist(), strict=True)
    for index, (truth, predicted, confidence) in enumerate(images):
        file = files[index] if files else ""
        begin = record.run.name, made.step or 0, index, file, truth, names[truth]
        yield *begin, predicted, names[predicted], round(confidence, 6), truth == predicted
