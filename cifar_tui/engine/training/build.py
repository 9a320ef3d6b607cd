"""Build the model, the optimizer and the step runner from the settings."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from cifar_tui.engine.checkpoint.state import check_optimizer, hyperparameters
from cifar_tui.engine.config.schema import SETTINGS, TrainConfig
from cifar_tui.engine.data.dataset import ImageSplit, images_at_a_time
from cifar_tui.engine.device.capabilities import missing_for_compiling
from cifar_tui.engine.device.precision import evaluation_precision, matrix_precision, select_precision
from cifar_tui.engine.device.select import fastest_convolutions
from cifar_tui.engine.distributed.ranks import ALONE, Ranks
from cifar_tui.engine.evaluation.tta import TestTimeAugmentation
from cifar_tui.engine.events import Event, ignore_event
from cifar_tui.engine.models.classifier import Classifier
from cifar_tui.engine.optim.build import create_optimizer
from cifar_tui.engine.optim.weight_averaging import WeightAverage
from cifar_tui.engine.steps.backend import BackendFailedError, StepParts, StepRunner
from cifar_tui.engine.steps.select import BackendChoice, eager, not_available
from cifar_tui.engine.training.batches import low_res_epochs
from cifar_tui.engine.training.class_balance import balanced_weights

_PROBED_IMAGES = 128


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TrainingSetup:
    """A model with everything that trains it.

    Attributes:
        net: the weights that are evaluated and saved: the trained ones, or their average.
        optimizer: of the weights that are trained.
        runner: trains them.
        choice: the backend of `runner`.
        precision: of the steps: fp32, tf32, bf16 or fp16.
        predictor: computes the logits that `net` is evaluated by.
        train: the training images.
        rate_is_constant: whether no schedule changes the learning rate.
    """

    net: nn.Module
    optimizer: Optimizer
    runner: StepRunner
    choice: BackendChoice
    precision: str
    predictor: nn.Module
    train: ImageSplit
    rate_is_constant: bool

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from the weights, the optimizer and the runner of a checkpoint.

        Raises:
            KeyError, RuntimeError, TypeError, ValueError: `state` does not fit.
        """
        expected = hyperparameters(self.optimizer, with_lr=self.rate_is_constant)
        self.net.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        check_optimizer(self.optimizer, expected)
        self.runner.load_state_dict(state["steps"])


def build_training(
    config: TrainConfig,
    choice: BackendChoice,
    *,
    net: nn.Module,
    num_classes: int,
    train: ImageSplit,
    log: Callable[[str], None],
    cancelled: Callable[[], bool],
    ranks: Ranks = ALONE,
    emit: Callable[[Event], None] = ignore_event,
    resumed_precision: str | None = None,
    restore: Callable[[TrainingSetup], None] | None = None,
) -> TrainingSetup:
    """Take `net` to the device of `train`, and build what `config` trains it with.

    Draws nothing from torch's global generator.

    Args:
        config: the settings.
        choice: the backend; eager PyTorch takes its place if it cannot be prepared here.
        net: freshly initialized, or with the weights that it starts from.
        num_classes: number of logits per image.
        train: the training images.
        log: receives log lines about choices the settings do not show.
        cancelled: whether to stop early; then nothing is prepared.
        ranks: the processes that train it; all have the weights of the first one.
        emit: takes an event about these processes.
        resumed_precision: of the run that is resumed, which it keeps; None to choose one.
        restore: loads the checkpoint of the run that is resumed, before anything is compiled or recorded for
            it; such a run may have to change its backend.

    Raises:
        ConfigError: a new run requests a backend, or compilation, that fails here.
    """
    net = net.to(train.targets.device)
    if isinstance(net, Classifier) and not config.weights:  # of which all layers belong together
        net.init_from_images(train)
    if config.channels_last:
        net = net.to(memory_format=torch.channels_last)
    if config.sync_batchnorm and ranks.size > 1:
        convert = nn.SyncBatchNorm.convert_sync_batchnorm
        net = convert(net, ranks.group)  # type: ignore[no-untyped-call]  # torch has no types for it
    ranks.share_net(net)
    optimizer = create_optimizer(net, config)
    precision = ranks.share(_resolve_precision(config, net, train, log, resumed_precision))
    kind, decay = config.weight_averaging, config.ema_decay
    average = None if kind == "none" else WeightAverage(net, kind=kind, decay=decay)
    parts = StepParts(
        config=config,
        net=net,
        optimizer=optimizer,
        train=train,
        average=average,
        precision=precision,
        num_classes=num_classes,
        class_weights=_class_weights(config, train, num_classes, log),
        log=log,
        ranks=ranks,
        emit=emit,
    )
    _log_what_settings_hide(config, train.targets.device, log)
    evaluated = net if average is None else average.net
    setup = TrainingSetup(
        net=evaluated,
        optimizer=optimizer,
        runner=choice.backend.create(parts),
        choice=choice,
        precision=precision,
        predictor=create_predictor(evaluated, config),
        train=train,
        rate_is_constant=config.lr_schedule == "constant" and not config.warmup_fraction,
    )
    if restore is not None:
        restore(setup)
    with training_arithmetic(config, precision, train.targets.device):  # a recorded graph keeps it
        return _prepared(setup, parts, cancelled, may_refuse=restore is None)


@contextmanager
def training_arithmetic(config: TrainConfig, precision: str, device: torch.device) -> Iterator[None]:
    """Run a block that prepares or runs training steps with the arithmetic of `precision`.

    The tutorial's model keeps the algorithms that cuDNN chooses: those that are timed may differ from run to
    run, and with them the bits.
    """
    with matrix_precision(precision):
        if config.model == SETTINGS["model"].default:
            yield
        else:
            with fastest_convolutions(device):
                yield


def create_predictor(net: nn.Module, config: TrainConfig) -> nn.Module:
    """Wrap `net` in the test-time augmentation and precision that it is evaluated with, on its device."""
    device = next(net.parameters()).device
    return TestTimeAugmentation(net, config.tta, partial(evaluation_precision, config.precision, device))


def _prepared(
    setup: TrainingSetup, parts: StepParts, cancelled: Callable[[], bool], *, may_refuse: bool
) -> TrainingSetup:
    """The setup with its runner prepared, or with an eager one if that fails."""
    try:
        setup.runner.prepare(cancelled)
    except BackendFailedError as error:
        name = setup.choice.backend.name
        if may_refuse and parts.config.backend == name:
            raise not_available(name, str(error)) from error
        choice = eager(str(error))
        runner = choice.backend.create(parts)
        return _prepared(
            replace(setup, choice=choice, runner=runner), parts, cancelled, may_refuse=may_refuse
        )
    return setup


def _resolve_precision(
    config: TrainConfig,
    net: nn.Module,
    train: ImageSplit,
    log: Callable[[str], None],
    resumed_precision: str | None,
) -> str:
    if resumed_precision is not None:
        if config.precision != "fp32":
            log(f"training in {resumed_precision}, as before the resume")
        return resumed_precision
    images = train.inputs(slice(images_at_a_time(_PROBED_IMAGES, train.image_size)))
    if config.channels_last:
        images = images.contiguous(memory_format=torch.channels_last)
    precision, reason = select_precision(config.precision, net, images)
    if reason:
        log(reason)
    return precision


def _class_weights(
    config: TrainConfig, train: ImageSplit, num_classes: int, log: Callable[[str], None]
) -> Tensor | None:
    if config.class_weights == "none":
        return None
    weights = balanced_weights(train.targets, num_classes)
    counts = torch.bincount(train.targets.cpu())
    most, fewest = int(counts.max()), int(counts[counts > 0].min())
    low, high = float(weights[weights > 0].min()), float(weights.max())
    log(
        f"class_weights balanced: the loss counts a class from {low:.3g} ({most:,} images) to {high:.3g} "
        f"times ({fewest:,} images)"
    )
    return weights.float().to(train.targets.device)


def _log_what_settings_hide(config: TrainConfig, device: torch.device, log: Callable[[str], None]) -> None:
    """Log when a setting has no effect because of another, or of the machine."""
    if config.compile == "auto" and device.type == "cuda" and (missing := missing_for_compiling(device)):
        log(f"training uncompiled: torch.compile needs {missing}")
    if config.low_res_fraction and not low_res_epochs(config.low_res_fraction, config.epochs):
        log(
            f"all epochs train on full-size images: low_res_fraction {config.low_res_fraction} with "
            f"epochs {config.epochs} is less than one epoch"
        )
    if config.class_weights != "none" and config.sampler == "weighted":
        log("rare classes count twice: sampler weighted already draws every class equally often")
    if config.mixup or config.cutmix:
        log("the training accuracy counts mixed images as the class with the larger share")
    if config.lr_schedule == "one-cycle" and not config.warmup_fraction:
        log("lr_schedule one-cycle without warmup_fraction is the same as cosine")
