"""Runs as a Markdown report."""

import re
from collections.abc import Sequence
from pathlib import Path

from cifar_tui.runs.export.files import MARK, ExportFile
from cifar_tui.runs.export.record import RunRecord
from cifar_tui.runs.export.tables import (
    Row,
    class_rows,
    comparison_rows,
    confused_rows,
    environment_rows,
    evaluation_text,
    result_rows,
    setting_rows,
)

_SPECIAL = re.compile(r"[\\`*_\[\]<>#|~&$@]|:(?=//|[\w+-]+:)|(?<=www)\.")
"""What Markdown, or a site that shows it, gives a meaning: also addresses, mentions, emoji and formulas."""


def markdown_files(records: Sequence[RunRecord], path: Path) -> list[ExportFile]:
    """Return the report of `records` as the Markdown file `path`."""
    parts = [f"<!-- {MARK} -->"]
    if len(records) > 1:
        names, columns = comparison_rows(records)
        rows = [(column.heading, *column.texts) for column in columns]
        parts += ["# Runs", _table(("run", *names), rows)]
    for record in records:
        parts += _run(record)
    return [ExportFile(path=path, content=("\n\n".join(parts) + "\n").encode())]


def _run(record: RunRecord) -> list[str]:
    parts = [f"# {escape_markdown(record.label)}", _table(("result", ""), result_rows(record))]
    if text := evaluation_text(record):
        parts.append(escape_markdown(text))
    headings, rows = class_rows(record)
    if rows:
        parts += ["## Classes", _table(headings, rows, right=range(1, len(headings)))]
    if pairs := confused_rows(record):
        headings = ("truth", "predicted", "images", "of the class")
        parts += ["## Most confused", _table(headings, pairs, right=(2, 3))]
    settings = setting_rows(record)
    rows = [(f"● {name}", value) for name, value in settings.changed]
    rows += settings.others
    if rows:
        parts.append(
            f"## Settings (● differs from preset {settings.preset})" if settings.preset else "## Settings"
        )
        parts.append(_table(("setting", "value"), rows))
    if environment := environment_rows(record):
        parts += ["## Environment", _table(("", ""), environment)]
    return parts


def escape_markdown(text: str) -> str:
    """Return escaped `text` so that Markdown shows it as it is."""
    return _SPECIAL.sub(lambda found: f"\\{found[0]}", text)


def _table(headings: Row, rows: Sequence[Row], *, right: Sequence[int] = ()) -> str:
    marks = ["---:" if place in right else "---" for place in range(len(headings))]
    lines = [headings, tuple(marks), *rows]
    texts = [line if line == tuple(marks) else tuple(map(escape_markdown, line)) for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in texts)
