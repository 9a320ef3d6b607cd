"""The results of an evaluation, as a file and as the lines that the tutorial prints."""

import json
from pathlib import Path
from typing import Any

from cifar_tui.engine.atomic import disk_errors_explained, write_text_atomically
from cifar_tui.engine.data.dataset import Dataset
from cifar_tui.engine.evaluation.evaluate import EvalReport
from cifar_tui.engine.events import finite_or_none
from cifar_tui.engine.text import cut_names

_TUTORIAL_BATCH = 4
_LONGEST_NAME = 64


def write_report(path: Path, report: EvalReport, *, step: int) -> None:
    """Write the evaluation as JSON: the `test` object, loss, confusion (rows: truth) and every prediction.

    Raises:
        RunFailedError: the file cannot be written.
    """
    content: dict[str, Any] = {
        "schema": 1,
        "step": step,
        "loss": report.loss,  # null where it is not finite, as a confidence is
        "test": report.to_dict(),
        "class_names": list(report.class_names),
        "confusion": report.confusion.tolist(),
        "targets": report.targets.tolist(),
        "predicted": report.predicted.tolist(),
        "confidences": [round(confidence, 6) for confidence in report.confidences.tolist()],
    }
    with disk_errors_explained(f"write the report '{path}'"):
        write_text_atomically(path, json.dumps(finite_or_none(content), allow_nan=False))


def result_lines(dataset: Dataset, report: EvalReport) -> list[str]:
    """Return what the tutorial prints at its end, and the exact accuracy."""
    names = cut_names(dataset.class_names, _LONGEST_NAME)
    first = slice(0, _TUTORIAL_BATCH)
    event = report.to_event(step=0, final=True)
    exact = f"{100 * event.accuracy:.2f} % ({event.correct} of {event.total}), loss {event.loss:.4f}"
    lines = [
        "GroundTruth:  " + " ".join(f"{names[k]:5s}" for k in report.targets[first].tolist()),
        "Predicted:    " + " ".join(f"{names[k]:5s}" for k in report.predicted[first].tolist()),
        event.tutorial_line(),
        f"Test accuracy {exact}" + (", on synthetic images" if dataset.synthetic else ""),
    ]
    for name, entry in zip(names, event.per_class, strict=True):
        share = ": no test images" if entry.accuracy is None else f" is {100 * entry.accuracy:.1f} %"
        shown = name if entry.accuracy is None else f"{name:5s}"
        lines.append(f"Accuracy for class: {shown}{share}")
    return [line.rstrip() for line in lines]
