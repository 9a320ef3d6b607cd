"""The range test beside a plain loop, and what ends it."""

import dataclasses
import itertools
import math

import pytest
import torch
from torch import nn, optim
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.control import RunControl
from cifar_tui.engine.data.dataset import normalize
from cifar_tui.engine.errors import CancelledError, ConfigError
from cifar_tui.engine.events import DataLoaded, Message
from cifar_tui.engine.models.registry import create_model
from cifar_tui.engine.optim.lr_range import LrRange
from cifar_tui.engine.training.range_test import RangeTestSession, range_points
from tests.engine.made_training import build_setup, first_images


def points_of(dataset, lr_range, **settings):
    settings = {"epochs": 1, **settings}
    setup = build_setup(dataset, **settings)
    return list(range_points(setup, TrainConfig(**settings), lr_range)), setup


def plain_loop(split, *, learning_rate, low, high, steps, batch_size=4):
    """The tutorial's loop with the next rate before each step: the rates, the losses and the net."""
    torch.manual_seed(0)
    net = create_model("net", num_classes=10)
    optimizer = optim.SGD(net.parameters(), lr=learning_rate, momentum=0.9)
    loader = DataLoader(
        TensorDataset(normalize(split.images), split.targets), batch_size=batch_size, shuffle=True
    )
    rates, losses = [], []
    batches = itertools.chain.from_iterable(loader for _ in itertools.count())
    for step, (inputs, targets) in zip(range(steps), batches, strict=False):
        factor = low * (high / low) ** (step / (steps - 1)) / learning_rate
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * factor
        optimizer.zero_grad()
        loss = functional.cross_entropy(net(inputs), targets)
        loss.backward()
        optimizer.step()
        rates.append(learning_rate * factor)
        losses.append(loss.item())
    return rates, losses, net


@pytest.mark.usefixtures("one_thread")
def test_losses_and_weights_are_those_of_a_plain_loop_to_the_bit(noise_dataset):
    few = first_images(noise_dataset, 100)  # an epoch has 25 steps
    lr_range = LrRange(low=1e-5, high=0.05, steps=60)
    rates, losses, net = plain_loop(few.train, learning_rate=0.001, low=1e-5, high=0.05, steps=60)
    points, setup = points_of(few, lr_range)
    assert [point.step for point in points] == list(range(1, 61))
    assert [point.learning_rate for point in points] == rates
    assert [point.loss for point in points] == losses
    for name, tensor in setup.net.state_dict().items():
        assert torch.equal(tensor, net.state_dict()[name]), name


def test_the_rates_of_biases_and_head_keep_their_proportions_and_no_schedule_acts(noise_dataset):
    few = first_images(noise_dataset, 80)
    settings = {"bias_lr": 0.004, "head_lr": 0.0005, "lr_schedule": "linear", "warmup_fraction": 0.5}
    setup = build_setup(few, epochs=1, **settings)
    lr_range = LrRange(low=1e-4, high=1e-2, steps=20)
    for step, _ in enumerate(range_points(setup, TrainConfig(epochs=1, **settings), lr_range)):
        rates = [group["lr"] for group in setup.optimizer.param_groups]
        assert rates == pytest.approx([lr_range.rate(step) * factor for factor in (1, 4, 0.5)])


def test_it_ends_where_the_loss_is_not_finite(noise_dataset):
    points, _ = points_of(noise_dataset, LrRange(low=1.0, high=100.0, steps=200))
    assert len(points) < 200
    assert not math.isfinite(points[-1].loss) or points[-1].smoothed > 4 * min(p.smoothed for p in points)
    assert all(math.isfinite(point.loss) for point in points[:-1])


class Exploding(nn.Module):
    """Has a finite loss for `steps` steps, then logits of NaN, or of minus infinity for all but one class."""

    def __init__(self, steps, logit):
        super().__init__()
        self.linear = nn.Linear(3 * 32 * 32, 10)
        self.left, self.logit = steps, logit

    def forward(self, inputs):
        self.left -= 1
        logits = self.linear(inputs.flatten(1)) * 0.0
        return logits if self.left >= 0 else logits.index_fill(1, torch.arange(9), self.logit)


@pytest.mark.parametrize("steps", [0, 7])
@pytest.mark.parametrize("logit", [math.nan, -math.inf])
def test_a_loss_that_is_not_finite_is_the_last_point(noise_dataset, steps, logit):
    setup = build_setup(noise_dataset, epochs=1)
    setup.runner._forward = Exploding(steps, logit)
    points = list(range_points(setup, TrainConfig(epochs=1), LrRange(steps=50)))
    assert len(points) == steps + 1
    assert not math.isfinite(points[-1].loss)


class RangeTest:
    """A session on a folder of images, with what it reports."""

    def __init__(self, tmp_path, data, **settings):
        self.events, self.points, self.control = [], [], RunControl()
        config = TrainConfig(
            **{"data": str(data), "data_dir": str(tmp_path / "data"), "device": "cpu", **settings}
        )
        self.session = RangeTestSession(config=config, emit=self.events.append, control=self.control)

    def run(self, **lr_range):
        self.session.test(LrRange(**lr_range), lambda point, _: self.points.append(point))

    def of(self, kind):
        return [event for event in self.events if isinstance(event, kind)]


def test_a_session_loads_builds_and_tests_but_writes_no_run(tmp_path, image_folder, monkeypatch):
    monkeypatch.chdir(tmp_path)
    test = RangeTest(tmp_path, image_folder, batch_size=8)
    test.run(low=1e-4, high=0.1, steps=20)
    assert [point.step for point in test.points] == list(range(1, 21))
    assert test.of(DataLoaded)[0].train_images == 24
    assert any(event.text.startswith("backend eager: ") for event in test.of(Message))
    assert {path.name for path in tmp_path.iterdir()} <= {"images", "data"}


def test_it_sees_the_training_images_only_and_not_those_held_out(tmp_path, image_folder):
    whole = RangeTest(tmp_path, image_folder, batch_size=8)
    part = RangeTest(tmp_path, image_folder, batch_size=8, val_size=8)
    whole.run(steps=20)
    part.run(steps=20)
    assert [point.loss for point in whole.points] != [point.loss for point in part.points]


@pytest.mark.parametrize(
    "settings",
    [
        {"model": "airbench-tiny", "optimizer": "muon", "translate": 2, "flip": "random", "batch_size": 8},
        {"optimizer": "adamw", "weight_averaging": "lookahead", "bias_lr": 0.01},
        {"class_weights": "balanced", "sampler": "weighted", "label_smoothing": 0.1, "cutout": 8},
        {"backend": "numba", "patience": 3, "lr_schedule": "one-cycle"},
        {"mixup": 0.2, "random_resized_crop": 0.5, "freeze": "backbone"},
        {"model": "airbench-tiny", "image_size": 48, "normalization": "dataset", "batch_size": 8},
    ],
    ids=str,
)
def test_every_kind_of_setting_works_and_gives_the_same_twice(tmp_path, image_folder, settings):
    tests = [RangeTest(tmp_path, image_folder, **settings) for _ in range(2)]
    for test in tests:
        test.run(low=1e-5, high=0.01, steps=20)
    first, second = ([point.loss for point in test.points] for test in tests)
    assert len(first) == 20
    assert first == second


def test_averaging_and_schedule_change_nothing(tmp_path, image_folder):
    plain = RangeTest(tmp_path, image_folder)
    other = RangeTest(
        tmp_path, image_folder, weight_averaging="lookahead", lr_schedule="cosine", warmup_fraction=0.3
    )
    for test in (plain, other):
        test.run(low=1e-4, high=0.1, steps=20)
    assert [point.loss for point in plain.points] == [point.loss for point in other.points]


def test_a_net_of_the_users_is_tested_and_what_it_raises_names_its_line(tmp_path, image_folder):
    file = tmp_path / "mine.py"
    file.write_text(
        "from torch import nn\n\n\nclass Net(nn.Module):\n    def __init__(self, num_classes):\n"
        "        super().__init__()\n        self.linear = nn.Linear(3072, num_classes)\n\n"
        "    def forward(self, x):\n        return self.linear(x.flatten(1))\n"
    )
    test = RangeTest(tmp_path, image_folder, model=f"{file}:Net")
    test.run(steps=20)
    assert len(test.points) == 20
    file.write_text(file.read_text().replace("3072", "100"))
    with pytest.raises(ConfigError, match=r"mine\.py.*10"):
        RangeTest(tmp_path, image_folder, model=f"{file}:Net").run(steps=20)


def test_a_stop_cancels_it_between_two_steps(tmp_path, image_folder):
    test = RangeTest(tmp_path, image_folder)

    def stop_at_the_fifth(point, _):
        test.points.append(point)
        if point.step == 5:
            test.control.request("stop")

    with pytest.raises(CancelledError):
        test.session.test(LrRange(steps=20), stop_at_the_fifth)
    assert len(test.points) == 5


def test_only_eager_steps_can_be_tested(noise_dataset):
    setup = build_setup(noise_dataset, epochs=1)
    other = dataclasses.replace(setup, runner=object())
    with pytest.raises(TypeError, match="eager"):
        next(range_points(other, TrainConfig(epochs=1), LrRange()))
