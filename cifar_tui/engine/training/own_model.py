"""What a run does with a net of the user's: load, build, check and keep it. Without one, nothing."""

import contextlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn

from cifar_tui.engine.atomic import disk_errors_explained
from cifar_tui.engine.checkpoint.find import find_weights
from cifar_tui.engine.checkpoint.weights import RecognizedWeights
from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.data.dataset import ImageSplit
from cifar_tui.engine.device.interrupt import interrupted_when
from cifar_tui.engine.device.precision import autocasts
from cifar_tui.engine.device.random_state import randomness_kept, seed_everything
from cifar_tui.engine.disk.run_folder import RunFolder
from cifar_tui.engine.errors import ConfigError
from cifar_tui.engine.events import Alert, Event, Message, Phase, PhaseChanged
from cifar_tui.engine.layout import MODEL_FILE
from cifar_tui.engine.models.own.check import check_net
from cifar_tui.engine.models.own.name import own_name, short_model
from cifar_tui.engine.models.own.own_net import OwnNet, load_own_net
from cifar_tui.engine.training.build import TrainingSetup


class OwnModel:
    """The user's net of a run; does nothing if the settings name a registered model.

    Args:
        config: the settings.
        emit: takes every event.
        cancelled: whether to stop early.
        edited: whether to take the user's file as it is now, not what a run has kept.

    Attributes:
        net: loaded; None before, and for a registered model.
    """

    def __init__(
        self,
        config: TrainConfig,
        emit: Callable[[Event], None],
        *,
        cancelled: Callable[[], bool],
        edited: bool,
    ) -> None:
        self.net: OwnNet | None = None
        self._config = config
        self._emit = emit
        self._cancelled = cancelled
        self._edited = edited

    @property
    def hash(self) -> str:
        """The SHA-256 of its source; "" for a registered model."""
        return "" if self.net is None else self.net.hash

    def load(self, kept_in: Path | None) -> None:
        """Load it from what the run in the folder `kept_in` has kept, or from the user's file.

        Raises:
            ConfigError: it cannot be loaded; the sentence names the user's line.
            CancelledError: the user requested a stop.
        """
        if own_name(self._config.model) is None:
            return
        self._say_loading()
        with interrupted_when(self._cancelled):
            self.net, changes = load_own_net(
                self._config.model,
                kept_in=None if self._edited else kept_in,
                seed=self._config.seed,
                say=self._log,
            )
        for change in changes:
            self._alert(change)

    def build(self, train: ImageSplit, num_classes: int) -> nn.Module | None:
        """Build it on the device of `train`, and try it on what the training will give it.

        Seeds all generators of random numbers, and draws from them what its initialization draws.

        Raises:
            ConfigError: it cannot be trained; the sentence names the user's line.
            CancelledError: the user requested a stop.
        """
        seed_everything(self._config.seed)
        own, device = self.net, train.targets.device
        if own is None:
            return None
        self._say_loading()
        with interrupted_when(self._cancelled):
            net = own.build(num_classes=num_classes, image_size=train.image_size)
            with own.running(ConfigError, net):
                net = net.to(device)
            check_net(own, net, train, self._config, num_classes=num_classes, precision="fp32")
        return net

    def check_precision(self, setup: TrainingSetup, num_classes: int) -> None:
        """Try it in the precision of `setup`, if that is not what `build` tried.

        Raises:
            ConfigError: it cannot be trained in this precision.
        """
        if self.net is not None and autocasts(setup.precision):
            check_net(
                self.net,
                setup.net,
                setup.train,
                self._config,
                num_classes=num_classes,
                precision=setup.precision,
            )

    def keep(self, folder: RunFolder) -> None:
        """Keep its source in `folder`, unless it comes from there.

        Raises:
            RunFailedError: it cannot be written.
        """
        if self.net is None or self.net.kept:
            return
        with folder.saving() as path, disk_errors_explained(f"save '{path / MODEL_FILE}'"):
            self.net.keep(path)

    def preparing(self) -> contextlib.AbstractContextManager[None]:
        """Have what its code raises in a block name the user's line, as an error of the settings."""
        return (
            contextlib.nullcontext() if self.net is None else self.net.running(ConfigError, among_others=True)
        )

    @contextmanager
    def running(self) -> Iterator[None]:
        """Have what its code raises in a block name the user's line, and log what it prints."""
        if self.net is None:
            yield
            return
        with self.net.called():
            yield

    @contextmanager
    def evaluating(self, weights: RecognizedWeights, device: torch.device) -> Iterator[None]:
        """Run a block that evaluates `weights`, always with the same random numbers if it draws any."""
        with randomness_kept(device):
            seed_everything(self._config.seed)
            if weights.own is None:
                yield
                return
            with weights.own.called(weights.net):
                yield

    def find_weights(self, path: Path, *, any_model: bool) -> RecognizedWeights:
        """Load the weights in `path` into the model of the settings, or with `any_model` into one that fits.

        Raises:
            ConfigError: see `find_weights`.
        """
        return find_weights(
            path,
            None if any_model else self._config.model,
            edited_model=self._edited,
            image_size=self._config.image_size,
            seed=self._config.seed,
            say=self._log,
            alert=self._alert,
            own=self.net,
        )

    def _alert(self, text: str) -> None:
        self._emit(Alert(text=text))

    def _say_loading(self) -> None:
        self._emit(PhaseChanged(phase=Phase.LOADING, message=short_model(self._config.model)))

    def _log(self, text: str) -> None:
        self._emit(Message(text=text))
