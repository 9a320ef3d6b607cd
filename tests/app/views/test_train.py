"""The dashboard as a whole: form, commands and dialogs, without a terminal."""

from cifar_tui.app.charts.view import XUnit
from cifar_tui.app.views.train import PANES
from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.runs.state import Curves
from tests.app.views.runs_app import until


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
