"""The training pane says what a run is doing, whatever its phase and however large the pane."""

from dataclasses import replace

import pytest
from textual.pilot import Pilot
from textual.widget import Widget
from textual.widgets import Digits

from cifar_tui.app.charts.view import ChartView, XUnit
from cifar_tui.app.panes.run_charts import Chart, RunCharts
from cifar_tui.app.panes.training import TrainingPane
from cifar_tui.app.widgets.state_line import SIGNS
from cifar_tui.engine.data.registry import ALTERNATIVES
from cifar_tui.engine.events import (
    EvaluationProgress,
    Event,
    LoadingProgress,
    Phase,
    PhaseChanged,
    RunEnded,
    TrainingFinished,
)
from cifar_tui.runs.curves import Curves
from cifar_tui.runs.state import PendingRequest, with_pending
from tests.app.panes.pane_app import (
    PaneApp,
    count_layouts,
    evaluated,
    loaded,
    resized,
    settled,
    state,
    trained,
    until,
)

SIZES = {
    (60, 13): "loss",
    (78, 16): "pair",
    (80, 22): "pair",
    (88, 34): "stack",
    (124, 18): "row",
    (120, 30): "pair and rate",
    (150, 45): "pair and rate",
}
"""Sizes of the pane, and how the charts are arranged there."""


async def show(pilot: Pilot[None], events: list[Event]) -> str:
    pane = pilot.app.query_one(TrainingPane)
    run = state(events)
    pane.show(run.snapshot())
    pane.show_curves(run.curves())
    await settled(pilot)
    return screen(pilot)


def screen(pilot: Pilot[None]) -> str:
    assert isinstance(pilot.app, PaneApp)
    return pilot.app.text()


def download(done: int, seconds: float, total: int | None = 170_000_000) -> LoadingProgress:
    return LoadingProgress(
        time=seconds, stage="downloading cifar-10-python.tar.gz", done=done, total=total, unit="bytes"
    )


async def test_the_pane_says_what_to_press_what_is_synthetic_and_what_went_wrong() -> None:
    error = (
        "CIFAR-10 could not be downloaded (no network): r Retry, f Choose a folder or s Use synthetic images"
    )
    async with PaneApp(TrainingPane()).run_test(size=(78, 16)) as pilot:
        await settled(pilot)
        assert "Press t to train with the current settings" in screen(pilot)
        assert "synthetic shapes, not CIFAR-10" in await show(pilot, loaded(synthetic=True))
        text = await show(pilot, [PhaseChanged(phase=Phase.FAILED), RunEnded(exit_code=3, error=error)])
        assert "✗ failed" in text
        assert error.split()[-1] in text, "the whole sentence"


async def test_every_phase_and_every_pending_request_has_its_own_sign_and_name() -> None:
    assert len({sign for sign, _ in SIGNS.values()}) == len(Phase) + 1, "pausing has the sign of paused"
    async with PaneApp(TrainingPane()).run_test(size=(78, 16)) as pilot:
        for phase in Phase:
            text = await show(pilot, [*trained(1), PhaseChanged(phase=phase)])
            assert f"{SIGNS[phase][0]} {phase.value}" in text
        evaluating = state([*trained(1), PhaseChanged(phase=Phase.EVALUATING)]).snapshot()
        for request in PendingRequest:
            pilot.app.query_one(TrainingPane).show(with_pending(evaluating, request))
            await settled(pilot)
            assert f"{SIGNS[request][0]} {request} · {SIGNS[Phase.EVALUATING][0]} evaluating" in screen(pilot)


async def test_at_every_size_nothing_is_cut_off_and_the_charts_fill_the_room() -> None:
    async with PaneApp(TrainingPane()).run_test(size=(60, 12)) as pilot:
        pane = pilot.app.query_one(TrainingPane)
        await show(pilot, [*trained(), evaluated(final=False)])
        for size, arrangement in SIZES.items():
            await resized(pilot, *size)
            for chart in pane.query(Chart):
                lines = chart.plain.split("\n")
                assert not chart.size.area or (len(lines[0]), len(lines)) == chart.size, size
            text = screen(pilot)
            for part in ("training", "CIFAR-10", "cpu", "1 of 2", "20 %"):
                assert part in text, size
            for part in ("5,000 of 12,500", "40 %") if size[1] >= 16 else ():
                assert part in text, size
            for part in ("4,000 images/s now", "trained for 5 s", "20 s left", "train 40.0 %", "loss 1.398"):
                assert part in text, size
            assert "best @ epoch 2" in text
            digits = [figure.value for figure in pane.query(Digits) if figure.region.area]
            assert digits == ["53.50 %", "20 s"][: 2 if size[0] >= 120 else size[1] >= 16], size
            for widget in pane.walk_children(Widget):
                if widget.display and widget.region.area:
                    assert pane.content_region.contains_region(widget.region), (size, widget)
            assert "0" in pane.query_one("#loss-chart", Chart).plain.splitlines()[-1]
            loss, accuracy, rate = (
                pane.query_one(f"#{name}-chart").region for name in ("loss", "accuracy", "rate")
            )
            beside, below = accuracy.x > loss.right, accuracy.y > loss.bottom
            assert loss.area
            assert {
                "loss": not accuracy.area and not rate.area,
                "pair": beside and accuracy.y == loss.y and not rate.area,
                "pair and rate": beside and rate.y > loss.bottom and rate.right == accuracy.right,
                "row": beside and rate.x > accuracy.right and rate.y == loss.y,
                "stack": below and rate.y > accuracy.bottom and accuracy.x == rate.x,
            }[arrangement], size


async def test_where_not_all_charts_fit_the_others_take_their_place() -> None:
    async with PaneApp(TrainingPane()).run_test(size=(60, 13)) as pilot:
        await show(pilot, trained())
        for title in ("Accuracy (%)", "Learning rate", "Loss"):
            pilot.app.query_one(RunCharts).next_chart()
            await until(pilot, lambda title=title: title in screen(pilot))
            assert len([chart for chart in pilot.app.query(Chart) if chart.region.area]) == 1


async def test_in_the_smallest_pane_the_cursor_leaves_room_for_a_chart() -> None:
    async with PaneApp(TrainingPane()).run_test(size=(60, 13)) as pilot:
        text = await show(pilot, trained())
        assert text.count("20 s left") == 1
        pilot.app.query_one(RunCharts).toggle_cursor()
        await until(pilot, lambda: "step 5,000 · epoch 0.40" in screen(pilot) and "▲" in screen(pilot))


async def test_what_decides_is_large_and_kept_beside_the_best(monkeypatch: pytest.MonkeyPatch) -> None:
    async with PaneApp(TrainingPane()).run_test(size=(120, 30)) as pilot:
        text = await show(pilot, trained())
        assert "test · not evaluated yet" in text
        test, left = pilot.app.query(Digits)
        assert left.value == "20 s"
        better, worse = evaluated((400, 600)), evaluated((400, 471))
        text = await show(pilot, [*trained(), better, worse])
        assert (test.value, test.region.height) == ("43.55 %", 3)
        assert "test now · best 50.00 % @ epoch 2" in text
        layouts = count_layouts(pilot.app, monkeypatch)
        await show(pilot, [*trained(99), better, worse])
        assert layouts == []


async def test_on_few_columns_the_label_of_the_test_accuracy_leaves_room_for_the_other_figures() -> None:
    async with PaneApp(TrainingPane()).run_test(size=(80, 16)) as pilot:
        better, worse = evaluated((400, 600)), evaluated((400, 471))
        for evaluations, label in (
            ((), "test · not evaluated "),
            ((better,), "test · best @ epoch 2 "),
            ((better, worse), "best 50.00 % @ ep. 2 "),
        ):
            text = await show(pilot, [*trained(), *evaluations])
            assert label in text
            for end in ("20 %", "40 %", "loss 1.398 (smoothed) · lr 0.001", "trained for 5 s"):
                assert end in text, label


@pytest.mark.parametrize(
    ("completed", "said", "not_said"),
    [
        (True, ("✓ done", "trained for", "3,333 images/s whole run"), ("■", "now", "left")),
        (False, ("■ stopped at step 5,000 of 25,000", "trained for"), ("done", "✓", "left")),
    ],
)
async def test_a_run_that_has_ended_says_how(
    completed: bool, said: tuple[str, ...], not_said: tuple[str, ...]
) -> None:
    end = TrainingFinished(
        completed=completed, epoch=1, step=5_000, train_seconds=6.0, images=20_000, final_loss=1.0
    )
    async with PaneApp(TrainingPane()).run_test(size=(120, 30)) as pilot:
        text = await show(pilot, [*trained(), end, PhaseChanged(phase=Phase.DONE)])
        assert all(part in text for part in said)
        assert not any(part in text for part in not_said)
        await pilot.resize_terminal(78, 16)
        await until(pilot, lambda: all(part in screen(pilot) for part in said))


async def test_a_paused_and_a_crashed_run_claim_no_speed() -> None:
    async with PaneApp(TrainingPane()).run_test(size=(78, 16)) as pilot:
        text = await show(pilot, [*trained(), PhaseChanged(phase=Phase.PAUSED, message="the loss is high")])
        assert "‖ paused" in text
        assert "the loss is high" in text
        assert "images/s" not in text
        text = await show(pilot, [*trained(), PhaseChanged(phase=Phase.CRASHED)])
        assert "trained for 5 s" in text
        assert "left" not in text


async def test_the_view_of_the_charts_changes() -> None:
    async with PaneApp(TrainingPane()).run_test(size=(150, 45)) as pilot:
        await show(pilot, trained())
        charts, chart = pilot.app.query_one(RunCharts), pilot.app.query_one("#loss-chart", Chart)
        charts.log_scale = True
        charts.cycle_smoothing()
        charts.zoom(1)
        await until(pilot, lambda: "Loss, log, steps 2.5k–5k" in chart.plain)
        assert "smoothed, 20 % window" in chart.plain
        charts.pan(-1)
        await until(pilot, lambda: "steps 1.88k–4.38k" in chart.plain)
        charts.cycle_smoothing()
        charts.zoom(-1)
        charts.zoom(-1)
        charts.log_scale = False
        await until(pilot, lambda: "smoothed" not in chart.plain)
        assert "log" not in chart.plain
        assert "steps" not in chart.plain
        charts.cycle_unit()
        await until(pilot, lambda: chart.plain.rstrip().endswith("epoch"))
        assert charts.view.unit is XUnit.EPOCH


async def test_the_cursor_moves_by_arrows_and_mouse_reads_out_every_chart_and_goes_with_the_run() -> None:
    async with PaneApp(TrainingPane()).run_test(size=(150, 45)) as pilot:
        pane, charts = pilot.app.query_one(TrainingPane), pilot.app.query_one(RunCharts)
        await show(pilot, trained())
        pane.focus()
        charts.toggle_cursor()
        await until(
            pilot, lambda: "step 5,000 · epoch 0.40 · 5 s · loss 1.385 · train 40.0 %" in screen(pilot)
        )
        assert sum("▲" in chart.plain for chart in charts.query(Chart)) == 3
        await pilot.press("left", "shift+left", "right")
        await until(pilot, lambda: charts.view.cursor is not None and 3_500 < charts.view.cursor < 4_500)
        await pilot.click("#accuracy-chart", offset=(20, 5))
        await until(pilot, lambda: charts.view.cursor is not None and charts.view.cursor < 2_500)
        charts.toggle_cursor()
        await until(pilot, lambda: "▲" not in screen(pilot) and "epoch 0." not in screen(pilot))
        charts.zoom(1)
        await pilot.press("left")
        await until(pilot, lambda: charts.view.window is not None)
        pane.show_curves(Curves())
        assert charts.view == ChartView()


async def load(pilot: Pilot[None], *steps: LoadingProgress) -> str:
    run = state([PhaseChanged(phase=Phase.LOADING)])
    for progress in steps:
        run.apply(progress)
        pilot.app.query_one(TrainingPane).show(run.snapshot())
    await settled(pilot)
    return screen(pilot)


async def test_loading_shows_the_progress_the_speed_of_the_last_seconds_and_the_time_left() -> None:
    async with PaneApp(TrainingPane()).run_test(size=(78, 16)) as pilot:
        text = await load(pilot, *(download(10_000_000 * n, 100.0 + n) for n in range(3)))
        assert "downloading cifar-10-python.tar.gz" in text
        assert "20.0 MB of 170.0 MB · 10.0 MB/s · 15 s left" in text
        assert "11 %" in text
        text = await load(pilot, *(download(20_000_000 + 1_000_000 * n, 102.0 + n) for n in range(10)))
        assert "29.0 MB of 170.0 MB · 1.0 MB/s" in text
        text = await load(pilot, download(10_000_000, 120.0))
        assert "/s" not in text, "it started again"
        stage = LoadingProgress(stage="decoding images", done=1200, total=60_000, unit="images", time=130.0)
        text = await load(pilot, stage)
        assert "1,200 of 60,000 images" in text
        assert "/s" not in text, "it is another stage"
        text = await load(pilot, LoadingProgress(stage="listing files", done=1, total=None, unit="files"))
        assert "1 file " in text
        text = await load(pilot, download(5_000_000, 140.0, total=None))
        assert "5.0 MB" in text
        assert "%" not in text


async def test_a_slow_server_is_told_below_the_progress() -> None:
    note = f"the server is slow (66 kB/s, about 43 min left): wait, or stop and {ALTERNATIVES}"
    async with PaneApp(TrainingPane()).run_test(size=(78, 16)) as pilot:
        text = await load(pilot, replace(download(1_000_000, 100.0), note=note))
        assert note in " ".join(text.replace("│", " ").split())


async def test_a_resumed_run_shows_how_its_images_load_and_then_its_charts_again() -> None:
    resumed = [*trained(), PhaseChanged(phase=Phase.LOADING)]
    async with PaneApp(TrainingPane()).run_test(size=(78, 16)) as pilot:
        text = await show(pilot, [*resumed, download(20_000_000, 100.0)])
        assert "20.0 MB of 170.0 MB" in text
        assert "Batch" not in text
        text = await show(pilot, [*resumed, download(20_000_000, 100.0), *loaded()[-1:]])
        assert "20.0 MB" not in text
        assert "Batch 5,000 of 12,500" in text


@pytest.mark.parametrize("size", [(78, 11), (150, 45)])
async def test_an_evaluation_shows_its_progress(size: tuple[int, int]) -> None:
    events = [
        *trained(),
        PhaseChanged(phase=Phase.EVALUATING),
        EvaluationProgress(done=3_000, total=10_000, correct=1_500, batch=6, batches=20),
    ]
    async with PaneApp(TrainingPane()).run_test(size=size) as pilot:
        text = await show(pilot, events)
        assert "Test batch 6 of 20" in text
        assert "30 %" in text
        stopped = [*events, PhaseChanged(phase=Phase.DONE)]
        assert "Test batch" not in await show(pilot, stopped), "it was given up"
