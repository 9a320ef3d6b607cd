"""The training loop of the PyTorch tutorial, as its reader types it, in a separate process.

After https://docs.pytorch.org/tutorials/beginner/blitz/cifar10_tutorial.html: Pillow images, `ToTensor` and
`Normalize` for each, a DataLoader with two workers, one step after the other. The only addition is the loss
log, from which the speed is measured.
"""

import itertools
import sys
import time
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from cifar_tui.engine.config.file import read_config_file
from cifar_tui.engine.config.schema import TrainConfig, build_config
from cifar_tui.engine.data.dataset import ImageSplit
from cifar_tui.engine.data.sources import load_dataset
from cifar_tui.engine.device.select import select_device
from cifar_tui.engine.events import LossPoint
from cifar_tui.engine.models.registry import create_model
from cifar_tui.runs.disk.event_log import EventLog

_BATCH_SIZE = 4
_WORKERS = 2
_SECONDS_PER_POINT = 0.05


class PillowImages(Dataset[tuple[Tensor, int]]):
    """Images in memory, handed out as `torchvision.datasets.CIFAR10` does."""

    def __init__(self, split: ImageSplit) -> None:
        self._pixels = split.take(slice(None)).permute(0, 2, 3, 1).contiguous().numpy()
        self._targets: list[int] = split.targets.tolist()
        self._transform = transforms.Compose(
            [transforms.ToTensor(), transforms.Normalize((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))]
        )

    def __len__(self) -> int:
        return len(self._targets)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """Return float32 (3, 32, 32) in [-1, 1] and the class."""
        return self._transform(Image.fromarray(self._pixels[index])), self._targets[index]


def train(config: TrainConfig, log: EventLog) -> None:
    """Train until the process is ended."""
    device = select_device(config.device)
    dataset = load_dataset(
        config.data,
        data_dir=Path(config.data_dir),
        seed=config.seed,
        report=lambda _: None,
        cancelled=lambda: False,
    )
    torch.manual_seed(config.seed)
    loader = DataLoader(
        PillowImages(dataset.train), batch_size=_BATCH_SIZE, shuffle=True, num_workers=_WORKERS
    )
    net = create_model(config.model, num_classes=len(dataset.class_names)).to(device)
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.001, momentum=0.9)
    losses: list[float] = []
    start = logged = time.monotonic()
    batches = itertools.chain.from_iterable(itertools.repeat(loader))
    for step, (inputs, targets) in enumerate(batches, start=1):
        inputs, targets = inputs.to(device), targets.to(device)
        optimizer.zero_grad()
        outputs = net(inputs)
        loss = criterion(outputs, targets)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())  # waits for the device, as it does in the tutorial
        if (now := time.monotonic()) - logged >= _SECONDS_PER_POINT:
            log.append(
                LossPoint(
                    step=step,
                    steps=len(losses),
                    epoch=1,
                    batch=step,
                    loss=sum(losses) / len(losses),
                    accuracy=0.0,  # the tutorial does not count
                    learning_rate=0.001,
                    images=len(losses) * _BATCH_SIZE,
                    train_seconds=now - start,
                )
            )
            logged, losses = now, []


if __name__ == "__main__":
    train(build_config(read_config_file(Path(sys.argv[1]))), EventLog(Path(sys.argv[2])))
