"""The training pane says what a run is doing, whatever its phase and however large the pane."""

import pytest
from textual.pilot import Pilot
from textual.renderables.digits import Digits as DigitsRenderable
from textual.widget import Widget
from textual.widgets import Digits

from cifar_tui.app.panes.training import Chart, TrainingPane
from cifar_tui.app.widgets.figures import FigureRows
from cifar_tui.app.widgets.state_line import SIGNS
from cifar_tui.engine.events import (
    EvaluationProgress,
    Event,
    LoadingProgress,
    Phase,
    PhaseChanged,
    RunEnded,
)
from cifar_tui.runs.state import PendingRequest, with_pending
from tests.app.panes.pane_app import PaneApp, count_layouts, evaluated, loaded, settled, state, trained, until

SIZES = {
    (78, 16): "loss",
    (80, 22): "pair",
    (88, 34): "stack",
    (120, 30): "pair",
    (150, 45): "pair",
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
            await pilot.resize_terminal(*size)
            await until(pilot, lambda size=size: pane.outer_size == size)
            await settled(pilot)
            for chart in pane.query(Chart):
                lines = chart.plain.split("\n")
                assert not chart.size.area or (len(lines[0]), len(lines)) == chart.size, size
            text = screen(pilot)
            for part in ("training", "CIFAR-10", "cpu", "1 of 2", "5,000 of 12,500", "20 %", "40 %"):
                assert part in text, size
            for part in ("4,000 images/s", "5 s elapsed", "20 s left"):
                assert part in text, size
            for widget in pane.walk_children(Widget):
                if widget.display and widget.region.area:
                    assert pane.content_region.contains_region(widget.region), (size, widget)
            assert "0" in pane.query_one("#loss-chart", Chart).plain.splitlines()[-1]
            loss, accuracy = (pane.query_one(f"#{name}-chart").region for name in ("loss", "accuracy"))
            assert loss.area
            assert {
                "loss": not accuracy.area,
                "pair": accuracy.x > loss.right and accuracy.y == loss.y,
                "stack": accuracy.y > loss.bottom and accuracy.x == loss.x,
            }[arrangement], size


async def test_where_one_chart_fits_the_other_takes_its_place() -> None:
    async with PaneApp(TrainingPane()).run_test(size=(78, 16)) as pilot:
        await show(pilot, trained())
        pilot.app.query_one(TrainingPane).swap_chart()
        await until(pilot, lambda: "Accuracy" in screen(pilot))
        assert pilot.app.query_one("#accuracy-chart").region.area
        assert not pilot.app.query_one("#loss-chart").region.area


async def test_the_loss_is_large_where_there_is_height_and_a_figure_where_not() -> None:
    async with PaneApp(TrainingPane()).run_test(size=(78, 16)) as pilot:
        await show(pilot, trained())
        assert pilot.app.query_one(Digits).region.height == 3
        assert pilot.app.query_one(Digits).value == "1.385"
        await pilot.resize_terminal(78, 11)
        await until(pilot, lambda: "loss 1.385" in screen(pilot))
        assert not pilot.app.query_one(Digits).region.area


async def test_another_loss_neither_lays_the_screen_out_nor_is_cut_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with PaneApp(TrainingPane()).run_test(size=(120, 30)) as pilot:
        await show(pilot, trained())
        digits, rows = pilot.app.query_one(Digits), pilot.app.query_one(FigureRows)
        layouts, left = count_layouts(pilot.app, monkeypatch), rows.region.x
        digits.update("2.222")
        await settled(pilot)
        assert layouts == []
        digits.update("11.111")
        await settled(pilot)
        assert rows.region.x == left
        digits.update("8.88e+08")
        await settled(pilot)
        assert digits.region.width == DigitsRenderable.get_width("8.88e+08")


async def test_the_view_of_the_charts_changes() -> None:
    async with PaneApp(TrainingPane()).run_test(size=(150, 45)) as pilot:
        await show(pilot, trained())
        pane, chart = pilot.app.query_one(TrainingPane), pilot.app.query_one("#loss-chart", Chart)
        pane.toggle_log_scale()
        pane.cycle_smoothing()
        pane.zoom_in()
        await until(pilot, lambda: "Loss, log, steps 2.5k–5k" in chart.plain)
        assert "smoothed over 20 %" in chart.plain
        pane.cycle_smoothing()
        pane.zoom_out()
        pane.zoom_out()
        pane.toggle_log_scale()
        await until(pilot, lambda: "smoothed" not in chart.plain)
        assert "log" not in chart.plain
        assert "steps" not in chart.plain


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
        text = await load(pilot, download(5_000_000, 140.0, total=None))
        assert "5.0 MB" in text
        assert "%" not in text


@pytest.mark.parametrize("size", [(78, 11), (150, 45)])
async def test_an_evaluation_shows_its_progress(size: tuple[int, int]) -> None:
    events = [
        *trained(),
        PhaseChanged(phase=Phase.EVALUATING),
        EvaluationProgress(done=3200, total=10_000),
    ]
    async with PaneApp(TrainingPane()).run_test(size=size) as pilot:
        text = await show(pilot, events)
        assert "Evaluated 3,200 of 10,000" in text
        assert "32 %" in text
        stopped = [*events, PhaseChanged(phase=Phase.DONE)]
        assert "Evaluated" not in await show(pilot, stopped), "it was given up"
