"""The dashboard as a whole: form, commands and dialogs, without a terminal."""

import threading

import numpy as np
import pytest

from cifar_tui.app.charts.view import XUnit
from cifar_tui.app.panes.run_charts import Chart
from cifar_tui.app.views.train import PANES
from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.runs import evaluated
from cifar_tui.runs.attached import AttachedRun
from cifar_tui.runs.curves import Curves
from cifar_tui.runs.disk.samples import read_predictions
from cifar_tui.runs.live import LiveRun
from tests.app.panes.pane_app import until
from tests.runs.export.made_runs import made_run
from tests.runs.made_evaluations import evaluate
from tests.runs.made_events import STARTED, point, record


async def test_the_form_starts_with_the_settings_of_the_command_line(app):
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        assert app.dashboard.settings.read() == TrainConfig(epochs=7, data="synthetic")


async def test_a_number_brings_its_pane_to_the_front(app):
    async with app.run_test(size=(80, 24)) as pilot:
        panes = app.dashboard.query_one("#panes").children
        for key, pane in enumerate(PANES, start=1):
            await pilot.press(str(key))
            await until(pilot, lambda pane=pane: [child.id for child in panes if child.display] == [pane])


async def test_keys_of_the_view_reach_the_charts(app):
    async with app.run_test(size=(120, 40)) as pilot:
        charts = app.dashboard.training.charts
        await pilot.press("l", "plus", "plus", "minus", "z", "a", "X")
        assert charts.log_scale
        assert charts.view.zoom == 1
        assert charts.smoothing_level != 2
        assert charts.first == 1
        assert charts.view.unit is XUnit.EPOCH
        losses = Curves(loss=[(step, 1.0) for step in range(100)])
        app.dashboard.training.show_curves(losses)
        await pilot.press("plus", "comma", "x")
        assert charts.view.window is not None
        assert charts.view.cursor is not None
        assert app.focused is app.dashboard.training
        await pilot.press("escape", "full_stop", "full_stop")
        assert (charts.view.cursor, charts.view.window) == (None, None)


async def test_predictions_that_a_slow_disk_hands_over_late_are_shown(app, tmp_path, monkeypatch):
    def text():
        return "\n".join(line.text for line in app.screen._compositor.render_strips())

    arrived = threading.Event()

    def read_late(*arguments, **options):
        arrived.wait()
        return read_predictions(*arguments, **options)

    folder = made_run(tmp_path / "run")
    run = AttachedRun(folder)
    run.start()
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: run.loaded)
        app.presenter.follow(run)
        await until(pilot, lambda: "predicted at step 100" in text())
        monkeypatch.setattr(evaluated, "read_predictions", read_late)
        targets = np.arange(60) % 3
        record(folder, evaluate(folder, targets, targets, step=150, names=("cat", "dog", "ship"), images=0))
        await until(pilot, lambda: "step 150" in text())
        assert "predicted at step 100" in text()
        arrived.set()
        await until(pilot, lambda: "predicted at step 150" in text())
    run.close()


@pytest.mark.parametrize("alpha", [0.0, 0.2])
async def test_the_chart_of_a_run_on_mixed_images_says_so(app, alpha):
    run = LiveRun(TrainConfig(mixup=alpha), checkpoints=app.checkpoints)
    for event in (STARTED, point(1), point(2)):
        run._emit(event)
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        app._show(run, pane="training")
        chart = app.dashboard.query_one("#accuracy-chart", Chart)
        app.presenter.show_curves()
        await until(pilot, lambda: "40.0 %" in chart.plain)
        assert ("mixed" in chart.plain.splitlines()[0]) == bool(alpha)
