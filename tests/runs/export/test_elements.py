"""Elements of HTML and SVG: text is text, and no document has what none may hold."""

from xml.etree import ElementTree as ET

import pytest

from cifar_tui.runs.export.elements import add, element, html_file, svg, svg_file
from tests.hostile import TEXTS


@pytest.mark.parametrize("text", [*TEXTS.values(), "<b>&amp;'\"</b>"])
def test_any_text_can_be_in_a_picture_and_is_no_markup(text):
    picture = svg(10, 10, text, element("text", text, element("g"), text, data_name=text))
    parsed = ET.fromstring(svg_file(picture, "mark"))
    assert [child.tag.rpartition("}")[2] for child in parsed.iter()] == ["svg", "rect", "title", "text", "g"]
    (shown,) = parsed.iter("{http://www.w3.org/2000/svg}text")
    assert shown.text == shown[0].tail == shown.get("data-name")
    assert shown.text.isprintable()
    if text.isascii() and text.isprintable():
        assert shown.text == text


def test_attributes_without_a_value_are_left_out_and_names_have_hyphens():
    made = element("a", class_="b", stroke_width=2, fill=None)
    assert made.attrib == {"class": "b", "stroke-width": "2"}


def test_texts_and_elements_keep_their_order():
    made = element("p", "one ")
    add(made, "two ", element("b", "three"), " four")
    assert html_file(made) == b"<!DOCTYPE html>\n<p>one two <b>three</b> four</p>\n"
