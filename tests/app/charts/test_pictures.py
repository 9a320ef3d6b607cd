"""Pictures of half blocks: the right size, the right colours, and recognisable at any size."""

import numpy as np
import pytest
from rich.color import Color, ColorSystem

from cifar_tui.app.charts.pictures import UPPER_HALF, half_blocks, resize

GENERATOR = np.random.default_rng(0)
IMAGE = GENERATOR.integers(0, 256, (32, 32, 3), dtype=np.uint8)


def test_a_square_image_is_half_as_high_as_wide() -> None:
    for width in range(8, 33):
        lines = half_blocks(IMAGE, width)
        assert {line.cell_length for line in lines} == {width}
        assert len(lines) == round(width / 2)


def test_at_full_width_every_pixel_keeps_its_colour_but_for_what_nobody_sees() -> None:
    shown = np.empty((32, 32, 3), dtype=np.int64)
    for y, line in enumerate(half_blocks(IMAGE, 32)):
        for x, cell in enumerate(line):
            assert cell.text == UPPER_HALF
            shown[2 * y, x] = cell.style.color.triplet
            shown[2 * y + 1, x] = cell.style.bgcolor.triplet
    assert np.abs(shown - IMAGE).max() == 2


def test_a_pattern_finer_than_the_cells_becomes_gray_not_another_pattern() -> None:
    checkers = np.indices((32, 32)).sum(axis=0) % 2 * 255
    small = resize(np.repeat(checkers[..., None], 3, axis=2).astype(np.uint8), 16, 16)
    assert np.abs(small.astype(int) - 127).max() <= 12


def test_an_edge_stays_an_edge_when_smaller_and_is_smooth_when_larger() -> None:
    halves = np.zeros((32, 32, 3), dtype=np.uint8)
    halves[:, 16:] = 255
    row = resize(halves, 16, 16)[8, :, 0].astype(int)
    assert row[6] < 20
    assert row[9] > 235
    steps = np.diff(resize(halves, 96, 96)[48, :, 0].astype(int))
    assert (steps > 0).sum() >= 3, "as many shades between them"


def test_averaging_keeps_the_mean_and_a_plain_area_plain() -> None:
    plain = np.full((32, 32, 3), (10, 200, 255), dtype=np.uint8)
    for width in (8, 12, 20, 24, 28, 31):
        assert resize(IMAGE, width, width).mean() == pytest.approx(IMAGE.mean(), abs=0.5)
        assert (resize(plain, width, width) == (10, 200, 255)).all()


def test_with_256_colours_only_those_are_used_and_an_area_keeps_its_shade() -> None:
    shades = np.full((32, 32, 3), (120, 105, 70), dtype=np.uint8)
    pixels = [
        color.triplet
        for line in half_blocks(shades, 32, dithered=True)
        for cell in line
        for color in (cell.style.color, cell.style.bgcolor)
    ]
    assert len(set(pixels)) > 1
    assert np.abs(np.mean(pixels, axis=0) - (120, 105, 70)).max() < 4
    for triplet in set(pixels):
        shown = Color.from_triplet(triplet).downgrade(ColorSystem.EIGHT_BIT).get_truecolor()
        assert np.abs(np.subtract(shown, triplet)).max() <= 10, triplet
