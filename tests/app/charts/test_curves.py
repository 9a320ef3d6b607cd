"""Charts are text of exactly the size asked for, that shows what is in the data and nothing that is not."""

import math
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from rich.text import Text

from cifar_tui.app.charts import curves as module
from cifar_tui.app.charts.curves import SMOOTHING_LEVELS
from cifar_tui.app.charts.frame import DIAMOND, DOTS, LINE, ChartOptions, Drawing
from cifar_tui.app.charts.palette import ANY_BACKGROUND
from cifar_tui.app.charts.view import MAX_ZOOM, ChartView, XUnit
from cifar_tui.runs.curves import AccuracySoFar, Curves
from cifar_tui.runs.series import smoothed

Draw = Callable[..., Text]


def curves(points: int = 500, every: int = 50) -> Curves:
    steps = [every * (index + 1) for index in range(points)]
    return Curves(
        loss=[(step, 1.25 + math.exp(-step / 5000) + 0.05 * (index % 3)) for index, step in enumerate(steps)],
        train_accuracy=[(step, 0.55 - 0.4 * math.exp(-step / 5000)) for step in steps],
        test_accuracy=[(steps[len(steps) // 2], 0.43), (steps[-1], 0.5317)],
        learning_rate=[(step, 0.001) for step in steps],
        train_seconds=[(step, step / 100) for step in steps],
        steps_per_epoch=12_500,
    )


def drawn(draw: Callable[[Curves, ChartOptions], Drawing], data: Curves, **options: Any) -> Text:
    view = ChartView(**{name: options.pop(name) for name in ("unit", "zoom", "cursor") if name in options})
    drawing = draw(data, ChartOptions(palette=ANY_BACKGROUND, view=view, **options))
    return Text("\n").join(Text(line.text) for line in drawing.lines)


def loss_chart(data: Curves, **options: Any) -> Text:
    return drawn(module.loss_chart, data, **options)


def accuracy_chart(data: Curves, **options: Any) -> Text:
    return drawn(module.accuracy_chart, data, **options)


def rate_chart(data: Curves, **options: Any) -> Text:
    return drawn(module.rate_chart, data, **options)


def rows(chart: Text) -> list[str]:
    return str(chart).split("\n")


def last_row_with_curve(chart: Text, *, column: int) -> int:
    return max(index for index, row in enumerate(rows(chart)[:-2]) if is_braille(row[column]))


def is_braille(character: str) -> bool:
    return "\u2800" < character <= "\u28ff"


def drawn_cells(chart: Text) -> int:
    return sum(is_braille(character) for row in rows(chart)[1:-1] for character in row)


@pytest.mark.parametrize("draw", [loss_chart, accuracy_chart, rate_chart])
@pytest.mark.parametrize("points", [0, 1, 2, 500])
def test_a_chart_has_exactly_the_size_asked_for(draw: Draw, points: int) -> None:
    data = curves(points) if points else Curves()
    for width, height in ((20, 5), (37, 9), (88, 15), (200, 50), (8, 3), (1, 1)):
        lines = draw(data, width=width, height=height).split("\n", allow_blank=True)
        assert [line.cell_len for line in lines] == [width] * height
    assert str(draw(data, width=20, height=0)) == "", "of a pane that is being laid out"


def test_an_empty_chart_says_that_the_curve_will_start() -> None:
    assert "Waiting for data" in str(loss_chart(Curves(), width=60, height=8))


def test_a_single_point_is_told_in_words() -> None:
    chart = loss_chart(Curves(loss=[(50, 2.3026)]), width=60, height=8)
    assert "step 50: loss 2.303" in str(chart)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("log_scale", [False, True])
def test_values_that_are_not_finite_are_left_out(bad: float, log_scale: bool) -> None:
    good = curves()
    spoilt = replace(
        good,
        loss=[*good.loss[:100], (5025, bad), *good.loss[100:]],
        train_accuracy=[*good.train_accuracy[:9], (460, bad), *good.train_accuracy[9:]],
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
    assert any(map(is_braille, rows(chart)[1]))


def test_raw_points_are_single_dots_the_smoothed_line_is_unbroken_and_the_legend_names_both() -> None:
    points = [(10 * n, 1.0 if n % 2 else 2.0) for n in range(1, 41)]
    chart = loss_chart(Curves(loss=points), width=60, height=15, smoothing=0.2)
    assert f"{DOTS} raw 2.000  {LINE} smoothed, 20 % window" in rows(chart)[0]
    plot = [row.split("┤")[-1].split("│")[-1] for row in rows(chart)[1:-2]]
    columns = list(zip(*plot, strict=True))
    assert sum(map(is_braille, plot[0])) == len(points) // 2, "each of the greatest"
    assert all(any(map(is_braille, column)) for column in columns[2:]), "a line without a gap"


def test_without_smoothing_a_line_goes_through_every_point() -> None:
    chart = loss_chart(Curves(loss=[(1, 1.0), (2, 3.0), (3, 2.0)]), width=60, height=15, smoothing=0)
    assert "smoothed" not in str(chart)
    plot = [row.split("┤")[-1].split("│")[-1] for row in rows(chart)[1:-2]]
    assert all(any(map(is_braille, row)) for row in plot), "from the least to the greatest"


def test_evaluations_are_marks_beside_the_training_line() -> None:
    chart = accuracy_chart(curves(), width=88, height=15)
    legend, body = rows(chart)[0], rows(chart)[1:]
    assert "training" in legend
    assert "◆ test 53.2 %" in legend
    assert sum(row.count(DIAMOND) for row in body) == 2


@pytest.mark.parametrize(("width", "name"), [(88, "training, mixed images"), (40, "mixed")])
def test_the_legend_says_where_the_training_accuracy_is_that_of_mixed_images(width: int, name: str) -> None:
    legend = rows(accuracy_chart(replace(curves(), mixed=True), width=width, height=10))[0]
    assert f"{name} 5" in legend
    assert "mixed" not in rows(accuracy_chart(curves(), width=width, height=10))[0]


def test_a_line_through_the_evaluations_shows_what_marks_on_whole_rows_do_not() -> None:
    def chart(*accuracies: float) -> list[str]:
        tests = [(1000.0 * n, accuracy) for n, accuracy in enumerate(accuracies, 1)]
        return rows(accuracy_chart(Curves(test_accuracy=tests, steps_per_epoch=1000), width=40, height=10))

    flat, wavy = chart(0.1, 0.7, 0.6, 0.6, 0.6), chart(0.1, 0.7, 0.6, 0.56, 0.6)
    assert [row.count(DIAMOND) for row in flat[1:]] == [row.count(DIAMOND) for row in wavy[1:]]
    assert flat != wavy
    many = chart(*([0.2, 0.7] * 20))
    assert sum(map(is_braille, "".join(many[1:]))) > 40, "marks leave room for the line"
    assert many[1].rstrip().endswith(DIAMOND), "the latest is marked"
    assert (
        drawn_cells(accuracy_chart(Curves(test_accuracy=[(1, 0.5)], loss=[(1, 2.0)]), width=40, height=10))
        == 0
    )


def test_an_unfinished_evaluation_has_an_open_mark() -> None:
    last = int(curves().loss[-1][0])
    running = replace(curves(), test_so_far=AccuracySoFar(step=last, share=0.5, accuracy=0.4, margin=0.05))
    legend, *body = rows(accuracy_chart(running, width=88, height=15))
    assert "◇ test so far 40.0 %" in legend
    assert sum(row.count("◇") for row in body) == 1
    assert sum(row.count(DIAMOND) for row in body) == 2


def test_a_line_grows_to_the_mark_of_an_unfinished_evaluation() -> None:
    def filled(share: float) -> int:
        running = AccuracySoFar(step=1000, share=share, accuracy=0.8, margin=0.0)
        trained = Curves(loss=[(0, 2.0), (1000, 1.0)], train_accuracy=[(0, 0.1), (900, 0.2)])
        chart = rows(accuracy_chart(replace(trained, test_so_far=running), width=60, height=23))
        return sum(is_braille(row[-1]) for row in chart[1:])

    heights = [filled(share) for share in (0.05, 0.3, 0.6, 0.95)]
    assert heights == sorted(set(heights))
    assert heights[-1] > heights[0] + 10


@pytest.mark.parametrize("width", [20, 24, 30, 36, 44, 60, 90])
def test_a_legend_that_is_too_wide_loses_names_then_curves_but_not_the_title(width: int) -> None:
    options: dict[str, Any] = {"width": width, "height": 10, "zoom": 2}
    accuracy, loss = rows(accuracy_chart(curves(), **options))[0], rows(loss_chart(curves(), **options))[0]
    assert "53.2 %" in accuracy
    assert ("54.7 %" in accuracy) == (width not in {24, 30})
    assert ("Accuracy (%)" in accuracy) == (width > 20)
    assert ("Loss" in loss) == (width > 20)
    assert ("1.307" in loss) == (width > 30)
    assert "smoothed 5 %" in loss or "smoothed, 5 % window" in loss, "so that a change of it is seen"
    assert "0.001" in rows(rate_chart(curves(), **options))[0]


@pytest.mark.parametrize(("width", "others"), [(30, ""), (32, ""), (41, f"{DIAMOND} 53.2 %  ")])
def test_an_evaluation_is_named_before_the_other_curves(width: int, others: str) -> None:
    running = replace(curves(), test_so_far=AccuracySoFar(step=25_000, share=0.5, accuracy=0.4, margin=0.05))
    legend = rows(accuracy_chart(running, width=width, height=10))[0]
    assert legend.strip() == f"Accuracy (%)  {others}◇ so far 40.0 %"


def test_the_axis_has_a_name_and_the_ends_of_the_epochs_are_marked() -> None:
    chart = rows(loss_chart(curves(), width=88, height=15))
    assert chart[-1].endswith("step · ┊ epoch")
    column = chart[1].index("┊")
    assert all(row[column] == "┊" or is_braille(row[column]) for row in chart[1:-2])
    assert chart[1].count("┊") == 1, "the second epoch ends at the edge"
    many = rows(loss_chart(curves(5000), width=88, height=15))
    assert many[-1].endswith("┊ every 2 epochs")
    assert many[1].count("┊") == 9


@pytest.mark.parametrize("width", range(35, 120, 5))
def test_the_name_of_the_axis_leaves_room_for_the_labels_of_two_ticks(width: int) -> None:
    for points in (40, 140, 300, 500, 940):
        line, labels = rows(loss_chart(curves(points), width=width, height=10))[-2:]
        shown = labels.replace("step", "").replace("· ┊ epoch", "").split()
        assert len(shown) == line.count("┬") >= 2
        assert shown[0] == "0"


def test_the_x_axis_counts_steps_epochs_or_time() -> None:
    def labels(unit: XUnit, data: Curves) -> list[str]:
        return rows(loss_chart(data, width=88, height=15, unit=unit))[-1].split()

    assert labels(XUnit.EPOCH, curves())[-1] == "epoch"
    assert labels(XUnit.EPOCH, curves())[:3] == ["0.0", "0.5", "1.0"]
    assert " ".join(labels(XUnit.TIME, curves())) == "0 1 m 2 m 3 m time · ┊ epoch"
    assert labels(XUnit.TIME, Curves(loss=curves().loss))[-1] == "step", "no time is known"
    paused = Curves(loss=[(1, 2.0), (2, 1.0), (3, 1.0)], train_seconds=[(1, 1.0), (2, 9.0), (3, 10.0)])
    chart = loss_chart(paused, width=60, height=15, unit=XUnit.TIME, smoothing=0)
    assert last_row_with_curve(chart, column=40) < last_row_with_curve(chart, column=58)


def test_the_cursor_is_a_line_across_the_chart_with_a_foot() -> None:
    chart = rows(loss_chart(curves(), width=88, height=15, cursor=20_000))
    column = chart[-2].index("▲")
    assert chart[1][column] == "│"
    assert "▲" not in str(loss_chart(curves(), width=88, height=15, cursor=2_000, zoom=2)), "it is not shown"


def test_the_learning_rate_has_a_chart_of_its_own() -> None:
    chart = rows(rate_chart(curves(), width=60, height=6))
    assert "Learning rate" in chart[0]
    assert "0.001" in chart[0]
    assert sum(map(is_braille, "".join(chart[1:]))) > 40
    assert [row.split("┤")[0].strip() for row in chart if "┤" in row] == ["0.001"], "it is constant"
    falling = replace(curves(), learning_rate=[(5, 0.119), (25_000, 0.0903)])
    chart = rows(rate_chart(falling, width=60, height=6))
    assert [row.split("┤")[0].strip() for row in chart if "┤" in row] == ["0.119", "0.0903"], "its ends"


def test_the_axes_carry_round_numbers() -> None:
    chart = rows(loss_chart(curves(), width=88, height=15))
    assert chart[-1].removesuffix("step · ┊ epoch").split() == ["0", "5k", "10k", "15k", "20k"]
    assert [row.split("┤")[0].strip() for row in chart if "┤" in row] == ["2.2", "2.0", "1.8", "1.6", "1.4"]


def test_zoom_shows_the_last_part_of_the_steps() -> None:
    chart = loss_chart(curves(), width=88, height=15, zoom=2)
    assert "Loss, steps 18.8k–25k" in rows(chart)[0]
    narrow = accuracy_chart(curves(), width=38, height=12, zoom=2)
    assert rows(narrow)[0].strip() == f"Accuracy (%)  {LINE} 54.7 %  ◆ 53.2 %"
    assert rows(chart)[-1].split() == ["19k", "20k", "21k", "22k", "23k", "24k", "step"]


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
    line = smoothed(losses, share)
    reach = max(1, round(share * count / 2))
    near = np.minimum(reach, np.minimum(np.arange(count), np.arange(count)[::-1]))
    for index in {*range(min(count, 300)), *range(max(0, count - 300), count), *range(0, count, 997)}:
        window = losses[index - near[index] : index + near[index] + 1]
        assert window.min() - 1e-9 <= line[index] <= window.max() + 1e-9
    assert (line[0], line[-1]) == pytest.approx((losses[0], losses[-1]))
    assert count < 1000 or np.abs(np.diff(line)).sum() < np.abs(np.diff(losses)).sum() / 2, "it is smooth"


def test_numpy_is_not_imported_before_the_first_chart() -> None:
    code = (
        "import sys, cifar_tui.app.charts.curves as _\n"
        "sys.exit(not {'numpy', 'torch'}.isdisjoint(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
