"""Charts are text of exactly the size asked for, that shows what is in the data and nothing that is not."""

import math
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from rich.text import Text
from textual.theme import BUILTIN_THEMES

from cifar_tui.app.charts import curves as module
from cifar_tui.app.charts.axes import log_axis, round_ticks, step_range_label
from cifar_tui.app.charts.curves import MAX_ZOOM, SMOOTHING_LEVELS, ChartOptions, Palette, smoothed
from cifar_tui.runs.state import Curves

Draw = Callable[..., Text]

PALETTE = Palette(
    loss="#ffa020",
    loss_raw="#604010",
    training="#4090d0",
    training_raw="#204060",
    test="#50c070",
    axis="#808080",
    text="#e0e0e0",
)


def curves(points: int = 500, every: int = 50) -> Curves:
    steps = [every * (index + 1) for index in range(points)]
    return Curves(
        loss=[(step, 1.25 + math.exp(-step / 5000) + 0.05 * (index % 3)) for index, step in enumerate(steps)],
        train_accuracy=[(step, 0.55 - 0.4 * math.exp(-step / 5000)) for step in steps],
        test_accuracy=[(steps[len(steps) // 2], 0.43), (steps[-1], 0.5317)],
    )


def loss_chart(data: Curves, **options: Any) -> Text:
    return module.loss_chart(data, ChartOptions(**{"palette": PALETTE, **options}))


def accuracy_chart(data: Curves, **options: Any) -> Text:
    return module.accuracy_chart(data, ChartOptions(**{"palette": PALETTE, **options}))


def rows(chart: Text) -> list[str]:
    return str(chart).split("\n")


def last_row_with_curve(chart: Text, *, column: int) -> int:
    return max(index for index, row in enumerate(rows(chart)[:-2]) if row[column] != " ")


def drawn_cells(chart: Text) -> int:
    return sum(character not in " ─│┤┬└" for row in rows(chart)[1:-1] for character in row)


@pytest.mark.parametrize("draw", [loss_chart, accuracy_chart])
@pytest.mark.parametrize("points", [0, 1, 2, 500])
def test_a_chart_has_exactly_the_size_asked_for(draw: Draw, points: int) -> None:
    data = curves(points) if points else Curves()
    for width, height in ((20, 5), (37, 9), (88, 15), (200, 50), (8, 3), (1, 1)):
        lines = draw(data, width=width, height=height).split("\n", allow_blank=True)
        assert [line.cell_len for line in lines] == [width] * height


def test_an_empty_chart_says_that_the_curve_will_start() -> None:
    assert "Waiting for data" in str(loss_chart(Curves(), width=60, height=8))


def test_a_single_point_is_told_in_words() -> None:
    chart = loss_chart(Curves(loss=[(50, 2.3026)]), width=60, height=8)
    assert "step 50: loss 2.303" in str(chart)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("log_scale", [False, True])
def test_values_that_are_not_finite_are_left_out(bad: float, log_scale: bool) -> None:
    good = curves()
    spoilt = Curves(
        loss=[*good.loss[:100], (5025, bad), *good.loss[100:]],
        train_accuracy=[*good.train_accuracy[:9], (460, bad), *good.train_accuracy[9:]],
        test_accuracy=good.test_accuracy,
    )
    size: dict[str, Any] = {"width": 88, "height": 15}
    assert str(loss_chart(spoilt, log_scale=log_scale, **size)) == str(
        loss_chart(good, log_scale=log_scale, **size)
    )
    assert str(accuracy_chart(spoilt, **size)) == str(accuracy_chart(good, **size))


def test_nothing_but_bad_values_is_an_empty_chart() -> None:
    chart = loss_chart(Curves(loss=[(1, math.nan), (2, math.inf)]), width=60, height=8)
    assert "Waiting for data" in str(chart)


def test_a_spike_of_one_point_among_thousands_is_seen() -> None:
    flat = [(step, 1.0 + 0.01 * (step % 2)) for step in range(1, 4097)]
    spiked = [*flat[:2000], (2001, 9.0), *flat[2001:]]
    chart = loss_chart(Curves(loss=spiked), width=80, height=12, smoothing=0.2)
    top = rows(chart)[1]
    assert any("\u2800" < character <= "\u28ff" for character in top)


def test_raw_and_smoothed_differ_in_shape_and_the_legend_names_both() -> None:
    chart = loss_chart(curves(), width=88, height=15, smoothing=0.05)
    legend, body = rows(chart)[0], "".join(rows(chart)[1:])
    assert "smoothed over 5 %" in legend
    assert "raw" in legend
    assert set(body) & set("▀▄▚▞▌▐█")
    assert any("\u2800" < character <= "\u28ff" for character in body)


def test_without_smoothing_there_is_only_the_raw_line() -> None:
    chart = loss_chart(curves(), width=88, height=15, smoothing=0)
    assert "smoothed" not in str(chart)
    assert not set(str(chart)) & set("▀▄▚▞▌▐█")


def test_evaluations_are_marks_beside_the_training_line() -> None:
    chart = accuracy_chart(curves(), width=88, height=15)
    legend, body = rows(chart)[0], rows(chart)[1:]
    assert "training" in legend
    assert "◆ test 53.2 %" in legend
    assert sum(row.count("◆") for row in body) == 2


def test_the_axes_carry_round_numbers() -> None:
    chart = rows(loss_chart(curves(), width=88, height=15))
    assert chart[-1].split() == ["0", "5k", "10k", "15k", "20k", "25k"]
    assert [row.split("┤")[0].strip() for row in chart if "┤" in row] == ["2.2", "2.0", "1.8", "1.6", "1.4"]


def test_zoom_shows_the_last_part_of_the_steps() -> None:
    chart = loss_chart(curves(), width=88, height=15, zoom=2)
    assert "Loss, steps 18.8k–25k" in rows(chart)[0]
    narrow = accuracy_chart(curves(), width=38, height=12, zoom=2)
    assert rows(narrow)[0].strip() == "Accuracy, 18.8k–25k  ▄▀ training"
    assert rows(chart)[-1].split() == ["19k", "20k", "21k", "22k", "23k", "24k", "25k"]


@pytest.mark.parametrize(
    ("first", "last", "label"),
    [
        (73_828.1, 75_000, "73.8k–75k"),
        (390.6, 400, "391–400"),
        (999_960, 1_004_000, "1M–1.004M"),
        (996.1, 1_000, "996–1k"),
    ],
)
def test_a_range_of_steps_has_as_many_digits_as_tell_its_ends_apart(
    first: float, last: float, label: str
) -> None:
    assert step_range_label(first, last) == label


def test_the_closest_zoom_still_draws() -> None:
    chart = accuracy_chart(curves(5), width=60, height=10, zoom=MAX_ZOOM)
    assert drawn_cells(chart)


def test_an_exponential_is_a_straight_line_on_a_log_scale() -> None:
    data = Curves(loss=[(step, 10 ** (-step / 250)) for step in range(1, 1001)])
    size: dict[str, Any] = {"width": 60, "height": 15, "smoothing": 0}
    chart = loss_chart(data, log_scale=True, **size)
    labels = [row.split("┤")[0].strip() for row in rows(chart) if "┤" in row]
    assert labels == ["0.1", "0.01", "0.001", "0.0001"]
    assert "log" in rows(chart)[0]
    first, middle, last = (last_row_with_curve(chart, column=column) for column in (20, 35, 50))
    assert middle - first == pytest.approx(last - middle, abs=1)
    assert middle - first >= 2


def test_a_log_scale_leaves_out_what_is_not_above_zero() -> None:
    size: dict[str, Any] = {"width": 60, "height": 12, "log_scale": True}
    assert "1.500" in str(loss_chart(Curves(loss=[(1, 2.0), (2, 0.0), (3, 1.5)]), smoothing=0, **size))
    assert "No positive loss to plot on a log scale" in str(
        loss_chart(Curves(loss=[(1, 0.0), (2, -1.0)]), **size)
    )


@pytest.mark.parametrize("value", [0.0, 1e-12, 2.5, 1e30])
@pytest.mark.parametrize("log_scale", [False, True])
def test_a_curve_that_does_not_move_is_drawn(value: float, log_scale: bool) -> None:
    chart = loss_chart(Curves(loss=[(1, value), (2, value)]), width=60, height=12, log_scale=log_scale)
    assert len(rows(chart)) == 12


@pytest.mark.parametrize("share", SMOOTHING_LEVELS[1:])
@pytest.mark.parametrize("count", [2, 3, 7, 60, 1_000, 100_000])
def test_the_smoothed_line_stays_between_the_points_of_its_window(count: int, share: float) -> None:
    generator = np.random.default_rng(count)
    losses = 2.3 / np.sqrt(np.arange(1, count + 1)) + generator.exponential(0.1, count)
    line = np.array([y for _, y in smoothed(list(enumerate(losses.tolist())), share)])
    reach = max(1, round(share * count / 2))
    near = np.minimum(reach, np.minimum(np.arange(count), np.arange(count)[::-1]))
    for index in {*range(min(count, 300)), *range(max(0, count - 300), count), *range(0, count, 997)}:
        window = losses[index - near[index] : index + near[index] + 1]
        assert window.min() - 1e-9 <= line[index] <= window.max() + 1e-9
    assert (line[0], line[-1]) == pytest.approx((losses[0], losses[-1]))
    assert count < 1000 or np.abs(np.diff(line)).sum() < np.abs(np.diff(losses)).sum() / 2, "it is smooth"


@pytest.mark.parametrize(("low", "high"), [(0, 25_000), (0.93, 2.41), (1e-9, 3e-9), (19_500, 20_000)])
def test_ticks_are_round_few_and_inside(low: float, high: float) -> None:
    ticks = round_ticks(low, high, 5)
    assert 2 <= len(ticks) <= 6
    assert all(low <= tick * (1 + 1e-9) and tick <= high * (1 + 1e-9) for tick in ticks)


@pytest.mark.parametrize("count", [2, 3, 6, 20])
@pytest.mark.parametrize(("low", "high"), [(11, 115), (1.1, 1.9), (0.9, 2.4), (1e-6, 1e6), (0.02, 0.3)])
def test_a_log_axis_has_ticks_inside_at_any_height(low: float, high: float, count: int) -> None:
    axis = log_axis(low, high, count=count)
    assert 1 <= len(axis.ticks) <= max(6, 3 * count)
    assert all(axis.low - 1e-6 <= tick <= axis.high + 1e-6 for tick in axis.ticks)


def test_every_theme_gives_a_palette() -> None:
    for theme in BUILTIN_THEMES.values():
        palette = Palette.from_theme(theme.to_color_system().generate())
        assert len(rows(accuracy_chart(curves(9), width=60, height=10, palette=palette))) == 10
        assert palette.axis != "#000000"


def test_neither_plotext_nor_numpy_is_imported_before_the_first_chart() -> None:
    code = (
        "import sys, cifar_tui.app.charts.curves as _\n"
        "sys.exit(not {'plotext', 'numpy', 'torch'}.isdisjoint(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
