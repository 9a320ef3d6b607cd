"""The dashboard as a whole: form, commands and dialogs, without a terminal."""

from cifar_tui.app.views.train import PANES
from cifar_tui.engine.config.schema import TrainConfig
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
        training = app.dashboard.training
        await pilot.press("l", "plus", "plus", "minus", "z", "a")
        assert training.log_scale
        assert training.zoom == 1
        assert training.smoothing_level != 2
        assert training.accuracy_first
