"""The Markdown report, as a Markdown parser shows it."""

import itertools
from dataclasses import replace

import pytest
from markdown_it import MarkdownIt

from cifar_tui.runs.export.markdown import escape_markdown, markdown_files
from cifar_tui.runs.export.record import read_record
from tests.hostile import TEXTS
from tests.runs.export.made_runs import made_run


@pytest.fixture
def made(tmp_path):
    return read_record(made_run(tmp_path / "run", name="mine", learning_rate=0.01))


def parsed(records):
    """The cells of all tables by row, and the headings."""
    (file,) = markdown_files(records, "report.md")
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(file.content.decode())
    rows, headings = [], []
    for token, inside in itertools.pairwise(tokens):
        if token.type == "tr_open":
            rows.append([])
        elif token.type in {"td_open", "th_open"}:
            rows[-1].append(shown(inside))
        elif token.type == "heading_open":
            headings.append(shown(inside))
    return rows, headings


def shown(inline):
    kinds = {child.type for child in inline.children}
    assert kinds <= {"text", "text_special"}, inline.content
    return "".join(child.content for child in inline.children)


def test_the_report_has_results_classes_settings_and_environment(made):
    rows, headings = parsed([made])
    assert headings[:3] == ["mine", "Classes", "Most confused"]
    assert headings[3:] == ["Settings (● differs from preset tutorial)", "Environment"]
    assert ["best test accuracy", f"{100 * made.run.summary.best_accuracy:.2f} %"] in rows
    assert ["class", "images", "accuracy", "change", "precision", "F1"] in rows
    assert ["● learning_rate", "0.01"] in rows
    assert ["PyTorch", "2.14.1"] in rows


def test_the_rows_of_classes_are_those_of_the_evaluation(made):
    rows, _ = parsed([made])
    for name, entry in zip(made.results.class_names, made.results.classes, strict=True):
        (row,) = (row for row in rows if row[0] == name and len(row) == 6)
        assert row[1:3] == ["20", f"{100 * entry.recall:.1f} %"]
        assert row[4:] == [f"{100 * entry.precision:.1f} %", f"{100 * entry.f1:.1f} %"]


def test_several_runs_are_side_by_side(made, tmp_path):
    other = read_record(made_run(tmp_path / "other", name="yours", learning_rate=0.02))
    rows, headings = parsed([made, other])
    assert rows[0] == ["run", "mine", "yours"]
    assert ["lr", "0.01", "0.02"] in rows
    assert headings[0] == "Runs"
    assert {"mine", "yours"} <= set(headings)


@pytest.mark.parametrize(
    "text",
    ["a|b", "*a*", "_a_", "`a`", "[a](b)", "![a](b)", "<b>a</b>", "a\\", "~~a~~", "&amp;", "# a #", "$a$"],
)
def test_what_markdown_gives_a_meaning_is_text(made, text):
    run = replace(made.run, title=text)
    rows, headings = parsed([replace(made, run=run)] * 2)
    assert headings[1] == text
    assert rows[0] == ["run", text, text]


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_the_names_of_others_stay_in_their_cells(made, text):
    names = tuple(f"{text}{number}" for number in range(3))
    run = replace(made.run, title=text, config={"preset": text, "data": text})
    rows, _ = parsed([replace(made, run=run, results=replace(made.results, class_names=names))])
    assert sum(len(row) == 6 for row in rows) == 4
    assert {len(row) for row in rows} == {2, 4, 6}


def test_addresses_mentions_and_emoji_are_text():
    escaped = escape_markdown("see https://example.org, www.example.org, @someone :smile: cuda:0")
    assert escaped == r"see https\://example.org, www\.example.org, \@someone \:smile: cuda:0"
