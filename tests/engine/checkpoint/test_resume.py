"""A training that continues from a checkpoint makes the steps of an uninterrupted one, bit for bit."""

import pytest
import torch

from cifar_tui.engine.checkpoint.files import load_training_state
from cifar_tui.engine.device.select import intra_op_threads
from cifar_tui.engine.events import EpochFinished, LossPoint, LossWindow, Resumed
from tests.engine.made_training import MadeTraining, first_images

STEPS_PER_EPOCH = 70
IMAGES = 4 * STEPS_PER_EPOCH - 3
"""The last batch of an epoch is a single image."""

pytestmark = pytest.mark.usefixtures("one_thread")


class Training(MadeTraining):
    """A training of a few epochs that may stop at a step, or where the test set is evaluated."""

    def __init__(self, dataset, folder, *, stop_at=None, evaluation_works=True, **settings):
        self.stop_at, self.evaluation_works = stop_at, evaluation_works
        settings = {"epochs": 3, "log_every": 30, "learning_rate": 0.01, "weight_decay": 0.001, **settings}
        wrap = lambda runner: StoppingRunner(self, runner)  # noqa: E731 - an argument
        super().__init__(dataset, folder, interactive=False, wrap=wrap, **settings)
        if stop_at == 0:
            self.control.request("stop")
        self.finished = self.trainer.fit()

    def evaluate(self, step):
        if self.evaluation_works:
            return super().evaluate(step)
        self.control.request("stop")
        return False

    def losses(self):
        return [
            (type(event).__name__, event.step, event.loss)
            for event in self.events
            if isinstance(event, LossPoint | LossWindow | EpochFinished)
        ]


class StoppingRunner:
    """A runner with a result that ends at the step where the training is to stop."""

    def __init__(self, training, runner):
        self.training, self.runner = training, runner
        self.chart_images = runner.chart_images
        self.state_dict, self.load_state_dict = runner.state_dict, runner.load_state_dict

    def run(self, order, *, step, max_steps):
        limited = lambda: min(max_steps(), self.steps_to_stop())  # noqa: E731 - an argument
        for result in self.runner.run(order, step=step, max_steps=limited):
            if len(result.losses) == self.steps_to_stop():
                self.training.control.request("stop")
            yield result

    def steps_to_stop(self):
        stop_at, step = self.training.stop_at, self.training.trainer.step
        return stop_at - step if stop_at else 10**9


def resumed(dataset, folder, stops, **settings):
    """The parts of a training that is stopped at each of `stops` and resumed."""
    parts, state = [], None
    for stop_at in (*stops, None):
        parts.append(Training(dataset, folder, stop_at=stop_at, state=state, **settings))
        state = load_training_state(folder / "last.pt")
    return parts


@pytest.fixture(scope="module", params=["eager", "numba"])
def backend(request):
    return request.param


@pytest.fixture(scope="module")
def dataset(noise_dataset):
    return first_images(noise_dataset, IMAGES)


@pytest.fixture(scope="module")
def uninterrupted(dataset, tmp_path_factory, backend):
    with intra_op_threads(1):
        return Training(dataset, tmp_path_factory.mktemp("uninterrupted"), backend=backend)


def assert_equal(uninterrupted, parts):
    assert parts[-1].finished.completed
    losses = [loss for part in parts for loss in part.losses()]
    assert losses == uninterrupted.losses()
    assert parts[-1].finished.final_loss == uninterrupted.finished.final_loss
    assert [step for part in parts for step in part.evaluated] == uninterrupted.evaluated
    expected = uninterrupted.net.state_dict()
    for name, tensor in parts[-1].net.state_dict().items():
        assert torch.equal(tensor, expected[name]), name


@pytest.mark.parametrize("stop_at", [0, 1, 30, 33, 50, 69, 70, 71, 140, 145, 209])
def test_every_loss_and_every_weight_is_that_of_an_uninterrupted_training(
    dataset, tmp_path, backend, uninterrupted, stop_at
):
    first, second = resumed(dataset, tmp_path / "run", [stop_at], backend=backend)
    assert (first.finished.completed, first.finished.step) == (False, stop_at)
    assert [event.step for event in second.of(Resumed)] == [stop_at]
    assert_equal(uninterrupted, [first, second])


def test_a_training_that_is_stopped_again_and_again_is_the_same(dataset, tmp_path, backend, uninterrupted):
    parts = resumed(dataset, tmp_path / "run", [7, 8, 50, 70, 110, 141], backend=backend)
    assert_equal(uninterrupted, parts)


def test_a_cancelled_evaluation_follows_when_the_run_is_resumed(dataset, tmp_path, backend, uninterrupted):
    first = Training(dataset, tmp_path / "run", backend=backend, evaluation_works=False)
    assert first.finished.step == STEPS_PER_EPOCH
    state = load_training_state(tmp_path / "run" / "last.pt")
    second = Training(dataset, tmp_path / "run", backend=backend, state=state)
    assert_equal(uninterrupted, [first, second])


EVERYTHING = {
    "epochs": 4,
    "model": "airbench-tiny",
    "batch_size": 4,
    "optimizer": "muon",
    "learning_rate": 0.1,
    "bias_lr": 1.0,
    "head_lr": 0.5,
    "lr_schedule": "one-cycle",
    "warmup_fraction": 0.3,
    "label_smoothing": 0.2,
    "translate": 2,
    "flip": "random",
    "cutout": 6,
    "class_weights": "balanced",
    "sampler": "weighted",
    "low_res_fraction": 0.4,
    "precision": "bf16",
    "channels_last": True,
    "log_every": 4,
}


@pytest.mark.parametrize("stop_at", [70, 75])
def test_images_drawn_with_replacement_are_drawn_again_the_same(dataset, tmp_path, backend, stop_at):
    uninterrupted = Training(dataset, tmp_path / "uninterrupted", backend=backend, sampler="weighted")
    parts = resumed(dataset, tmp_path / "run", [stop_at], backend=backend, sampler="weighted")
    assert_equal(uninterrupted, parts)


@pytest.mark.parametrize("averaging", ["none", "ema", "lookahead"])
def test_a_recipe_with_everything_on_is_the_same_too(noise_dataset, tmp_path, monkeypatch, averaging):
    monkeypatch.setattr("cifar_tui.engine.training.build.select_precision", lambda *_: ("bf16", None))
    settings = {**EVERYTHING, "weight_averaging": averaging, "ema_decay": 0.9}
    dataset = first_images(noise_dataset, 36)
    uninterrupted = Training(dataset, tmp_path / "uninterrupted", **settings)
    assert uninterrupted.finished.step == 36
    first = Training(dataset, tmp_path / "run", stop_at=3, **settings)
    state = load_training_state(tmp_path / "run" / "last.pt")
    # on another day the probe may choose another precision: the run keeps its own
    monkeypatch.setattr("cifar_tui.engine.training.build.select_precision", lambda *_: ("fp32", None))
    parts = [first]
    for stop_at in (9, 20, 27, 31, None):
        parts.append(Training(dataset, tmp_path / "run", stop_at=stop_at, state=state, **settings))
        state = load_training_state(tmp_path / "run" / "last.pt")
    assert_equal(uninterrupted, parts)
    saved = torch.load(tmp_path / "run" / "cifar_net.pth", weights_only=True)
    assert all(torch.equal(tensor, saved[name]) for name, tensor in parts[-1].net.state_dict().items())
    trained = state["steps"]["trained"]
    assert (trained is None) == (averaging == "none")
    assert state["steps"]["precision"] == "bf16"


def test_an_image_left_over_is_not_trained_on_also_when_resumed(noise_dataset, tmp_path):
    settings = {"model": "airbench-tiny", "batch_size": 8, "log_every": 2, "lr_schedule": "linear"}
    dataset = first_images(noise_dataset, 17)
    uninterrupted = Training(dataset, tmp_path / "uninterrupted", **settings)
    assert (uninterrupted.finished.step, uninterrupted.finished.images) == (6, 48)
    points = uninterrupted.of(LossPoint)
    assert sum(point.images for point in points) == 48
    for epoch in uninterrupted.of(EpochFinished):
        correct = sum(round(p.accuracy * p.images) for p in points if p.epoch == epoch.epoch)
        assert epoch.accuracy == pytest.approx(correct / 16), "of the images trained on"
    assert_equal(uninterrupted, resumed(dataset, tmp_path / "run", [1, 2, 5], **settings))
