"""The confusion matrix as lines: which cells fit, what they say, and headings that stay."""

import numpy as np
import pytest
from rich.color import ColorSystem
from textual.color import Color

from cifar_tui.app.charts.matrix import (
    MatrixStyle,
    MatrixWindow,
    cell_at,
    matrix_layout,
    matrix_lines,
    scrolled,
)
from cifar_tui.app.charts.palette import ANY_BACKGROUND, LEGIBLE, contrast
from cifar_tui.engine.text import cell_width
from tests.hostile import TEXTS

PLAIN = MatrixStyle(palette=ANY_BACKGROUND, background=None, per_cent=False)
SHADED = MatrixStyle(palette=ANY_BACKGROUND, background=Color.parse("black"), per_cent=False)
NAMES = ("airplane", "automobile", "bird", "cat")
COUNTS = np.array([[8, 1, 1, 0], [0, 5, 0, 5], [0, 0, 0, 0], [100, 0, 0, 900]])


def draw(confusion=COUNTS, names=NAMES, *, size=(60, 20), cursor=(0, 0), style=PLAIN):
    layout = matrix_layout(confusion, names, *size)
    window = scrolled(MatrixWindow(row=cursor[0], column=cursor[1]), layout, len(names))
    return matrix_lines(confusion, names, window, layout, style), layout, window


def numbered(classes):
    names = tuple(f"class number {k}" for k in range(classes))
    return np.diag(np.arange(1, classes + 1)), names


def cells(line):
    return line.text.split()


def test_counts_are_truth_by_prediction_with_a_dot_for_none():
    lines, *_ = draw()
    assert [cells(line) for line in lines[1:]] == [
        ["airplane", "8", "1", "1", "·"],
        ["automobile", "·", "5", "·", "5"],
        ["bird", "·", "·", "·", "·"],
        ["cat", "100", "·", "·", "900"],
    ]


def test_per_cent_are_those_of_the_row():
    style = MatrixStyle(palette=ANY_BACKGROUND, background=None, per_cent=True)
    lines, *_ = draw(style=style)
    assert [cells(line)[1:] for line in lines[1:]] == [
        ["80", "10", "10", "·"],
        ["·", "50", "·", "50"],
        ["·", "·", "·", "·"],
        ["10", "·", "·", "90"],
    ]


def test_a_larger_share_is_shaded_more_and_right_and_wrong_differ():
    lines, *_ = draw(style=SHADED, cursor=(2, 2))
    shades = {
        (row, segment.text.strip()): segment.style.bgcolor
        for row, line in enumerate(lines)
        for segment in line
        if segment.text.strip().isdigit()
    }

    def brightness(cell):
        return sum(shades[cell].triplet)

    assert brightness((1, "8")) > brightness((2, "5")) > 0
    assert brightness((4, "100")) < brightness((4, "900"))
    assert shades[(1, "1")] != shades[(1, "8")]


@pytest.mark.parametrize("style", [PLAIN, SHADED])
def test_without_colour_the_cursor_is_reversed_and_right_is_bold(style):
    lines, *_ = draw(cursor=(0, 1), style=style)
    reversed_ = [s.text for line in lines for s in line if s.style and s.style.reverse]
    assert [text.strip() for text in reversed_] == ["1"]
    bold = {s.text.strip() for line in lines[1:] for s in line if s.style and s.style.bold}
    assert {"8", "5", "900"} <= bold
    assert "100" not in bold


def test_the_column_of_the_cursor_is_named_in_full():
    narrow = (27, 20)
    assert cells(draw(size=narrow, cursor=(0, 3))[0][0]) == ["air", "aut", "bir", "cat"]
    assert cells(draw(size=narrow, cursor=(0, 1))[0][0]) == ["automobile", "cat"]
    assert cells(draw(size=narrow, cursor=(0, 0))[0][0]) == ["airplane", "bir", "cat"]


def test_names_that_begin_alike_are_told_apart_by_their_ends():
    confusion, names = numbered(200)
    lines, *_ = draw(confusion, names, size=(60, 10), cursor=(120, 120))
    heads = lines[0].text
    assert "class…mber 120" in heads
    assert "…15 …16" in heads


def test_of_200_classes_the_rows_and_columns_that_fit_are_shown_with_their_headings():
    confusion, names = numbered(200)
    lines, layout, window = draw(confusion, names, size=(60, 12), cursor=(150, 199))
    assert len(lines) == 12
    assert window.first_row == 150 - layout.rows + 1
    assert window.first_column == 200 - layout.columns
    assert lines[-1].text.startswith("class…mber 150")
    assert lines[0].text.endswith("class…mber 199")
    again = scrolled(MatrixWindow(first_row=window.first_row, row=145, column=0), layout, 200)
    assert (again.first_row, again.first_column) == (window.first_row, 0), "scrolled no further than needed"


@pytest.mark.parametrize("classes", [1, 2, 10, 200])
@pytest.mark.parametrize("size", [(20, 3), (36, 8), (60, 14), (200, 50)])
def test_nothing_is_wider_or_higher_than_its_room(classes, size):
    confusion, names = numbered(classes)
    for cursor in (0, classes // 2, classes - 1):
        lines, layout, _ = draw(confusion, names, size=size, cursor=(cursor, cursor))
        assert len(lines) <= size[1]
        assert {line.cell_length for line in lines} == {layout.width if layout.columns else line_width(lines)}
        assert max(line.cell_length for line in lines) <= size[0]


def line_width(lines):
    return lines[0].cell_length


@pytest.mark.parametrize("kind", TEXTS)
def test_a_hostile_name_stays_in_its_cells(kind):
    names = (TEXTS[kind], "cat", TEXTS[kind])
    for cursor in range(3):
        lines, layout, _ = draw(np.eye(3, dtype=np.int64), names, size=(60, 10), cursor=(cursor, cursor))
        for line in lines:
            assert line.text.isprintable()
            assert cell_width(line.text) == layout.width


def test_a_click_means_the_cell_that_is_drawn_there():
    confusion, names = numbered(200)
    lines, layout, window = draw(confusion, names, size=(60, 12), cursor=(150, 150))
    for y, line in enumerate(lines):
        for x in range(line.cell_length):
            cell = cell_at(window, layout, x, y)
            text = line.text[x]
            if text.isdigit() and y and x > layout.name_width:
                assert cell is not None
                assert cell[0] == cell[1], "only the diagonal has numbers"
            if y == 0 or x <= layout.name_width:
                assert cell is None
    assert cell_at(window, layout, 200, 3) is None
    assert cell_at(window, layout, 30, 40) is None


@pytest.mark.parametrize("background", ["black", "#1a1b26", "#282a36", "#eff1f5", "white"])
def test_among_256_colours_shades_grow_in_many_steps_with_legible_figures(background):
    few = ANY_BACKGROUND, Color.parse(background)
    style = MatrixStyle(palette=few[0], background=few[1], per_cent=False, few_colours=True)
    shares = [0.005, 0.02, 0.05, 0.1, 0.2, 0.3, 0.45, 0.6, 0.75, 0.9, 1.0]
    shown = []
    for share in shares:
        cell = style.of_cell(share, is_right=False)
        colours = [
            part.downgrade(ColorSystem.EIGHT_BIT).get_truecolor() for part in (cell.color, cell.bgcolor)
        ]
        text, shade = (Color(*triplet) for triplet in colours)
        assert contrast(text, shade) >= LEGIBLE
        shown.append(contrast(shade, few[1]))
    assert shown == sorted(shown)
    assert shown[0] > 1.05, "it stands out"
    assert len(set(shown)) >= 7
