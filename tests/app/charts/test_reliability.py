"""The charts of confidence: bars of the right height, counts, and any data at any size."""

import numpy as np
import pytest

from cifar_tui.app.charts.palette import ANY_BACKGROUND
from cifar_tui.app.charts.reliability import coverage_chart, reliability_chart
from cifar_tui.engine.evaluation.statistics import accuracy_by_coverage, calibration

SIZES = [(38, 14), (36, 9), (60, 20), (100, 30), (21, 7)]
RANDOM = np.random.default_rng(0)


def made(kind):
    """Confidences, and whether the predictions are right."""
    match kind:
        case "none":
            return np.array([]), np.array([], bool)
        case "one":
            return np.array([0.7]), np.array([True])
        case "certain":
            return np.ones(50), np.arange(50) % 2 == 0
        case "equal":
            return np.full(50, 0.25), np.ones(50, bool)
        case "many":
            confidences = RANDOM.random(10_000)
            return confidences, RANDOM.random(10_000) < confidences
        case "never right":
            return RANDOM.random(100), np.zeros(100, bool)
    raise AssertionError(kind)


KINDS = ("none", "one", "certain", "equal", "many", "never right")


def drawn(confidences, correct, size, bins=15):
    drawing = reliability_chart(
        calibration(confidences, correct, bins=bins), *size, ANY_BACKGROUND, bins=bins
    )
    return [line.text for line in drawing.lines]


@pytest.mark.parametrize("size", [*SIZES, (19, 10), (40, 3), (3, 1)])
@pytest.mark.parametrize("kind", KINDS)
def test_every_line_has_exactly_its_width_whatever_the_data(kind, size):
    confidences, correct = made(kind)
    shares, accuracies = accuracy_by_coverage(confidences, correct)
    for drawing in (
        reliability_chart(calibration(confidences, correct), *size, ANY_BACKGROUND),
        coverage_chart(shares, accuracies, *size, ANY_BACKGROUND),
    ):
        assert len(drawing.lines) == size[1]
        assert {line.cell_length for line in drawing.lines} == {size[0]}


def test_a_bar_is_as_high_as_the_accuracy_and_its_line_at_the_mean_confidence():
    confidences = np.array([0.55] * 10 + [0.95] * 10)
    correct = np.array([True] * 10 + [True] * 5 + [False] * 5)
    lines = drawn(confidences, correct, (50, 14), bins=10)  # 10 rows of bars, 4 columns each
    bars = lines[1:11]
    fifth, tenth = ([row[7 + 4 * place] for row in bars] for place in (5, 9))
    assert "".join(reversed(fifth)) == "█████━████", "always right, but 55 % confident"
    assert "".join(reversed(tenth)) == "█████    ━", "half of them right, but 95 % confident"
    empty = [row[7 + 4 * 2] for row in bars]
    assert set(empty) == {" "}


def test_where_there_is_room_the_images_of_each_bin_are_counted():
    confidences = np.repeat([0.05, 0.55, 0.95], [7, 1234, 25_000])
    lines = drawn(confidences, np.ones(len(confidences), bool), (70, 14), bins=10)
    assert lines[-1].split() == ["images", "7", "1.2k", "25k"]
    low = drawn(confidences, np.ones(len(confidences), bool), (38, 14), bins=10)[-1]
    assert "█" in low
    assert low.strip().startswith("images ▁")


def test_a_bin_that_is_never_right_is_not_taken_for_an_empty_one():
    lines = drawn(np.full(5, 0.95), np.zeros(5, bool), (38, 14))
    assert "▁" in lines[10]


def test_at_the_least_size_axis_and_legend_are_whole():
    lines = drawn(*made("many"), (38, 14))
    assert "█ accuracy" in lines[0]
    assert "━ confidence" in lines[0]
    assert [lines[y].split("┤")[0].strip() for y in (1, 10)] == ["100", "0"]
    assert lines[12].split()[0] == "0"
    assert "confidence" in lines[12]


def test_the_curve_of_the_images_kept_falls_to_the_accuracy_of_all():
    confidences, correct = made("many")
    shares, accuracies = accuracy_by_coverage(confidences, correct)
    lines = [line.text for line in coverage_chart(shares, accuracies, 60, 20, ANY_BACKGROUND).lines]
    assert "% of images kept" in lines[-1]
    first_row = next(y for y, line in enumerate(lines) if "\u2800" < line[8] <= "\u28ff")
    last_row = next(y for y in range(17, 0, -1) if "\u2800" < lines[y].rstrip()[-1] <= "\u28ff")
    assert first_row < last_row


@pytest.mark.parametrize(("kind", "words"), [("none", "No images"), ("equal", "All images have the same")])
def test_without_a_curve_the_reason_is_said(kind, words):
    shares, accuracies = accuracy_by_coverage(*made(kind))
    text = "\n".join(line.text for line in coverage_chart(shares, accuracies, 38, 14, ANY_BACKGROUND).lines)
    assert words in text


def test_an_accuracy_that_never_changes_is_a_line():
    shares, accuracies = accuracy_by_coverage(np.linspace(0.1, 1, 40), np.ones(40, bool))
    text = "".join(line.text for line in coverage_chart(shares, accuracies, 38, 14, ANY_BACKGROUND).lines)
    assert any("\u2800" < character <= "\u28ff" for character in text)
