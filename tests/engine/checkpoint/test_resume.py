"""A training that goes on from a checkpoint makes the steps that an uninterrupted one makes, to the bit."""

import dataclasses

import pytest
import torch
from cifar_tui.engine.steps.net_steps import NetSteps

from cifar_tui.engine.checkpoint.files import load_training_state
from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.control import RunControl
from cifar_tui.engine.data.dataset import ImageSplit
from cifar_tui.engine.device.precision import precision_of
from cifar_tui.engine.device.select import intra_op_threads
from cifar_tui.engine.events import EpochFinished, LossPoint, LossWindow, Resumed
from cifar_tui.engine.steps.eager import EagerSteps
from cifar_tui.engine.steps.numba.runner import NumbaSteps
from cifar_tui.engine.steps.select import StepBackend
from cifar_tui.engine.training.build import build_training
from cifar_tui.engine.training.trainer import Trainer

STEPS_PER_EPOCH = 210
EAGER = StepBackend(maker="PyTorch", reason="these tests want it")


@pytest.fixture(autouse=True)
def one_thread():
    """As a session trains with tiny batches."""
    with intra_op_threads(1):
        yield


class Training:
    """A trainer that may stop at a step, with what it said and the steps it was evaluated at."""

    def __init__(
        self,
        dataset,
        folder,
        make_steps=None,
        *,
        stop_at=None,
        state=None,
        evaluation_works=True,
        **settings,
    ):
        folder.mkdir(exist_ok=True)
        self.events, self.evaluated = [], []
        self.control = RunControl()
        self.stop_at = stop_at
        config = TrainConfig(
            **{"epochs": 3, "log_every": 70, "learning_rate": 0.01, "weight_decay": 0.001, **settings}
        )
        torch.manual_seed(config.seed)
        learner = build_training(
            config,
            EAGER,
            num_classes=10,
            train=dataset.train,
            say=lambda text: None,
            began_in=precision_of((state or {}).get("steps")),
        )
        self.net = learner.net
        steps = learner.steps
        if make_steps is not None:
            steps = make_steps(
                net=self.net, optimizer=learner.optimizer, train=dataset.train, batch_size=config.batch_size
            )
        self.trainer = Trainer(
            config=config,
            net=self.net,
            optimizer=learner.optimizer,
            train=dataset.train,
            samples=dataset.test.images[:8],
            folder=folder,
            emit=self.events.append,
            control=self.control,
            evaluate=self.evaluate,
            interactive=False,
            steps=StoppingSteps(self, steps),
        )
        self.evaluation_works = evaluation_works
        if state is not None:
            torch.manual_seed(12345)  # whatever the generator was used for in the meantime
            self.trainer.load_state_dict(state)
        if stop_at == 0:
            self.control.request("stop")
        self.finished = self.trainer.fit()

    def evaluate(self, step):
        if self.evaluation_works:
            self.evaluated.append(step)
        else:
            self.control.request("stop")
        return self.evaluation_works

    def losses(self):
        return [
            (type(event).__name__, event.step, event.loss)
            for event in self.events
            if isinstance(event, LossPoint | LossWindow | EpochFinished)
        ]


class StoppingSteps:
    """Steps of which a result ends where the training is to stop."""

    def __init__(self, training, steps):
        self.training = training
        self.steps = steps
        self.images_per_point = steps.images_per_point

    def over(self, order, *, at_most):
        for result in self.steps.over(order, at_most=lambda: min(at_most(), self.steps_to_stop())):
            if len(result.losses) == self.steps_to_stop():
                self.training.control.request("stop")
            yield result

    def state_dict(self):
        return self.steps.state_dict()

    def load_state_dict(self, state):
        self.steps.load_state_dict(state)

    def steps_to_stop(self):
        stop_at, step = self.training.stop_at, self.training.trainer.step
        return stop_at - step if stop_at else 10**9


def first_images(dataset, count):
    """`dataset` with so many training images."""
    train = ImageSplit(images=dataset.train.images[:count], targets=dataset.train.targets[:count])
    return dataclasses.replace(dataset, train=train)


@pytest.fixture(params=[NetSteps, EagerSteps, NumbaSteps])
def make_steps(request):
    return request.param


@pytest.fixture
def uninterrupted(noise_dataset, tmp_path, make_steps):
    return Training(noise_dataset, tmp_path / "uninterrupted", make_steps)


def assert_equal(uninterrupted, parts):
    assert parts[-1].finished.completed
    losses = [loss for part in parts for loss in part.losses()]
    assert losses == uninterrupted.losses()
    assert parts[-1].finished.final_loss == uninterrupted.finished.final_loss
    assert [step for part in parts for step in part.evaluated] == uninterrupted.evaluated
    expected = uninterrupted.net.state_dict()
    for name, tensor in parts[-1].net.state_dict().items():
        assert torch.equal(tensor, expected[name]), name


@pytest.mark.parametrize("stop_at", [0, 1, 33, 50, 70, 209, 210, 211, 420, 425, 629])
def test_every_loss_and_every_weight_is_that_of_an_uninterrupted_training(
    noise_dataset, tmp_path, make_steps, uninterrupted, stop_at
):
    first = Training(noise_dataset, tmp_path / "run", make_steps, stop_at=stop_at)
    assert (first.finished.completed, first.finished.step) == (False, stop_at)
    state = load_training_state(tmp_path / "run" / "last.pt")
    second = Training(noise_dataset, tmp_path / "run", make_steps, state=state)
    (resumed,) = [event for event in second.events if isinstance(event, Resumed)]
    assert resumed.step == stop_at
    assert_equal(uninterrupted, [first, second])


def test_a_training_that_is_stopped_again_and_again_comes_out_the_same(
    noise_dataset, tmp_path, make_steps, uninterrupted
):
    parts, state = [], None
    for stop_at in (7, 8, 140, 210, 330, 421, None):
        parts.append(Training(noise_dataset, tmp_path / "run", make_steps, stop_at=stop_at, state=state))
        state = load_training_state(tmp_path / "run" / "last.pt")
    assert_equal(uninterrupted, parts)


def test_a_checkpoint_from_before_the_sums_had_a_place_of_their_own_is_gone_on_from(
    noise_dataset, tmp_path, make_steps, uninterrupted
):
    first = Training(noise_dataset, tmp_path / "run", make_steps, stop_at=143)
    state = load_training_state(tmp_path / "run" / "last.pt")
    state = {name: value for name, value in state.items() if name not in {"meter", "steps"}} | state["meter"]
    second = Training(noise_dataset, tmp_path / "run", make_steps, state=state)
    assert_equal(uninterrupted, [first, second])


def test_a_checkpoint_whose_epochs_had_a_step_more_comes_to_its_end(noise_dataset, tmp_path):
    settings = {"model": "airbench-tiny", "batch_size": 60, "epochs": 2}
    dataset = first_images(noise_dataset, 241)
    Training(dataset, tmp_path / "run", stop_at=5, **settings)
    state = load_training_state(tmp_path / "run" / "last.pt")
    # as when an epoch's last image was trained on
    state["step"], state["steps"]["step"] = 6, 6
    assert Training(dataset, tmp_path / "run", state=state, **settings).finished.completed


def test_an_evaluation_that_a_stop_cancelled_is_made_up_for(
    noise_dataset, tmp_path, make_steps, uninterrupted
):
    first = Training(noise_dataset, tmp_path / "run", make_steps, evaluation_works=False)
    assert first.finished.step == STEPS_PER_EPOCH
    second = Training(
        noise_dataset, tmp_path / "run", make_steps, state=load_training_state(tmp_path / "run" / "last.pt")
    )
    assert_equal(uninterrupted, [first, second])


EVERYTHING = {
    "epochs": 5,
    "model": "airbench-tiny",
    "batch_size": 40,
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
    "low_res_fraction": 0.4,
    "precision": "bf16",
    "channels_last": True,
    "log_every": 7,
}


@pytest.mark.parametrize("averaging", ["none", "ema", "lookahead"])
def test_a_recipe_with_everything_on_comes_out_the_same_too(noise_dataset, tmp_path, monkeypatch, averaging):
    monkeypatch.setattr("cifar_tui.engine.training.build.select_precision", lambda *_: ("bf16", None))
    settings = {**EVERYTHING, "weight_averaging": averaging, "ema_decay": 0.9}
    uninterrupted = Training(noise_dataset, tmp_path / "uninterrupted", **settings)
    assert uninterrupted.finished.step == 105
    parts, state = [], None
    for stop_at in (3, 21, 46, 63, 71, None):
        parts.append(Training(noise_dataset, tmp_path / "run", stop_at=stop_at, state=state, **settings))
        state = load_training_state(tmp_path / "run" / "last.pt")
        # on another day the probe may choose otherwise: the run keeps its own
        monkeypatch.setattr("cifar_tui.engine.training.build.select_precision", lambda *_: ("fp32", None))
    assert_equal(uninterrupted, parts)
    saved = torch.load(tmp_path / "run" / "cifar_net.pth", weights_only=True)
    assert all(torch.equal(tensor, saved[name]) for name, tensor in parts[-1].net.state_dict().items())
    trained = parts[-1].trainer.steps.state_dict()["trained"]
    assert (trained is None) == (averaging == "none")


def test_an_image_left_over_is_not_trained_on_and_a_resumed_training_leaves_out_the_same(
    noise_dataset, tmp_path
):
    settings = {
        "model": "airbench-tiny",
        "batch_size": 60,
        "translate": 1,
        "log_every": 5,
        "lr_schedule": "linear",
    }
    dataset = first_images(noise_dataset, 241)
    uninterrupted = Training(dataset, tmp_path / "uninterrupted", **settings)
    assert (uninterrupted.finished.step, uninterrupted.finished.images) == (12, 720)
    points = [event for event in uninterrupted.events if isinstance(event, LossPoint)]
    assert sum(point.images for point in points) == 720
    parts, state = [], None
    for stop_at in (3, 4, 9, None):
        parts.append(Training(dataset, tmp_path / "run", stop_at=stop_at, state=state, **settings))
        state = load_training_state(tmp_path / "run" / "last.pt")
    assert_equal(uninterrupted, parts)


def test_an_epoch_of_a_plain_recipe_leaves_it_out_too_and_its_accuracy_is_of_the_images_trained_on(
    noise_dataset, tmp_path
):
    settings = {"model": "airbench-tiny", "batch_size": 60, "log_every": 2, "epochs": 1}
    training = Training(first_images(noise_dataset, 241), tmp_path / "run", EagerSteps, **settings)
    points = [event for event in training.events if isinstance(event, LossPoint)]
    (epoch,) = [event for event in training.events if isinstance(event, EpochFinished)]
    right = sum(round(point.accuracy * point.images) for point in points)
    assert epoch.accuracy == pytest.approx(right / 240)
