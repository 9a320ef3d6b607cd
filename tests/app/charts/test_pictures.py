"""Pictures of half blocks: the right size, the right colours, and recognisable at any size."""

import numpy as np
import pytest

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


def test_half_the_size_is_the_mean_of_four_pixels() -> None:
    means = IMAGE.reshape(16, 2, 16, 2, 3).mean(axis=(1, 3))
    assert np.abs(resize(IMAGE, 16, 16) - means).max() <= 0.5


def test_averaging_keeps_the_mean_and_a_plain_area_plain() -> None:
    plain = np.full((32, 32, 3), (10, 200, 255), dtype=np.uint8)
    for width in (8, 12, 20, 24, 28, 31):
        assert resize(IMAGE, width, width).mean() == pytest.approx(IMAGE.mean(), abs=0.5)
        assert (resize(plain, width, width) == (10, 200, 255)).all()


def test_a_pixel_across_an_edge_counts_by_its_share() -> None:
    row = np.array([[[0] * 3, [90] * 3, [240] * 3]], dtype=np.uint8)
    assert resize(row, 2, 1)[0, :, 0].tolist() == [30, 190]
