"""What the settings make of a model: the net, what trains it, and what its predictions are made with."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn
from torch.optim import Optimizer

from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.data.dataset import ImageSplit
from cifar_tui.engine.device.precision import evaluation_precision, select_precision
from cifar_tui.engine.evaluation.tta import TestTimeAugmentation
from cifar_tui.engine.models import AirbenchNet, create_model, init_whitening
from cifar_tui.engine.optim.build import create_optimizer
from cifar_tui.engine.optim.weight_averaging import Averaging
from cifar_tui.engine.steps.eager import Steps
from cifar_tui.engine.steps.recipe_steps import RecipeSteps, low_res_epochs
from cifar_tui.engine.steps.select import StepBackend, make_steps
from cifar_tui.engine.training.batches import normalize

_PROBED_IMAGES = 128
_PLAIN = {
    "lr_schedule": "constant",
    "warmup_fraction": 0.0,
    "label_smoothing": 0.0,
    "weight_averaging": "none",
    "translate": 0,
    "flip": "none",
    "cutout": 0,
    "low_res_fraction": 0.0,
    "precision": "fp32",
    "channels_last": False,
    "compile": "no",
}
"""The settings with which a step is the tutorial's, whatever its model and optimizer."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TrainingSetup:
    """A net and all that belongs to it.

    Attributes:
        net: whose weights are evaluated and saved: the one that is trained, or its average.
        optimizer: of the net that is trained.
        steps: train it.
        precision: that they compute in: fp32, tf32, bf16 or fp16.
        predictor: gives the logits with which `net` is evaluated.
    """

    net: nn.Module
    optimizer: Optimizer
    steps: Steps
    precision: str
    predictor: nn.Module


def build_training(
    config: TrainConfig,
    path: StepBackend,
    *,
    num_classes: int,
    train: ImageSplit,
    say: Callable[[str], None],
    began_in: str | None = None,
) -> TrainingSetup:
    """A freshly initialised net on the device of `train`, with what `config` trains it with.

    Draws from torch's global generator what the model's initialisation draws, and nothing else.

    Args:
        config: the settings.
        path: how steps are made that are the tutorial's.
        num_classes: number of logits.
        train: the training images.
        say: told in which precision the training computes, if that is not plain from the settings, and why
            the net is not compiled, no epoch on small images or no cycle one, where it was to be.
        began_in: the precision that a resumed training computed in and keeps; None to choose one.
    """
    device = train.targets.device
    net = create_model(config.model, num_classes=num_classes).to(device)
    if isinstance(net, AirbenchNet):
        init_whitening(net, train.images)
    if config.channels_last:
        net = net.to(memory_format=torch.channels_last)
    optimizer = create_optimizer(net, config)
    if not isinstance(net, AirbenchNet) and all(getattr(config, name) == _PLAIN[name] for name in _PLAIN):
        steps = make_steps(path, net=net, optimizer=optimizer, train=train, batch_size=config.batch_size)
        return TrainingSetup(
            net=net,
            optimizer=optimizer,
            steps=steps,
            precision=config.precision,
            predictor=create_predictor(net, config),
        )
    if config.low_res_fraction and not low_res_epochs(config.low_res_fraction, config.epochs):
        say(
            f"all epochs are on whole images: low_res_fraction {config.low_res_fraction} of {config.epochs} "
            "is less than one"
        )
    if config.lr_schedule == "one-cycle" and not config.warmup_fraction:
        say("lr_schedule one-cycle without a warmup_fraction is the lr_schedule cosine")
    precision = began_in or _chosen_precision(config, net, train, say)
    if began_in and config.precision != "fp32":
        say(f"training in {began_in}, as it began")
    averaging = None
    if config.weight_averaging != "none":
        averaging = Averaging(net, kind=config.weight_averaging, decay=config.ema_decay)
    evaluated = net if averaging is None else averaging.net
    return TrainingSetup(
        net=evaluated,
        optimizer=optimizer,
        steps=RecipeSteps(
            config=config,
            net=net,
            optimizer=optimizer,
            averaging=averaging,
            train=train,
            precision=precision,
            say=say,
        ),
        precision=precision,
        predictor=create_predictor(evaluated, config),
    )


def _chosen_precision(
    config: TrainConfig, net: nn.Module, train: ImageSplit, say: Callable[[str], None]
) -> str:
    images = normalize(train.images[:_PROBED_IMAGES])
    if config.channels_last:
        images = images.contiguous(memory_format=torch.channels_last)
    precision, reason = select_precision(config.precision, net, images)
    if reason:
        say(reason)
    return precision


def create_predictor(net: nn.Module, config: TrainConfig) -> nn.Module:
    """What gives the logits with which `net` is evaluated, on the device it is on."""
    device = next(net.parameters()).device
    return TestTimeAugmentation(net, config.tta, partial(evaluation_precision, config.precision, device))
