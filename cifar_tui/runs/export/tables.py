"""What the reports of runs have in common: their results, settings, environment and classes as texts."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cifar_tui.engine.config.presets import PRESETS
from cifar_tui.engine.config.schema import SETTINGS, preset_config
from cifar_tui.engine.errors import ConfigError
from cifar_tui.engine.evaluation.statistics import (
    ClassStatistics,
    calibration,
    changes,
)
from cifar_tui.engine.layout import LAST_FILE
from cifar_tui.engine.text import cut, cut_names, escaped
from cifar_tui.runs.comparison import ComparedColumn, comparison_columns
from cifar_tui.runs.export.record import RunRecord
from cifar_tui.runs.format import UNKNOWN, percentage
from cifar_tui.runs.listing import compare_runs, setting_cell
from cifar_tui.runs.table import state_text

Row = tuple[str, ...]

_LONGEST_NAME, _LONGEST_VALUE = 40, 400
_PAIRS = 10
_PERCENT = {"best test", "last test"}
"""Columns of a comparison whose unit a report has to tell."""
_CLASS_HEADINGS = ("class", "images", "accuracy", "change", "precision", "F1")

_ENVIRONMENT = {
    "version": "cifar-tui",
    "torch": "PyTorch",
    "device": "device",
    "backend": "backend",
    "processor": "CPU",
    "threads": "threads",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class SettingRows:
    """The settings of a run as (name, text).

    Attributes:
        preset: the preset that they start from; "" if unknown.
        changed: those that differ from it, first those of the recipe.
        others: the rest.
    """

    preset: str
    changed: tuple[Row, ...]
    others: tuple[Row, ...]


def comparison_rows(records: Sequence[RunRecord]) -> tuple[Row, list[ComparedColumn]]:
    """Return the names of the runs, and what to compare: a heading and a text for each run."""
    names, *columns = comparison_columns([record.run for record in records])
    return names.texts, [
        replace(column, heading=f"{column.heading} (%)") if column.heading in _PERCENT else column
        for column in columns
    ]


def result_rows(record: RunRecord) -> list[Row]:
    """Return the key figures of a run as (name, text)."""
    results = {name: texts[0] for name, texts in compare_runs([record.run]).results.items()}
    rows = [("run", escaped(record.run.name)), *(results | {"state": state_text(record.run)}).items()]
    if record.data is not None:
        images = f"{record.data.train_images:,} training, {record.data.test_images:,} test images"
        rows.append(("data", f"{cut(record.data.title, _LONGEST_VALUE)} ({images})"))
    if record.results is not None:
        made = record.results.predictions
        error = calibration(made.confidences, made.predicted == made.targets).error
        rows.append(("calibration error", percentage(error, 2)))
    if record.not_finite:
        rows.append(("non-finite losses", f"{record.not_finite:,} of {len(record.points):,} chart points"))
    return [row for row in rows if row[1] != UNKNOWN]


def setting_rows(record: RunRecord) -> SettingRows:
    """Return the settings of a run."""
    config = record.run.config or {}
    preset = str(config.get("preset", ""))
    changed: list[Row] = []
    others: list[Row] = []
    differing = changed_settings(record)
    for name, value in config.items():
        row = (cut(name, _LONGEST_NAME), _setting(name, value))
        (changed if name in differing else others).append(row)
    return SettingRows(
        preset=preset if preset in PRESETS else "", changed=tuple(changed), others=tuple(others)
    )


def changed_settings(record: RunRecord) -> set[str]:
    """Return the names of the settings that differ from the run's preset; all if it is unknown."""
    config = record.run.config or {}
    preset = str(config.get("preset", ""))
    if preset not in PRESETS:
        return config.keys() - {"preset"}
    usual = preset_config(preset)
    return {
        name
        for name, value in config.items()
        if name not in SETTINGS or (value or None) != (getattr(usual, name) or None)
    }


def environment_rows(record: RunRecord) -> list[Row]:
    """Return what a run was trained with as (name, text): from its last checkpoint, else its event log."""
    known = {}
    if record.started is not None:
        known = {"device": record.started.device, "backend": record.started.backend}
    known |= _provenance(record.run.folder)
    return [
        (title, cut(known[name], _LONGEST_VALUE)) for name, title in _ENVIRONMENT.items() if known.get(name)
    ]


def class_rows(record: RunRecord) -> tuple[Row, list[Row]]:
    """Return the headings and rows of a table of classes; no rows without an evaluation.

    The predictions that the run has stored tell precision and F1 too; else only accuracies are known.
    """
    if record.results is None:
        latest = record.evaluations[-1].per_class if record.evaluations else ()
        shown = cut_names([entry.name for entry in latest], _LONGEST_NAME)
        return _CLASS_HEADINGS[:3], [
            (name, f"{entry.total:,}", _share(entry.accuracy))
            for name, entry in zip(shown, latest, strict=True)
        ]
    statistics = record.results.classes
    names, history = record.results.class_names, record.results.history
    before = None
    if len(history) > 1 and tuple(entry.name for entry in history[-2].per_class) == names:
        before = [
            ClassStatistics(support=entry.total, predicted=0, correct=entry.correct)
            for entry in history[-2].per_class
        ]
    rows = zip(cut_names(names, _LONGEST_NAME), statistics, changes(statistics, before), strict=True)
    return _CLASS_HEADINGS, [
        (
            name,
            f"{entry.support:,}",
            _share(entry.recall),
            UNKNOWN if change is None else f"{100 * change:+.1f}",
            _share(entry.precision),
            _share(entry.f1),
        )
        for name, entry, change in rows
    ]


def confused_rows(record: RunRecord) -> list[Row]:
    """Return the most confused pairs of classes as (truth, predicted, images, share of the class)."""
    if record.results is None:
        return []
    names = cut_names(record.results.class_names, _LONGEST_NAME)
    return [
        (names[pair.truth], names[pair.predicted], f"{pair.count:,}", percentage(pair.share, 1))
        for pair in record.results.most_confused[:_PAIRS]
    ]


def evaluation_text(record: RunRecord) -> str:
    """Say which evaluation the classes and mistakes are of; "" without one."""
    made = record.evaluated or (record.evaluations[-1] if record.evaluations else None)
    if made is None:
        return ""
    where = f" at step {made.step:,}" if made.step else ""
    text = f"{made.correct:,} of {made.total:,} test images are right{where}"
    if record.evaluated is None:
        return f"{text}; the predictions for each image are not stored"
    is_latest = record.evaluated is record.evaluations[-1]
    return text if is_latest else f"{text}; predictions of the latest evaluation are not stored"


def _setting(name: str, value: object) -> str:
    return cut(value, _LONGEST_VALUE) if isinstance(value, str) and value else setting_cell(name, value)


def _share(share: float | None) -> str:
    return UNKNOWN if share is None else percentage(share, 1)


def _provenance(folder: Path) -> dict[str, str]:
    from cifar_tui.engine.checkpoint.files import load_own_file  # imports torch

    try:
        state = load_own_file(folder / LAST_FILE)
    except ConfigError:  # there is none, or it is damaged
        return {}
    provenance = state.get("provenance") if isinstance(state, dict) else None
    return {str(name): str(text) for name, text in provenance.items()} if isinstance(provenance, dict) else {}
