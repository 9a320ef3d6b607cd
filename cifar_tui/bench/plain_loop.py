"""The tutorial's training as its reader types it, measured in a process of its own.

Written anew after https://docs.pytorch.org/tutorials/beginner/blitz/cifar10_tutorial.html: images handed out
as Pillow's, `ToTensor` and `Normalize` for each, a DataLoader with two workers, and one step after the other.
"""

import dataclasses
import itertools
import json
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from cifar_tui.bench.children import Child, child, run_child, say
from cifar_tui.engine.config.schema import TrainConfig, build_config
from cifar_tui.engine.data.dataset import ImageSplit
from cifar_tui.engine.data.sources import load_dataset
from cifar_tui.engine.device.select import describe_device, select_device
from cifar_tui.engine.models.registry import create_model

_MODULE = "cifar_tui.bench.plain_loop"
_BATCH_SIZE = 4
_WORKERS = 2


class PillowImages(Dataset[tuple[Tensor, int]]):
    """Images in memory that are handed out as `torchvision.datasets.CIFAR10` does."""

    def __init__(self, split: ImageSplit) -> None:
        from torchvision import transforms

        self._pixels = split.images.permute(0, 2, 3, 1).contiguous().numpy()
        self._targets: list[int] = split.targets.tolist()
        self._transform = transforms.Compose(
            [transforms.ToTensor(), transforms.Normalize((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))]
        )

    def __len__(self) -> int:
        return len(self._targets)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """Float32 (3, 32, 32) in [-1, 1], and the class."""
        return self._transform(Image.fromarray(self._pixels[index])), self._targets[index]


def plain_loop(config: TrainConfig, *, warm_up_steps: int) -> AbstractContextManager[Child]:
    """A fresh process that trains until it is terminated; it answers after `warm_up_steps` and at its end."""
    return child(_MODULE, json.dumps(dataclasses.asdict(config)), str(warm_up_steps))


def _train(arguments: list[str]) -> None:
    """Say when each step after the warm-up was over, and the loss of every one."""
    config, warm_up_steps = build_config(json.loads(arguments[0])), int(arguments[1])
    terminated = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: terminated.set())
    device = select_device(config.device)
    dataset = load_dataset(
        config.data,
        data_dir=Path(config.data_dir),
        seed=config.seed,
        report=lambda _: None,
        cancelled=terminated.is_set,
    )
    torch.manual_seed(config.seed)
    loader = DataLoader(
        PillowImages(dataset.train), batch_size=_BATCH_SIZE, shuffle=True, num_workers=_WORKERS
    )
    net = create_model("net", num_classes=len(dataset.class_names)).to(device)
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.001, momentum=0.9)
    losses: list[float] = []
    moments: list[tuple[float, int]] = []
    for step, (inputs, targets) in enumerate(_epochs(loader), start=1):
        inputs, targets = inputs.to(device), targets.to(device)
        optimizer.zero_grad()
        outputs = net(inputs)
        loss = criterion(outputs, targets)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())  # which waits for the device, as it does in the tutorial
        if step >= warm_up_steps:
            moments.append((time.time(), step))
        if step == warm_up_steps:
            say(device=describe_device(device))
        if terminated.is_set():
            break
    say(moments=moments, losses=losses)


def _epochs(loader: DataLoader[tuple[Tensor, int]]) -> Iterator[Any]:
    return itertools.chain.from_iterable(itertools.repeat(loader))


if __name__ == "__main__":
    run_child(_train)
