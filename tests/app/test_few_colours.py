"""Among 256 colours, each is the most similar one: a dark blue is no teal."""

import pytest
from rich.segment import Segment
from rich.style import Style
from textual.color import Color

from cifar_tui.app.few_colours import NearestColours
from cifar_tui.app.safe import SafeApp

BLACK = Color.parse("black")


def shown(style):
    (segment,) = NearestColours().apply([Segment("x", Style.parse(style))], BLACK)
    return segment.style


def number_of(colour):
    return shown(colour).color.number


@pytest.mark.parametrize(
    ("colour", "number"),
    [
        ("#313a5c", 238),
        ("#1a1b26", 234),
        ("#e69f00", 178),
        ("#ff0000", 196),
        ("#ffffff", 231),
        ("#080808", 232),
    ],
)
def test_a_colour_becomes_the_most_similar_one(colour, number):
    assert number_of(colour) == number
    assert shown(f"on {colour}").bgcolor.number == number


def test_all_else_of_a_style_stays():
    style = shown("bold underline #ff0000")
    assert style.bold
    assert style.underline
    assert style.bgcolor is None
    assert shown("bold color(3)") == Style.parse("bold color(3)")


@pytest.mark.parametrize(("system", "applies"), [("256", True), ("truecolor", False), ("standard", False)])
def test_only_a_terminal_of_256_colours_gets_them(system, applies, monkeypatch):
    app = SafeApp()
    monkeypatch.setattr(type(app.console), "color_system", system)
    filters = [each for each in app.get_line_filters() if isinstance(each, NearestColours)]
    assert bool(filters) == applies
