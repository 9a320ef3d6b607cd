"""Try a net on what the training will give it, before the first step."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional

from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.data.dataset import ImageSplit, images_at_a_time
from cifar_tui.engine.device.precision import autocast
from cifar_tui.engine.device.random_state import randomness_kept
from cifar_tui.engine.errors import ConfigError
from cifar_tui.engine.models.freezing import Freezing
from cifar_tui.engine.models.own.trial import net_kept
from cifar_tui.engine.models.source import ModelSource
from cifar_tui.engine.optim.build import create_optimizer
from cifar_tui.engine.steps.accumulated import part_sizes
from cifar_tui.engine.training.augment import downscale
from cifar_tui.engine.training.batches import epoch_size, low_res_epochs

_EVALUATED = 500
"""Images of 32x32 pixels that an evaluation takes at a time."""


def check_net(
    source: ModelSource,
    net: nn.Module,
    train: ImageSplit,
    config: TrainConfig,
    *,
    num_classes: int,
    precision: str,
    processes: int = 1,
) -> None:
    """Train and evaluate `net` on batches of the sizes that the run will have.

    The net and the generators of random numbers are as before afterwards.

    Args:
        source: what made it.
        net: on the device of `train`.
        train: the training images.
        config: the settings.
        num_classes: logits per image that it must return.
        precision: of the steps.
        processes: among which batches are divided.

    Raises:
        ConfigError: it fails, or returns something else; the sentence names the user's line.
    """
    images, batch_size = epoch_size(net, len(train), config.batch_size).images, config.batch_size
    device = train.targets.device
    wholes = {min(batch_size, images), images % batch_size} - {0}
    sizes = {size: whole for whole in sorted(wholes) for size in _parts(whole, processes, config.accumulate)}
    for size, whole in sorted(sizes.items(), reverse=True):
        for inputs in _inputs(train, size, config):
            where = f"a training batch of {_counted(size)}{_of_size(inputs)}"
            if size != whole:
                where += f", a part of {whole:,}: set a higher batch_size"
            elif size != batch_size and size == images % batch_size:
                where += f", which batch_size {batch_size:,} leaves of {images:,}: set another"
            for epoch in _epochs(config):
                with _trial(source, net, device, where), autocast(precision, device):
                    Freezing(net.train(), config).begin(epoch)
                    logits = net(inputs)
                    _check_output(source, net, logits, size, num_classes, where)
                    loss = functional.cross_entropy(logits.float(), train.targets[:size])
                    if not loss.requires_grad:
                        source.refuse(
                            "its output does not depend on a parameter that is trained; return logits", net
                        )
                    torch.autograd.backward(loss)
                    create_optimizer(net, config).step()
    evaluated = images_at_a_time(_EVALUATED, train.image_size)
    for size in sorted({min(evaluated, len(train)), 1}, reverse=True):
        where = f"an evaluation batch of {_counted(size)}"
        inputs = train.inputs(slice(size))
        with _trial(source, net, device, where), torch.no_grad():
            _check_output(source, net, net.eval()(inputs), size, num_classes, where)
    if config.weight_averaging != "none":
        where = f"a copy of the net, which weight_averaging {config.weight_averaging} needs: set it to none"
        inputs = train.inputs(slice(1))
        with _trial(source, net, device, where), torch.no_grad():
            copied = copy.deepcopy(net)  # before it has run, so that its hooks have filled nothing of it yet
            _check_output(source, net, copied.eval()(inputs), 1, num_classes, where)


def _parts(images: int, processes: int, accumulate: int) -> set[int]:
    """How many images the net gets at a time, of a batch of `images`; at least one in each process."""
    own = {max(1, len(part)) for part in torch.arange(images).tensor_split(processes)}
    return {size for part in own for size in part_sizes(part, accumulate)}


def count_logits(source: ModelSource, net: nn.Module, image_size: int) -> int:
    """Return how many logits `net`, on the CPU, computes of an image.

    Raises:
        ConfigError: it fails, or returns no logits; the sentence names the user's line.
    """
    where = "an evaluation batch of 2 images"
    with _trial(source, net, torch.device("cpu"), where), torch.no_grad():
        logits = net.eval()(torch.zeros(2, 3, image_size, image_size))
        _check_output(source, net, logits, 2, None, where)
        return int(logits.shape[1])


@contextmanager
def _trial(source: ModelSource, net: nn.Module, device: torch.device, where: str) -> Iterator[None]:
    """Run a block that tries `net`, and whose errors say that they are of `where`."""
    with (
        source.running(ConfigError, net, doing=where),
        source.isolated(),
        randomness_kept(device),
        net_kept(net),
    ):
        yield


def _epochs(config: TrainConfig) -> tuple[int, ...]:
    """The first epoch, and the first one that trains more of the net."""
    thaws = config.freeze != "none" and 0 < config.freeze_epochs < config.epochs
    return (0, config.freeze_epochs) if thaws else (0,)


def _inputs(train: ImageSplit, size: int, config: TrainConfig) -> Iterator[Tensor]:
    """Yield `size` images as a step gets them, and at a lower resolution if some epochs train on that."""
    layout = torch.channels_last if config.channels_last else torch.contiguous_format
    inputs = train.inputs(slice(size))
    yield inputs.contiguous(memory_format=layout)
    if low_res_epochs(config.low_res_fraction, config.epochs):
        yield downscale(inputs).contiguous(memory_format=layout)


def _check_output(
    source: ModelSource, net: nn.Module, logits: object, size: int, num_classes: int | None, where: str
) -> None:
    classes = "classes" if num_classes is None else f"{num_classes}"
    wanted = f"it must return logits of shape ({size}, {classes})"
    if not isinstance(logits, Tensor):
        source.refuse(f"the net returns a value of type {type(logits).__name__} for {where}; {wanted}", net)
    shape = tuple(logits.shape)
    if len(shape) != 2 or shape[0] != size:
        source.refuse(f"the net returns shape {shape} for {where}; {wanted}", net)
    if num_classes is not None and shape[1] != num_classes:
        source.refuse(
            f"the net returns {shape[1]} logits for an image, the dataset has {num_classes} classes; make "
            "the last layer as wide as the parameter num_classes, which it is passed",
            net,
        )
    if not logits.is_floating_point():
        source.refuse(
            f"the net returns {logits.dtype} for {where}; logits must be floating-point numbers", net
        )


def _counted(size: int) -> str:
    return "1 image" if size == 1 else f"{size:,} images"


def _of_size(inputs: Tensor) -> str:
    side = inputs.shape[-1]
    return f" of {side}×{side} pixels"
