"""Curves as SVG: round ticks, few points, everything inside the axes."""

import re
from xml.etree import ElementTree as ET

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cifar_tui.runs.export.plot import COLOURS, Curve, PlotTexts, line_plot, tick_texts, ticks

TEXTS = PlotTexts(title="Loss", x="Epoch", y="Loss (nats)")
FINITE = st.floats(-1e300, 1e300)


def texts_of(picture):
    return [found.text for found in picture.iter("text")]


def numbers_in(picture):
    paths = " ".join(path.get("d", "") for path in picture.iter("path"))
    return [float(number) for number in re.findall(r"-?\d+(?:\.\d+)?", paths)]


@pytest.mark.parametrize(
    ("low", "high", "count", "expected"),
    [
        (0, 10, 5, [0, 2, 4, 6, 8, 10]),
        (0, 1, 4, [0, 0.25, 0.5, 0.75, 1]),
        (0.3, 0.9, 6, [0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]),
        (-1, 1, 4, [-1, -0.5, 0, 0.5, 1]),
        (0, 0.00035, 4, [0, 0.0001, 0.0002, 0.0003]),
        (0, 1e300, 2, [0, 5e299, 1e300]),
    ],
)
def test_ticks_are_round_numbers(low, high, count, expected):
    assert ticks(low, high, count) == pytest.approx(expected)


def test_the_labels_of_ticks_have_equal_decimals():
    assert tick_texts([0, 0.25, 0.5]) == ["0.00", "0.25", "0.50"]
    assert tick_texts([0, 5000, 10000]) == ["0", "5,000", "10,000"]


@settings(max_examples=40)
@given(st.lists(st.tuples(FINITE, FINITE), max_size=30))
@example([(0.0, 0.0), (1.0, 5e-324)])
@example([(0.0, 0.0), (1e-300, 1e-300)])
def test_any_finite_points_are_drawn_inside_the_picture(points):
    picture = line_plot(TEXTS, [Curve(points=sorted(points), label="a", marks=True)])
    assert all(-1 <= number <= 520.1 for number in numbers_in(picture) if abs(number) > 10)
    ET.fromstring(ET.tostring(picture))


def test_without_points_the_plot_says_so():
    assert "no data" in texts_of(line_plot(TEXTS, [Curve(points=[])]))


def test_the_axes_have_their_names_and_units():
    shown = texts_of(line_plot(TEXTS, [Curve(points=[(0, 1), (1, 2)])]))
    assert {"Loss", "Epoch", "Loss (nats)"} <= set(shown)


def test_many_points_make_a_small_picture_that_keeps_the_spike():
    points = [(float(x), 1.0) for x in range(200_000)]
    points[77_777] = (77_777.0, 9.0)
    picture = line_plot(TEXTS, [Curve(points=points, label="a")])
    assert len(ET.tostring(picture)) < 30_000
    (line,) = (
        path.get("d")
        for path in picture.iter("path")
        if path.get("stroke-width") == "1.6" and path.get("d").count("L") > 5
    )
    heights = {float(place.split()[1]) for place in line[1:].split("L")}
    assert len(heights) == 2, "the spike and the rest"


def test_many_runs_differ_in_colour_in_dashes_and_in_marks():
    curves = [Curve(points=[(0, k), (1, k)], label=f"run {k}", style=k) for k in range(7)]
    picture = line_plot(TEXTS, curves)
    groups = [group for group in picture.iter("g") if group.get("stroke", "")[:1] == "#"][:7]
    colours = [group.get("stroke") for group in groups]
    dashes = [group.find("path").get("stroke-dasharray") for group in groups]
    marks = [(mark.tag, len(mark.get("d", ""))) for mark in (group[-1] for group in groups)]
    assert colours == list(COLOURS)
    assert len(set(dashes[:5])) == 5
    assert len(set(zip(dashes, marks, strict=True))) == 7
    assert [text for text in texts_of(picture) if text.startswith("run")] == [f"run {k}" for k in range(7)]


def test_a_long_legend_takes_more_lines_and_none_is_cut():
    curves = [Curve(points=[(0, 0), (1, 1)], label="x" * 28, style=k) for k in range(6)]
    picture = line_plot(TEXTS, curves)
    places = [
        (float(text.get("x")), float(text.get("y"))) for text in picture.iter("text") if text.text[0] == "x"
    ]
    assert len({y for _, y in places}) == 3
    assert float(picture.get("height")) > max(y for _, y in places)
