"""Which way the steps of a run are made: one by one in plain PyTorch, in compiled loops or in CUDA graphs."""

import importlib
import importlib.util
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.optim import SGD, Optimizer

from cifar_tui.engine.config.schema import SETTINGS, TrainConfig
from cifar_tui.engine.data.dataset import ImageSplit
from cifar_tui.engine.errors import ConfigError
from cifar_tui.engine.steps.cuda_graph import STEPS_PER_GRAPH, CudaGraphSteps
from cifar_tui.engine.steps.eager import EagerSteps, Steps
from cifar_tui.engine.steps.net_steps import NetSteps

EAGER = "PyTorch"
"""What makes the steps of a checkpoint that does not say so."""

_COMPILER = "numba"
_GRAPHS = "CUDA graphs"
_MOST_IMAGES_A_STEP = 64
_WORTHWHILE_IMAGES = 60_000
"""Compiling takes about 7 s and saves 0.12 to 0.4 ms an image, the less the larger the batch."""
_WORTHWHILE_GRAPH_IMAGES = 10_000
"""Recording a graph takes a second at most."""

_HANDLED = {
    "preset",
    "data",
    "data_dir",
    "device",
    "epochs",
    "batch_size",
    "learning_rate",
    "momentum",
    "weight_decay",
    "seed",
    "log_every",
    "chart_every",
    "eval_every",
    "val_size",
    "tta",
    "checkpoint_every_epochs",
    "checkpoint_every_minutes",
    "backend",
}
"""The settings whose every value the fast ways can follow; the others must be the tutorial's."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StepBackend:
    """The way that was chosen.

    Attributes:
        maker: what makes the steps, with its version where that may change their bits.
        reason: why, for the user.
    """

    maker: str
    reason: str

    @property
    def fast(self) -> bool:
        """Whether compiled loops or graphs make the steps."""
        return self.maker != EAGER

    @property
    def graphs(self) -> bool:
        """Whether CUDA graphs make them."""
        return self.maker == _GRAPHS

    @property
    def name(self) -> str:
        """In few words."""
        if self.graphs:
            return _GRAPHS
        return "compiled steps" if self.fast else "eager steps"

    def sentence(self) -> str:
        """Which way it is, and why."""
        how = "in plain PyTorch, one by one"
        if self.graphs:
            how = "in CUDA graphs, many to a launch"
        elif self.fast:
            how = f"compiled by {self.maker}, many to a call"
        return f"steps {how}: {self.reason}"


def resolve_backend(
    config: TrainConfig, device: torch.device, *, images: int, before: str | None = None
) -> StepBackend:
    """The way to make the steps of a run; the same for the same settings, images and installation.

    Args:
        config: the settings.
        device: where it trains.
        images: training images over all epochs.
        before: what made the steps of the run that is resumed, which go on as they began; None for a new run.

    Raises:
        ConfigError: a new run asks for compiled steps and cannot have them.
    """
    graphs = device.type == "cuda"
    maker = _GRAPHS if graphs else _COMPILER
    worthwhile = _WORTHWHILE_GRAPH_IMAGES if graphs else _WORTHWHILE_IMAGES
    if before is not None and not before.startswith(maker):
        return StepBackend(maker=EAGER, reason="the run began so")
    if before is None and config.backend == "eager":
        return StepBackend(maker=EAGER, reason="backend is eager")
    obstacle = _obstacle(config, device)
    if obstacle is None and before is None and config.backend == "auto" and images < worthwhile:
        return StepBackend(
            maker=EAGER, reason=f"{images:,} images are too few for compiling to be worth its time"
        )
    if obstacle is None and device.type == "cpu":
        obstacle = _missing_compiler()
    if obstacle is None:
        reason = "the run began so" if before else f"{images:,} images to train on"
        if not graphs:
            maker += f" {importlib.import_module(_COMPILER).__version__}"
        return StepBackend(maker=maker, reason=reason)
    if before is None and config.backend == "fast":
        raise _refusal(obstacle)
    return StepBackend(maker=EAGER, reason=obstacle)


def backend_in_use(
    path: StepBackend, steps: Steps, config: TrainConfig, *, before: str | None = None
) -> StepBackend:
    """`path` once `steps` are prepared: plain PyTorch where it was to be graphs and none can be recorded.

    Args:
        path: from `resolve_backend`.
        steps: of this path, prepared.
        config: the settings.
        before: as there.

    Raises:
        ConfigError: a new run asks for graphs.
    """
    failure = steps.failure if isinstance(steps, CudaGraphSteps) else None
    if failure is None:
        return path
    obstacle = f"no CUDA graph can be recorded here ({failure})"
    if before is None and config.backend == "fast":
        raise _refusal(obstacle)
    return StepBackend(maker=EAGER, reason=obstacle)


def _refusal(obstacle: str) -> ConfigError:
    return ConfigError(f"backend 'fast' cannot be had: {obstacle}; take backend auto", field="backend")


def make_steps(
    path: StepBackend, *, net: nn.Module, optimizer: Optimizer, train: ImageSplit, batch_size: int
) -> Steps:
    """What makes steps the way that was chosen.

    Args:
        path: from `resolve_backend`.
        net: on the device of `train`.
        optimizer: over the parameters of `net`.
        train: the training images.
        batch_size: images to a step.
    """
    if path.graphs:
        return CudaGraphSteps(net=net, optimizer=optimizer, train=train, batch_size=batch_size)
    if path.fast and isinstance(optimizer, SGD):
        from cifar_tui.engine.steps.numba.runner import NumbaSteps

        return NumbaSteps(net=net, optimizer=optimizer, train=train, batch_size=batch_size)
    if train.targets.device.type == "cpu" and NetSteps.fits(net, optimizer):
        return NetSteps(net=net, optimizer=optimizer, train=train, batch_size=batch_size)
    return EagerSteps(net=net, optimizer=optimizer, train=train, batch_size=batch_size)


def steps_made_by(origin: Any) -> str:  # noqa: ANN401 - comes from a file
    """What made the steps behind a checkpoint, by its origin."""
    return str(origin.get("steps", EAGER)) if isinstance(origin, dict) else EAGER


def _obstacle(config: TrainConfig, device: torch.device) -> str | None:
    """Why neither compiled loops nor graphs can make the steps; None if they can."""
    if device.type not in {"cpu", "cuda"}:
        return f"compiled steps are for a cpu and for CUDA, not for {device}"
    for name, field in SETTINGS.items():
        value = getattr(config, name)
        if name not in _HANDLED and value != field.default:
            return f"compiled steps know no {field.metadata['label']} {value}"
    for name in ("chart_every", "log_every"):
        value = getattr(config, name)
        if device.type == "cuda" and 0 < value < STEPS_PER_GRAPH:
            return f"{STEPS_PER_GRAPH} steps come to a CUDA graph and {name} {value} wants fewer at a time"
    if config.batch_size > _MOST_IMAGES_A_STEP:
        return f"compiled steps are for batches of up to {_MOST_IMAGES_A_STEP} images"
    return None


def _missing_compiler() -> str | None:
    """Why there is nothing to compile with on a CPU; None if there is."""
    if importlib.util.find_spec(_COMPILER) is None:
        return "numba is not installed (pip install numba)"
    try:
        importlib.import_module(_COMPILER)
    except ImportError as error:
        return f"numba does not load ({str(error).splitlines()[0]})"
    return None
