"""Pages of pictures: as many as fit, captions that say what is right without colour."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cifar_tui.app.charts.gallery import (
    CURSOR_BAR,
    NO_PICTURE,
    Page,
    PictureCache,
    grid_layout,
    page_lines,
)
from cifar_tui.app.charts.palette import ANY_BACKGROUND
from cifar_tui.runs.results import SortKey
from tests.hostile import TEXTS
from tests.runs.made_results import make_results


def page(results, positions, *, size=(80, 22), cursor=0, sort=SortKey.INDEX, columns=None):
    layout = grid_layout(*size, columns)
    shown = Page(positions=positions[: layout.per_page], cursor=cursor, sort=sort)
    pictures = PictureCache(results.images, dithered=False)
    return page_lines(results, shown, layout, pictures, ANY_BACKGROUND), layout


@given(width=st.integers(1, 260), height=st.integers(1, 80), columns=st.none() | st.integers(1, 30))
@settings(max_examples=200)
def test_the_pictures_of_a_page_fit_and_fill_the_width(width, height, columns):
    layout = grid_layout(width, height, columns)
    if not layout.per_page:
        assert width < 10 or height < 6
        return
    assert layout.columns * layout.cell_width <= width
    assert layout.rows * layout.cell_height <= height
    assert width - layout.columns * layout.cell_width < layout.columns


def test_a_picture_is_large_enough_to_be_recognised_where_the_height_allows_it():
    for size in ((78, 20), (77, 22), (58, 13), (118, 37), (126, 46), (198, 46)):
        assert 16 <= grid_layout(*size).picture <= 48
    assert grid_layout(77, 22).per_page == 8
    assert grid_layout(77, 22, 2).picture > 30


def test_under_each_picture_are_label_prediction_and_confidence():
    results = make_results([0, 1], [0, 2], confidences=[0.9, 0.4567], class_names=("plane", "cat", "dog"))
    lines, layout = page(results, [0, 1], columns=4)
    truth, predicted = (line.text for line in lines[-2:])
    assert truth.split() == [f"{CURSOR_BAR}plane", "0", "cat", "1"]
    assert predicted.split() == [f"{CURSOR_BAR}✓", "plane", "90.0", "%", "✗", "dog", "45.7", "%"]
    assert len(lines) == layout.cell_height
    wide, _ = page(results, [0, 1], columns=2)
    assert "GroundTruth cat" in wide[-2].text
    assert "✗ Predicted dog" in wide[-1].text


def test_sorted_by_loss_the_losses_are_written():
    lines, _ = page(make_results([0], [1], losses=[2.5]), [0], sort=SortKey.LOSS)
    assert "loss 2.500" in lines[-2].text


def test_the_cursor_is_seen_without_colour():
    results = make_results([0, 1], [0, 1])
    lines, layout = page(results, [0, 1], cursor=1)
    assert [line.text.index(CURSOR_BAR) for line in lines] == [layout.cell_width] * len(lines)
    assert {s.style.reverse for s in lines[-1] if "✓" in s.text} == {True, False}


def test_an_image_that_is_not_kept_has_a_frame_of_its_size():
    results = make_results([0, 1], [0, 1])
    cut = type(results)(
        class_names=results.class_names, predictions=results.predictions, images=results.images[:1]
    )
    lines, layout = page(cut, [0, 1])
    assert NO_PICTURE in "\n".join(line.text for line in lines)
    assert {line.cell_length for line in lines} == {2 * layout.cell_width}


def test_a_page_turned_back_draws_no_picture_again():
    results = make_results([0] * 8, [0] * 8)
    layout, pictures = grid_layout(77, 22), PictureCache(results.images, dithered=False)
    for cursor in (0, 1, 2):
        page_lines(results, Page(positions=range(8), cursor=cursor), layout, pictures, ANY_BACKGROUND)
    assert pictures.lines.cache_info().misses == 8


@pytest.mark.parametrize("kind", TEXTS)
def test_a_hostile_name_stays_below_its_picture(kind):
    results = make_results([0, 1], [1, 0], classes=2, class_names=(TEXTS[kind], f"b{TEXTS[kind]}"))
    for columns in (1, 3, 7):
        lines, layout = page(results, [0, 1][: min(columns, 2)], columns=columns)
        assert {line.cell_length for line in lines} == {min(columns, 2) * layout.cell_width}
        assert all(line.text.isprintable() for line in lines)
