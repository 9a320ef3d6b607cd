"""Text of others on a terminal: escaped, measured, cut and told apart."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from cifar_tui.engine.text import (
    cell_width,
    cut,
    cut_names,
    cut_path,
    escape_hidden,
    escaped,
    escaped_name,
)
from tests.hostile import TEXTS

ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=())) | st.sampled_from(list(TEXTS.values()))


def test_a_long_name_is_cut_at_its_end_and_a_path_in_its_middle():
    assert cut("lr-sweep-3", 10) == "lr-sweep-3"
    assert cut("lr-sweep-30", 10) == "lr-sweep-…"
    assert cut_path("/data/flowers", 13) == "/data/flowers"
    assert cut_path("/home/someone/data/flowers", 16) == "/home…ta/flowers"


@pytest.mark.parametrize("longest", range(1, 12))
def test_what_is_cut_is_as_long_as_it_may_be(longest):
    assert len(cut("abcdefghijklm", longest)) == longest
    assert len(cut_path("abcdefghijklm", longest)) == longest


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b]0;x\x07", r"a\x1b]0;x\x07"),
        ("\x9b2J\0", r"\x9b2J\x00"),
        ("a\nb\rc\td", r"a\nb\rc\td"),
        ("\u202egnp\u2066", r"\u202egnp\u2066"),
        ("a\udcff", r"a\udcff"),
        ("\u200b\ufeff\U000e0041", r"\u200b\ufeff\U000e0041"),
        ("a\xa0b\u3000c", r"a\xa0b\u3000c"),
        ("\u3164 \u2600\ufe0f", r"\u3164 ☀\ufe0f"),
        ("👍\U0001f3fd\U0001f1e9", r"👍\U0001f3fd\U0001f1e9"),
        ("\u0301e", r"\u0301e"),
        ("e" + 20 * "\u0301", "e" + 8 * "\u0301" + 12 * r"\u0301"),
        ("[red]x[/] \\x1b", "[red]x[/] \\x1b"),
    ],
)
def test_what_a_terminal_would_interpret_or_nobody_would_see_is_escaped(text, shown):
    assert escaped(text) == shown


@pytest.mark.parametrize(
    "text", ["café", "Müller's \\ 100 %", "고양이", "ネコ", "किताब", "ครีม", "חתול", "قطة", "🐈", "e\u0301"]
)
def test_what_people_write_stays_as_it_is(text):
    assert escaped(text) == escaped_name(text) == text


def test_names_that_would_look_alike_are_told_apart():
    names = [
        "a",
        "a ",
        " a",
        "a\u2800",
        "a\x1b",
        "a\x07",
        "a\u200b",
        "a\u3164",
        "a\xa0",
        "a\ufe0f",
        "\udcff",
        "\udc80",
    ]
    assert len(set(map(escaped_name, names))) == len(names)
    middle = ["x" * 30 + one + "x" * 30 for one in "ab"]
    assert cut_names([*middle, "x"], 12) == ["xxx…xxxxxx#1", "xxx…xxxxxx#2", "x"]


@given(ANY_TEXT)
def test_what_is_escaped_acts_on_no_terminal_and_is_not_escaped_again(text):
    shown = escaped(text)
    assert shown.isprintable()
    assert shown.encode().decode() == shown
    assert escaped(shown) == shown == escape_hidden(shown)
    assert escape_hidden(text).isprintable()


@given(ANY_TEXT, st.integers(1, 40))
def test_what_is_cut_fits_and_is_safe(text, longest):
    for shown in (cut(text, longest), cut_path(text, longest)):
        assert shown.isprintable()
        assert cell_width(shown) <= longest
        assert escaped(shown) == shown


@given(st.lists(st.text("a \x1b\x07界\u0301", max_size=30), unique=True, max_size=6), st.integers(8, 20))
def test_names_that_are_cut_stay_as_many_as_they_are(names, longest):
    shown = cut_names(names, longest)
    assert all(cell_width(name) <= longest for name in shown)
    assert len(set(shown)) == len(names)


def test_a_text_is_measured_as_rich_and_textual_measure_it():
    for code in (*range(0x3400), *range(0xA000, 0xAC00), *range(0xD7A0, 0x20000, 5)):
        character = chr(code)
        if escaped(f"a{character}") == f"a{character}":
            assert cell_width(character) == cell_len(character), hex(code)
