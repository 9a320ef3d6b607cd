"""Runs as one HTML page that needs nothing else: no network, no script."""

import base64
import io
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from cifar_tui import __version__
from cifar_tui.engine.text import cut_path, escaped_name
from cifar_tui.runs.export.elements import add, element, html_file
from cifar_tui.runs.export.figures import CURVES, confusion_of
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
from cifar_tui.runs.format import percentage
from cifar_tui.runs.results import ImageFilter, Results, SortKey

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MISTAKES = 32
"""Pictures of mistakes on a page."""

_LONGEST_FILE = 60


def html_files(records: Sequence[RunRecord], path: Path) -> list[ExportFile]:
    """Return the report of `records` as the HTML page `path`."""
    title = " · ".join(record.label for record in records)
    body = element("body", element("h1", title))
    if len(records) > 1:
        add(body, _comparison(records))
    else:
        add(body, _pairs(result_rows(records[0])))
    charts = [element("figure", draw(records), class_="chart") for draw in CURVES.values()]
    add(body, element("h2", "Curves"), element("div", *charts, class_="charts"))
    for record in records:
        add(body, *_run(record, with_results=len(records) > 1))
    add(body, element("footer", f"cifar-tui {__version__}"))
    style = resources.files("cifar_tui.runs.export").joinpath("page.css").read_text()
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="generator", content=MARK),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", f"{title} · cifar-tui"),
    )
    sheet = ET.SubElement(head, "style")
    sheet.text = style
    return [ExportFile(path=path, content=html_file(element("html", head, body, lang="en")))]


def _comparison(records: Sequence[RunRecord]) -> ET.Element:
    """Return the runs side by side: a column for each."""
    names, columns = comparison_rows(records)
    rows = [
        element(
            "tr",
            element("td", column.heading),
            *(
                element("td", text, class_="best" if number in column.best else None)
                for number, text in enumerate(column.texts)
            ),
        )
        for column in columns
    ]
    head = [element("th", heading) for heading in ("run", *names)]
    return _table(element("tr", *head), rows)


def _run(record: RunRecord, *, with_results: bool) -> list[ET.Element]:
    parts = [element("h2", record.label if with_results else "Evaluation")]
    if with_results:
        parts.append(_pairs(result_rows(record)))
    text = evaluation_text(record)
    parts.append(element("p", text or "not evaluated yet", class_="soft"))
    picture = confusion_of(record)
    if picture is not None:
        parts += [element("h3", "Confusion matrix"), element("figure", picture, class_="chart")]
    tables = element("div", class_="columns")
    headings, rows = class_rows(record)
    if rows:
        add(tables, element("div", element("h3", "Classes"), _grid(headings, rows, texts=1)))
    pairs = confused_rows(record)
    if pairs:
        grid = _grid(("truth", "predicted", "images", "of the class"), pairs, texts=2)
        add(tables, element("div", element("h3", "Most confused"), grid))
    parts.append(tables)
    if record.results is not None:
        parts += _mistakes(record.results)
    return parts + _settings(record)


def _settings(record: RunRecord) -> list[ET.Element]:
    settings, environment = setting_rows(record), environment_rows(record)
    title = f"Settings · ● differs from preset {settings.preset}" if settings.preset else "Settings"
    rows = [_row((f"● {name}", text), class_="changed") for name, text in settings.changed]
    rows += [_row(row) for row in settings.others]
    parts = [element("div", element("h3", title), _table(None, rows))] if rows else []
    if environment:
        parts.append(element("div", element("h3", "Environment"), _pairs(environment)))
    return [element("div", *parts, class_="columns")]


def _mistakes(results: Results) -> list[ET.Element]:
    """Return the pictures of the mistakes with the highest confidence, the highest first."""
    made = results.predictions
    wrong = results.selected(ImageFilter(wrong_only=True, sort=SortKey.CONFIDENCE, descending=True))
    worst = [place for place in wrong.tolist() if place < len(results.images)][:MISTAKES]
    sources, reason = _sources(results, worst)
    title = element("h3", f"Worst mistakes · {len(sources):,} of {len(wrong):,}, most confident first")
    notes = []
    if not worst:
        notes = [element("p", "the test images are not stored", class_="soft")] if len(wrong) else []
    elif len(sources) < len(worst):
        text = f"{len(worst) - len(sources):,} left out: their images cannot be read ({reason})"
        notes = [element("p", text, class_="soft")]
    pictures = element("div", class_="mistakes")
    names = results.class_names
    for place, source in sources.items():
        truth = escaped_name(names[int(made.targets[place])])
        predicted = escaped_name(names[int(made.predicted[place])])
        image = element("img", src=source, alt=f"{truth} predicted as {predicted}")
        caption = element("figcaption", element("b", predicted))
        add(caption, f" {percentage(float(made.confidences[place]), 1)}", element("br"), f"truth {truth}")
        add(caption, element("br"), f"image {place:,}")
        if results.files:
            add(caption, element("br"), cut_path(results.files[place], _LONGEST_FILE))
        add(pictures, element("figure", image, caption))
    return [title, *notes, pictures] if len(wrong) else []


def _sources(results: Results, places: Sequence[int]) -> tuple[dict[int, str], str]:
    """Return the images at `places`, and why those that are missing cannot be read; "" if none are."""
    sources, reason = {}, ""
    for place in places:
        try:
            sources[place] = _png(results.images[place])
        except OSError as error:
            reason = error.strerror or str(error)
    return sources, reason


def _png(image: "NDArray[np.uint8]") -> str:
    from PIL import Image

    content = io.BytesIO()
    Image.fromarray(image).save(content, "PNG")
    return f"data:image/png;base64,{base64.b64encode(content.getvalue()).decode()}"


def _pairs(rows: Sequence[Row]) -> ET.Element:
    return _table(None, [_row(row) for row in rows])


def _grid(headings: Row, rows: Sequence[Row], *, texts: int) -> ET.Element:
    """Return a table whose first `texts` columns are texts, and the others numbers."""

    def cells(tag: str, row: Row) -> list[ET.Element]:
        return [
            element(tag, text, class_="number" if place >= texts else None) for place, text in enumerate(row)
        ]

    return _table(element("tr", *cells("th", headings)), [element("tr", *cells("td", row)) for row in rows])


def _row(texts: Row, **attributes: object) -> ET.Element:
    return element("tr", *(element("td", text) for text in texts), **attributes)


def _table(head: ET.Element | None, rows: Sequence[ET.Element]) -> ET.Element:
    table = element("table", element("tbody", *rows))
    if head is not None:
        table.insert(0, element("thead", head))
    return element("div", table, class_="scroll")
