"""From the list of images of a finished run to the training images nearest to one of them."""

from cifar_tui.app.dialogs.picture import PictureScreen
from cifar_tui.app.launch import Attach, Train
from cifar_tui.app.views.results import ResultsScreen
from cifar_tui.app.widgets.nearest_panel import NearestPictures
from cifar_tui.engine.config.schema import TrainConfig
from tests.app.panes.pane_app import settled, until


async def test_a_finished_run_shows_them_and_a_new_run_frees_their_memory(finished_run, app, started):
    async with app.run_test(size=(120, 40)) as pilot:
        await settled(pilot)
        app.start(Attach(folder=finished_run.folder, config=TrainConfig()))
        await until(pilot, lambda: app.presenter.run is not None and app.presenter.run.loaded)
        await until(pilot, lambda: app.presenter.run.results() is not None)
        app.action_results()
        await until(pilot, lambda: isinstance(app.screen, ResultsScreen))
        await settled(pilot)
        await pilot.press("3")
        await settled(pilot)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, PictureScreen))
        await until(pilot, lambda: app.screen.query_one(NearestPictures)._found)
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, ResultsScreen))
        weights = app.presenter.run.saved_weights()
        assert app.finder.knows(weights)
        app.start(Train(config=TrainConfig()))
        assert len(started.trained) == 1
        assert not app.finder.knows(weights)
