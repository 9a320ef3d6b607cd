"""Samples in Train: the batch stays while training changes its predictions; `w` shows only the wrong ones."""

from types import SimpleNamespace

import pytest

from cifar_tui.app.panes.samples import SamplesPane
from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.events import DataLoaded, SamplesPredicted
from cifar_tui.runs.attached import AttachedRun
from cifar_tui.runs.disk.event_log import EventLog
from cifar_tui.runs.disk.samples import write_samples
from cifar_tui.runs.disk.store import write_config
from cifar_tui.runs.live import LiveRun
from tests.app.panes.pane_app import settled, until
from tests.runs.made_events import STARTED

SAMPLES = 64


class Training:
    """A run at work whose predictions the test makes."""

    def __init__(self, app, dataset, checkpoints):
        self.app, self.step = app, 0
        self.targets = dataset.test.targets.tolist()[:SAMPLES]
        self.start(dataset, checkpoints)
        loaded = DataLoaded(
            title="noise", synthetic=True, class_names=dataset.class_names, train_images=840, test_images=200
        )
        for event in (loaded, STARTED):
            self.emit(event)
        app.presenter.run = self.run

    def start(self, dataset, checkpoints):
        """Make the run."""
        self.run = LiveRun(TrainConfig(), checkpoints=checkpoints)
        self.run._images.session = SimpleNamespace(dataset=dataset)
        self.emit = self.run._emit

    def end(self):
        """Let go of it."""

    def predict(self, *, wrong):
        """Predict all images right but those at `wrong`."""
        self.step += 100
        predicted = [(target + (k in wrong)) % 10 for k, target in enumerate(self.targets)]
        self.emit(SamplesPredicted(step=self.step, predicted=predicted, confidences=[0.5] * SAMPLES))

    @property
    def pane(self):
        return self.app.dashboard.query_one(SamplesPane)

    async def shows(self, pilot, indices, *words):
        await until(
            pilot,
            lambda: (
                self.pane.indices == indices
                and all(word in str(self.pane.border_title) for word in (*words, f"step {self.step:,}"))
            ),
        )


class TrainingElsewhere(Training):
    """The same, followed through its folder."""

    def start(self, dataset, checkpoints):
        write_config(checkpoints, TrainConfig(data="synthetic"))
        write_samples(checkpoints, dataset.test)
        self.log = EventLog(checkpoints)
        self.emit = self.log.append
        self.run = AttachedRun(checkpoints)
        self.run.start()

    def end(self):
        self.run.close()
        self.log.close()


@pytest.fixture(params=[Training, TrainingElsewhere])
def training(request, app, noise_dataset, tmp_path):
    training = request.param(app, noise_dataset, tmp_path)
    yield training
    training.end()


async def test_the_batch_stays_while_its_predictions_change(app, training):
    async with app.run_test(size=(120, 40)) as pilot:
        training.predict(wrong=range(SAMPLES))
        await training.shows(pilot, (0, 1, 2, 3), "1/50")
        await pilot.press("right_square_bracket", "right_square_bracket")
        await training.shows(pilot, (8, 9, 10, 11), "3/50")
        labels = training.pane.query_one("#labels")
        for wrong, count in (((8, 9), 2), ((), 0), ((11,), 1)):
            training.predict(wrong=wrong)
            await training.shows(pilot, (8, 9, 10, 11), "3/50")
            assert labels.plain.count("✗ wrong") == count


async def test_w_shows_the_wrong_ones_only_which_stay_when_they_become_right(app, training):
    async with app.run_test(size=(120, 40)) as pilot:
        training.predict(wrong=(1, 9, 10, 20, 30, 40))
        await training.shows(pilot, (0, 1, 2, 3))
        await pilot.press("right_square_bracket", "right_square_bracket", "w")
        await training.shows(pilot, (1, 9, 10, 20), "wrong only · 1/2")
        await pilot.press("right_square_bracket")
        await training.shows(pilot, (30, 40), "wrong only · 2/2")
        await pilot.press("right_square_bracket")
        await training.shows(pilot, (1, 9, 10, 20), "wrong only · 1/2")

        training.predict(wrong=(20, 30, 31, 32, 40, 41))
        await training.shows(pilot, (1, 9, 10, 20), "wrong only")
        labels = training.pane.query_one("#labels")
        assert (labels.plain.count("✓ right"), labels.plain.count("✗ wrong")) == (3, 1)
        await pilot.press("right_square_bracket")
        await training.shows(pilot, (20, 30, 31, 32), "wrong only · 1/2")
        await pilot.press("left_square_bracket")
        await training.shows(pilot, (40, 41), "wrong only · 2/2")
        await pilot.press("w")
        await training.shows(pilot, (40, 41, 42, 43), "11/50")


async def test_without_a_wrong_prediction_w_says_so(app, training, monkeypatch):
    said = []
    monkeypatch.setattr(app, "notify", lambda text, **_: said.append(text))
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("w")
        assert said == ["No wrong predictions to show."]
        training.predict(wrong=())
        await training.shows(pilot, (0, 1, 2, 3))
        await pilot.press("w")
        await settled(pilot)
        assert len(said) == 2
        assert "wrong only" not in str(training.pane.border_title)


async def test_a_click_on_a_row_of_the_table_puts_the_cursor_there(app, training):
    async with app.run_test(size=(120, 40)) as pilot:
        training.predict(wrong=())
        await training.shows(pilot, (0, 1, 2, 3))
        await pilot.press("3")
        await settled(pilot)
        assert await pilot.click("#labels", offset=(3, 3))
        await settled(pilot)
        assert training.pane.value_to_copy().startswith("image 2 · GroundTruth ")
