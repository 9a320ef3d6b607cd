"""`cifar-tui export`: write runs in the formats of other programs."""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from cifar_tui.cli.output import print_line, print_message, printing_results
from cifar_tui.cli.parser import checkpoints_folder
from cifar_tui.engine.data.registry import user_path
from cifar_tui.engine.errors import ConfigError
from cifar_tui.runs.disk.store import find_run
from cifar_tui.runs.export.csv_files import csv_files
from cifar_tui.runs.export.figures import svg_files
from cifar_tui.runs.export.files import ExportFile, write_files
from cifar_tui.runs.export.html import html_files
from cifar_tui.runs.export.latex import latex_files
from cifar_tui.runs.export.markdown import markdown_files
from cifar_tui.runs.export.record import RunRecord, read_record
from cifar_tui.runs.export.tensorboard import tensorboard_files

_FORMATS: dict[str, Callable[[Sequence[RunRecord], Path], list[ExportFile]]] = {
    "csv": csv_files,
    "tensorboard": tensorboard_files,
    "html": html_files,
    "markdown": markdown_files,
    "svg": svg_files,
    "latex": latex_files,
}
"""What makes the files of each option."""


def export(options: argparse.Namespace) -> int:
    """Write the files and print their paths; returns the exit code.

    Raises:
        ConfigError: no format is named, a run is not found or cannot be read, or a file is in the way.
        RunFailedError: a file cannot be written.
    """
    places = {name: getattr(options, name) for name in _FORMATS if getattr(options, name) is not None}
    if not places:
        flags = [f"--{name}" for name in _FORMATS]
        raise ConfigError(f"name a format to export to: {', '.join(flags[:-1])} or {flags[-1]}")
    checkpoints = checkpoints_folder(options)
    folders = dict.fromkeys(find_run(checkpoints, name) for name in options.runs)
    records = [read_record(folder) for folder in folders]
    files = [file for name, text in places.items() for file in _FORMATS[name](records, user_path(text))]
    write_files(files)
    for note in _notes(records):
        print_message(f"cifar-tui: {note}")
    with printing_results():
        for file in files:
            print_line(str(file.path), sys.stdout)
    return 0


def _notes(records: Sequence[RunRecord]) -> Iterator[str]:
    """Yield what a user might miss in the files."""
    for record in records:
        if record.results is None:
            yield f"run {record.label} has no stored predictions: no confusion matrix, no mistakes"
        elif record.evaluated is not record.evaluations[-1]:
            step = record.results.predictions.step or 0
            yield f"run {record.label}: the predictions of step {step:,}; later ones are not stored"
        if record.not_finite:
            count = f"{record.not_finite:,} of {len(record.points):,}"
            yield f"run {record.label}: the loss of {count} chart points is not finite"
