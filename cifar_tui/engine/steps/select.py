"""Choose the backend that runs the steps of a run."""

import pkgutil
from dataclasses import dataclass

import torch

from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.errors import ConfigError
from cifar_tui.engine.steps.backend import StepBackend
from cifar_tui.engine.steps.registry import BACKENDS


@dataclass(frozen=True, kw_only=True, slots=True)
class BackendChoice:
    """A backend, and why it was chosen."""

    backend: StepBackend
    reason: str

    @property
    def identity(self) -> str:
        """What a checkpoint remembers: the backend, with the version that its bits may depend on."""
        version = self.backend.version
        return self.backend.name if version is None else f"{self.backend.name} {version()}"

    def sentence(self) -> str:
        """The choice and its reason, for the log."""
        return f"backend {self.identity}: {self.reason}"


def get_backend(name: str) -> StepBackend:
    """The backend registered as `name`."""
    backend: StepBackend = pkgutil.resolve_name(BACKENDS[name])
    return backend


def resolve_backend(
    config: TrainConfig, device: torch.device, *, images: int, resumed: str | None = None, processes: int = 1
) -> BackendChoice:
    """Choose the backend of a run; the same for the same settings, images and installation.

    Args:
        config: the settings.
        device: where it trains.
        images: training images over all epochs.
        resumed: the identity of the backend that the resumed run began with, which it keeps.
        processes: how many train it together.

    Raises:
        ConfigError: a new run requests a backend that cannot run it.
    """
    if processes > 1:
        if resumed is None and config.backend not in {"auto", "eager"}:
            raise not_available(config.backend, f"it trains in one process, and there are {processes}")
        return eager(f"{processes} processes train together")
    if resumed is not None:
        name = resumed.partition(" ")[0]
        if name not in BACKENDS:
            return eager(f"there is no backend {name!r}")
        backend = get_backend(name)
        if obstacle := backend.obstacle_to(config, device):
            return eager(obstacle)
        return BackendChoice(backend=backend, reason="same as before the resume")
    if config.backend != "auto":
        backend = get_backend(config.backend)
        if obstacle := backend.obstacle_to(config, device):
            raise not_available(config.backend, obstacle)
        return BackendChoice(backend=backend, reason=f"set with backend={config.backend}")
    reason = f"no other backend runs on {device.type}"
    for name in BACKENDS:
        backend = get_backend(name)
        if backend.device_type not in {None, device.type}:
            continue
        obstacle = backend.obstacle_to(config, device)
        if obstacle is None and images < backend.min_images:
            obstacle = f"{name} does not pay off for {images:,} training images over all epochs"
        if obstacle is None:
            if name != "eager":
                reason = f"fastest for {images:,} training images over all epochs"
            return BackendChoice(backend=backend, reason=reason)
        reason = obstacle
    raise AssertionError("eager runs everything")


def eager(reason: str) -> BackendChoice:
    """The backend that runs everything, and why it has to."""
    return BackendChoice(backend=get_backend("eager"), reason=reason)


def not_available(name: str, obstacle: str) -> ConfigError:
    """The refusal of a backend that was requested."""
    return ConfigError(f"backend {name!r} is not available: {obstacle}; set backend to auto", field="backend")
