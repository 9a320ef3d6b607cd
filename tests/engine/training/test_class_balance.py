"""Training on classes of different sizes, beside plain PyTorch and scikit-learn."""

import dataclasses

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight
from torch import nn, optim
from torch.utils.data import DataLoader, TensorDataset, WeightedRandomSampler

from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.control import RunControl
from cifar_tui.engine.data.dataset import ImageSplit, normalize
from cifar_tui.engine.disk.run_folder import RunFolder
from cifar_tui.engine.events import LossPoint, Message
from cifar_tui.engine.models.registry import create_model
from cifar_tui.engine.session import Session
from cifar_tui.engine.training.class_balance import balanced_weights, image_weights
from tests.engine.made_training import MadeTraining

pytestmark = pytest.mark.usefixtures("one_thread")  # for both loops

COUNTS = (120, 60, 12, 3, 9)


@pytest.fixture
def unbalanced(noise_dataset):
    """Noise of ten classes, of which five have training images, 3 to 120 each."""
    targets = torch.repeat_interleave(torch.arange(len(COUNTS)), torch.tensor(COUNTS))
    train = ImageSplit(images=noise_dataset.train.images[: len(targets)], targets=targets)
    return dataclasses.replace(noise_dataset, train=train)


def test_balanced_weights_are_those_of_scikit_learn():
    targets = torch.repeat_interleave(torch.arange(5), torch.tensor(COUNTS))
    expected = compute_class_weight("balanced", classes=np.arange(5), y=targets.numpy())
    assert balanced_weights(targets, 5).tolist() == pytest.approx(expected.tolist(), rel=1e-15)


def test_a_class_without_training_images_has_no_weight_and_changes_no_other():
    targets = torch.tensor([0, 0, 0, 2])
    assert balanced_weights(targets, 4).tolist() == [4 / 6, 0, 2, 0]


def plain_loop(split, *, epochs, criterion, sampler=None):
    """The tutorial's loop, written out: the net and the loss of every step."""
    torch.manual_seed(0)
    net = create_model("net", num_classes=10)
    optimizer = optim.SGD(net.parameters(), lr=0.001, momentum=0.9)
    data = TensorDataset(normalize(split.images), split.targets)
    loader = DataLoader(data, batch_size=4, shuffle=sampler is None, sampler=sampler)
    losses = []
    for _ in range(epochs):
        for inputs, labels in loader:
            optimizer.zero_grad()
            loss = criterion(net(inputs), labels)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    return net, losses


def assert_same(run, net, losses):
    assert [event.loss for event in run.of(LossPoint)] == losses
    for name, tensor in net.state_dict().items():
        assert torch.equal(run.net.state_dict()[name], tensor), name


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_a_weighted_loss_has_the_bits_of_a_plain_loop(unbalanced, tmp_path, smoothing):
    weight = balanced_weights(unbalanced.train.targets, 10).float()
    criterion = nn.CrossEntropyLoss(weight=weight, label_smoothing=smoothing)
    net, losses = plain_loop(unbalanced.train, epochs=2, criterion=criterion)
    assert len(losses) == 102
    run = MadeTraining(
        unbalanced, tmp_path, epochs=2, chart_every=1, class_weights="balanced", label_smoothing=smoothing
    )
    run.trainer.fit()
    assert_same(run, net, losses)


def test_a_weighted_sampler_has_the_bits_of_a_plain_loop(unbalanced, tmp_path):
    weights = image_weights(unbalanced.train.targets)
    sampler = WeightedRandomSampler(weights, len(unbalanced.train))
    net, losses = plain_loop(unbalanced.train, epochs=2, criterion=nn.CrossEntropyLoss(), sampler=sampler)
    run = MadeTraining(unbalanced, tmp_path, epochs=2, chart_every=1, sampler="weighted")
    run.trainer.fit()
    assert_same(run, net, losses)


def test_a_weighted_sampler_draws_every_class_equally_often(unbalanced):
    targets = unbalanced.train.targets
    torch.manual_seed(0)
    drawn = targets[torch.multinomial(image_weights(targets), 100_000, replacement=True)]
    shares = torch.bincount(drawn) / len(drawn)
    assert shares.tolist() == pytest.approx([1 / len(COUNTS)] * len(COUNTS), abs=0.01)


def test_compiled_steps_draw_the_same_images_as_eager_ones(unbalanced, tmp_path):
    losses = []
    for backend in ("eager", "numba"):
        run = MadeTraining(unbalanced, tmp_path, backend=backend, chart_every=1, sampler="weighted")
        run.trainer.fit()
        losses.append([event.loss for event in run.of(LossPoint)])
    assert losses[1] == pytest.approx(losses[0], abs=1e-5)


def train(folder, settings):
    events = []
    folder.mkdir()
    Session(config=TrainConfig(**settings), emit=events.append, control=RunControl()).train(
        lambda: RunFolder(folder), interactive=False
    )
    return [event.text for event in events if isinstance(event, Message)]


def test_the_log_says_how_much_the_classes_count(image_folder, tmp_path):
    for number in range(6):  # of eight
        (image_folder / "train" / "red" / f"{number:02d}.png").unlink()
    settings = {"data": str(image_folder), "data_dir": str(tmp_path), "device": "cpu", "epochs": 1}
    said = "class_weights balanced: the loss counts a class from 0.75 (8 images) to 3 times (2 images)"
    twice = "rare classes count twice: sampler weighted already draws every class equally often"
    log = train(tmp_path / "weights", {**settings, "class_weights": "balanced"})
    assert said in log
    assert twice not in log
    both = train(tmp_path / "both", {**settings, "class_weights": "balanced", "sampler": "weighted"})
    assert {said, twice} <= set(both)
    none = train(tmp_path / "none", settings)
    assert not {said, twice} & set(none)
