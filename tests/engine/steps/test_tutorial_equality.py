"""The engine beside the tutorial's own loop, written here from its description: the same bits."""

import pytest
import torch
import torchvision.transforms
from torch import nn, optim
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from cifar_tui.engine.data.dataset import normalize
from cifar_tui.engine.events import LossPoint, LossWindow
from cifar_tui.engine.models.registry import create_model
from cifar_tui.engine.training.batches import shuffled_order
from tests.engine.made_training import MadeTraining

pytestmark = pytest.mark.usefixtures("one_thread")  # for both loops


class TutorialNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 5)
        self.pool = nn.MaxPool2d(2, 2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(16 * 5 * 5, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 10)

    def forward(self, x):
        x = self.pool(functional.relu(self.conv1(x)))
        x = self.pool(functional.relu(self.conv2(x)))
        x = torch.flatten(x, 1)
        x = functional.relu(self.fc1(x))
        x = functional.relu(self.fc2(x))
        return self.fc3(x)


class TutorialImages(Dataset):
    """Images as torchvision's datasets hand them over: a picture, transformed one by one."""

    transform = torchvision.transforms.Compose(
        [
            torchvision.transforms.ToTensor(),
            torchvision.transforms.Normalize((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
        ]
    )

    def __init__(self, split):
        self.pictures = split.images.permute(0, 2, 3, 1).numpy()
        self.targets = split.targets.tolist()

    def __len__(self):
        return len(self.targets)

    def __getitem__(self, index):
        return self.transform(self.pictures[index]), self.targets[index]


def run_tutorial(split, *, seed, epochs, window):
    """The tutorial's training loop: the net, every loss, and the lines it prints."""
    torch.manual_seed(seed)
    net = TutorialNet()
    criterion = nn.CrossEntropyLoss()
    optimizer = optim.SGD(net.parameters(), lr=0.001, momentum=0.9)
    loader = DataLoader(TutorialImages(split), batch_size=4, shuffle=True)
    losses, lines = [], []
    for epoch in range(epochs):
        running_loss = 0.0
        for i, (inputs, labels) in enumerate(loader):
            optimizer.zero_grad()
            loss = criterion(net(inputs), labels)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
            running_loss += loss.item()
            if i % window == window - 1:
                lines.append(f"[{epoch + 1}, {i + 1:5d}] loss: {running_loss / window:.3f}")
                running_loss = 0.0
    return net, losses, lines


def run_engine(dataset, folder, *, seed, epochs, window, on_event=None):
    """The same with the engine."""
    run = MadeTraining(
        dataset, folder, on_event=on_event, seed=seed, epochs=epochs, log_every=window, chart_every=1
    )
    run.trainer.fit()
    lines = [event.tutorial_line() for event in run.of(LossWindow)]
    return run.net, [event.loss for event in run.of(LossPoint)], lines


def assert_same_bits(net, reference):
    expected = reference.state_dict()
    assert list(net.state_dict()) == list(expected)
    for name, tensor in net.state_dict().items():
        assert torch.equal(tensor, expected[name]), name


@pytest.mark.parametrize("seed", [0, 7])
def test_420_steps_give_the_same_bits_in_every_loss_and_every_weight(noise_dataset, tmp_path, seed):
    reference, losses, lines = run_tutorial(noise_dataset.train, seed=seed, epochs=2, window=50)
    net, engine_losses, engine_lines = run_engine(noise_dataset, tmp_path, seed=seed, epochs=2, window=50)
    assert len(losses) == 420
    assert engine_losses == losses
    assert engine_lines == lines
    assert len(lines) == 8
    assert_same_bits(net, reference)
    _, other_losses, _ = run_engine(noise_dataset, tmp_path, seed=seed + 1, epochs=1, window=50)
    assert other_losses != losses[:210], "another seed gives other bits"


def test_pauses_saves_and_evaluations_change_no_bit(noise_dataset, tmp_path):
    reference, losses, _ = run_tutorial(noise_dataset.train, seed=3, epochs=1, window=50)

    def interrupt(run, event):
        if isinstance(event, LossPoint) and event.step % 20 == 0:
            for request in ("pause", "save", "evaluate", "resume"):
                run.control.request(request)

    net, engine_losses, _ = run_engine(
        noise_dataset, tmp_path, seed=3, epochs=1, window=50, on_event=interrupt
    )
    assert engine_losses == losses
    assert_same_bits(net, reference)


def test_the_shuffle_is_the_dataloaders_epoch_after_epoch():
    class Indices(Dataset):
        def __len__(self):
            return 101

        def __getitem__(self, index):
            return index

    torch.manual_seed(5)
    loader = DataLoader(Indices(), batch_size=4, shuffle=True)
    expected = [torch.cat(list(loader)).tolist() for _ in range(3)]
    torch.manual_seed(5)
    assert [shuffled_order(101).tolist() for _ in range(3)] == expected


def test_every_pixel_value_is_normalized_to_the_bits_of_torchvision():
    values = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16).expand(1, 3, 16, 16)
    expected = TutorialImages.transform(values[0].permute(1, 2, 0).numpy())
    assert torch.equal(normalize(values)[0], expected)
    assert normalize(values).min() == -1.0
    assert normalize(values).max() == 1.0


def test_the_state_dict_is_the_tutorials():
    expected = {name: tensor.shape for name, tensor in TutorialNet().state_dict().items()}
    assert {
        name: tensor.shape for name, tensor in create_model("net", num_classes=10).state_dict().items()
    } == (expected)
