"""The table for LaTeX, as a parser of LaTeX reads it."""

from dataclasses import replace

import pytest
from pylatexenc.latex2text import LatexNodes2Text
from pylatexenc.latexwalker import LatexEnvironmentNode, LatexWalker

from cifar_tui.runs.export.latex import escape_latex, latex_files
from cifar_tui.runs.export.record import read_record
from tests.hostile import TEXTS
from tests.runs.export.made_runs import made_run


@pytest.fixture
def made(tmp_path):
    return read_record(made_run(tmp_path / "run", name="mine", learning_rate=0.01))


@pytest.fixture
def other(tmp_path):
    return read_record(made_run(tmp_path / "other", name="yours", learning_rate=0.02, seed=1))


def content(*records):
    (file,) = latex_files(records, "table.tex")
    return file.content.decode()


def rows_of(text):
    """The cells of the table by row, as text."""
    nodes, _, _ = LatexWalker(text, tolerant_parsing=False).get_latex_nodes()
    (table,) = (node for node in nodes if isinstance(node, LatexEnvironmentNode))
    assert table.environmentname == "tabular"
    lines = [line for line in table.latex_verbatim().splitlines() if line.endswith(r"\\")]
    return [
        [LatexNodes2Text().latex_to_text(cell).strip() for cell in line[:-2].split(" & ")] for line in lines
    ]


def test_a_row_has_the_run_its_settings_that_differ_and_its_results(made, other):
    made = replace(made, run=replace(made.run, summary=replace(made.run.summary, best_accuracy=0.9)))
    rows = rows_of(content(made, other))
    assert rows[0] == ["run", "learning_rate", "best test (%)", "last test (%)", "time"]
    accuracies = [f"{100 * record.evaluated.accuracy:.2f}" for record in (made, other)]
    assert [row[:2] for row in rows[1:]] == [["mine", "0.01"], ["yours", "0.02"]]
    assert [row[3] for row in rows[1:]] == accuracies
    assert [row[4] for row in rows[1:]] == ["2 s", "2 s"]


def test_accuracies_that_are_last_and_best_are_in_one_column(made, other):
    heading, *rows = rows_of(content(made, other))
    assert heading == ["run", "learning_rate", "test (%)", "time"]
    assert [row[2] for row in rows] == [f"{100 * record.evaluated.accuracy:.2f}" for record in (made, other)]


def test_settings_that_follow_from_different_presets_are_left_out(tmp_path):
    settings = {"first": {"preset": "tutorial"}, "second": {"preset": "speedrun", "val_size": 9}}
    records = [read_record(made_run(tmp_path / name, **values)) for name, values in settings.items()]
    rows = rows_of(content(*records))
    assert rows[0] == ["run", "preset", "val_size", "test (%)", "time"]
    assert [row[1:3] for row in rows[1:]] == [["tutorial", "none"], ["speedrun", "9"]]


def test_a_table_of_many_settings_is_turned(made, tmp_path):
    changed = {"epochs": 3, "batch_size": 8, "momentum": 0.5, "weight_decay": 0.1, "val_size": 9}
    other = read_record(made_run(tmp_path / "other", name="yours", learning_rate=0.02, **changed))
    text = content(made, other)
    assert r"\begin{tabular}{lrr}" in text
    rows = rows_of(text)
    assert rows[0] == ["run", "mine", "yours"]
    assert ["batch_size", "4", "8"] in rows
    assert rows[-1] == ["time", "2 s", "2 s"]


def test_the_best_of_several_is_bold(made, other):
    worse = replace(other.run.summary, best_accuracy=0.1, last_accuracy=0.1)
    text = content(made, replace(other, run=replace(other.run, summary=worse)))
    assert text.count(r"\textbf") == 1
    assert r"\textbf{10.00}" not in text
    assert r"\textbf" not in content(made, made)


def test_every_row_has_as_many_cells_as_the_table_has_columns(made, other):
    text = content(made, other)
    assert r"\begin{tabular}{lrrr}" in text
    assert {len(row) for row in rows_of(text)} == {4}
    assert [line for line in text.splitlines() if line.endswith("rule")] == [
        r"\toprule",
        r"\midrule",
        r"\bottomrule",
    ]


def test_a_run_without_an_evaluation_has_dashes(made):
    summary = replace(made.run.summary, best_accuracy=None, last_accuracy=None)
    assert rows_of(content(replace(made, run=replace(made.run, summary=summary))))[1][1] == "–"


@pytest.mark.parametrize(
    "text", ["100 % & #1", "a_b^c~", "{x}$y$", r"\input{/etc/passwd}", "<a|b>", "[x]", "a--b---c"]
)
def test_what_latex_gives_a_meaning_is_text(made, text):
    row = rows_of(content(replace(made, run=replace(made.run, title=text))))[1]
    assert row[0].replace("\u02c6", "^") == text


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_names_of_others_stay_in_their_cells(made, other, text):
    run = replace(made.run, title=text, config=made.run.config | {"data": text})
    rows = rows_of(content(replace(made, run=run), other))
    assert {len(row) for row in rows} == {5}
    assert len(rows) == 3


def test_every_special_character_is_escaped():
    assert escape_latex('a_1 & 50 % of $x #2 "') == r"a\_1 \& 50 \% of \$x \#2 {\char34}"
