"""What a run does with its model: load what makes it, build it, start it from weights, try it, keep it."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import torch
from torch import nn

from cifar_tui.engine.atomic import disk_errors_explained
from cifar_tui.engine.checkpoint.find import find_weights
from cifar_tui.engine.checkpoint.start import start_from
from cifar_tui.engine.checkpoint.weights import RecognizedWeights
from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.data.dataset import ImageSplit
from cifar_tui.engine.data.fetch import exists
from cifar_tui.engine.data.registry import Progress, user_path
from cifar_tui.engine.device.interrupt import interrupted_when
from cifar_tui.engine.device.precision import autocasts
from cifar_tui.engine.device.random_state import randomness_kept, seed_everything
from cifar_tui.engine.disk.run_folder import RunFolder
from cifar_tui.engine.errors import ConfigError
from cifar_tui.engine.events import Alert, Event, Message, Phase, PhaseChanged
from cifar_tui.engine.layout import MODEL_FILE, WEIGHTS_FILE
from cifar_tui.engine.models.check import check_net
from cifar_tui.engine.models.freezing import check_head, freezing_sentence
from cifar_tui.engine.models.load import load_model
from cifar_tui.engine.models.own.name import short_model
from cifar_tui.engine.models.published.weights import fetch_published_weights
from cifar_tui.engine.models.source import ModelSource
from cifar_tui.engine.optim.build import create_optimizer
from cifar_tui.engine.training.build import TrainingSetup


class RunModel:
    """The model of a run.

    Args:
        config: the settings.
        emit: takes every event.
        cancelled: whether to stop early.
        edited: whether to take the user's file as it is now, not what a run has kept.

    Attributes:
        source: what makes the net; None until loaded.
    """

    def __init__(
        self,
        config: TrainConfig,
        emit: Callable[[Event], None],
        *,
        cancelled: Callable[[], bool],
        edited: bool,
    ) -> None:
        self.source: ModelSource | None = None
        self._config = config
        self._emit = emit
        self._cancelled = cancelled
        self._edited = edited

    @property
    def loaded(self) -> ModelSource:
        """What makes the net, after `load`."""
        if self.source is None:
            raise AssertionError("a model is loaded before it is used")
        return self.source

    def load(self, kept_in: Path | None) -> None:
        """Load what makes the net; a user's from what the run in `kept_in` has kept, or from their file.

        Raises:
            ConfigError: it cannot be loaded; the sentence names the user's line.
            CancelledError: the user requested a stop.
        """
        weights = self._config.weights
        if kept_in is None and weights:  # before images are decoded
            _check_file(weights)
        with interrupted_when(self._cancelled):
            self.source, changes = load_model(
                self._config.model,
                kept_in=None if self._edited else kept_in,
                seed=self._config.seed,
                say=self._log,
            )
        for change in changes:
            self._alert(change)

    def build(
        self,
        config: TrainConfig,
        train: ImageSplit,
        class_names: Sequence[str],
        *,
        resumed: bool,
        processes: int = 1,
    ) -> nn.Module:
        """Build the net on the device of `train`, and try it on what the training will give it.

        Seeds all generators of random numbers, and draws from them what its initialization draws.

        Args:
            config: the settings.
            train: the training images.
            class_names: those of the dataset.
            resumed: whether a checkpoint has its weights, so that it starts from no others.
            processes: that train it.

        Raises:
            ConfigError: it cannot be trained; the sentence names the user's line.
            DataUnavailableError: published weights cannot be downloaded.
            CancelledError: the user requested a stop.
        """
        source, num_classes, device = self.loaded, len(class_names), train.targets.device
        if source.is_tried:
            self._say_loading(short_model(config.model))
        seed_everything(config.seed)
        pretrained, weights = config.pretrained, config.weights
        with interrupted_when(self._cancelled):
            net = source.build(num_classes=num_classes, image_size=train.image_size)
        if not resumed:
            self._start(net, class_names, train, pretrained=pretrained, weights=weights)
        if config.freeze != "none":
            check_head(net, num_classes)
            self._log(freezing_sentence(net, config))
            if not pretrained and not weights:
                self._alert(
                    "freeze backbone without pretrained or weights: what is frozen has random weights"
                )
        with interrupted_when(self._cancelled):
            with source.running(ConfigError, net):
                net = net.to(device)
            create_optimizer(net, config)  # torch may refuse its options: say so before there is a folder
            if source.is_tried:
                check_net(
                    source,
                    net,
                    train,
                    self._config,
                    num_classes=num_classes,
                    precision="fp32",
                    processes=processes,
                )
        return net

    def _start(
        self,
        net: nn.Module,
        class_names: Sequence[str],
        train: ImageSplit,
        *,
        pretrained: bool,
        weights: str,
    ) -> None:
        """Give a new net the weights to start from, if the settings name any."""
        if pretrained:
            self._say_loading("published weights")
            published = fetch_published_weights(self._config.model, Progress(self._emit, self._cancelled))
            path = published.path
        elif weights:
            self._say_loading("weights")
            path, published = user_path(weights), None
        else:
            return
        self._log(start_from(path, net, self.loaded, class_names, train=train, published=published))

    def check_precision(self, setup: TrainingSetup, num_classes: int, processes: int = 1) -> None:
        """Try it in the precision of `setup`, if that is not what `build` tried.

        Raises:
            ConfigError: it cannot be trained in this precision.
        """
        if self.loaded.is_tried and autocasts(setup.precision):
            check_net(
                self.loaded,
                setup.net,
                setup.train,
                self._config,
                num_classes=num_classes,
                precision=setup.precision,
                processes=processes,
            )

    def keep(self, folder: RunFolder) -> None:
        """Keep the source of a user's net in `folder`, unless it comes from there.

        Raises:
            RunFailedError: it cannot be written.
        """
        if not self.loaded.hash:
            return
        with folder.saving() as path, disk_errors_explained(f"save '{path / MODEL_FILE}'"):
            self.loaded.keep(path)

    def preparing(self) -> AbstractContextManager[None]:
        """Have what a user's code raises in a block name their line, as an error of the settings."""
        return self.loaded.running(ConfigError, among_others=True)

    def running(self) -> AbstractContextManager[None]:
        """Have what a user's code raises in a block name their line, and log what it prints."""
        return self.loaded.called()

    @contextmanager
    def evaluating(self, weights: RecognizedWeights, device: torch.device) -> Iterator[None]:
        """Run a block that evaluates `weights`, always with the same random numbers if it draws any."""
        with randomness_kept(device):
            seed_everything(self._config.seed)
            with weights.source.called(weights.net):
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
            source=None if any_model else self.source,
        )

    def _alert(self, text: str) -> None:
        self._emit(Alert(text=text))

    def _say_loading(self, what: str) -> None:
        self._emit(PhaseChanged(phase=Phase.LOADING, message=what))

    def _log(self, text: str) -> None:
        self._emit(Message(text=text))


def _check_file(weights: str) -> None:
    """Check that the setting `weights` names a file.

    Raises:
        ConfigError: it does not.
    """
    path, problem = user_path(weights), ""
    if not exists(path):
        problem = "do not exist: set the path of a file"
    elif path.is_dir():
        problem = f"are a folder: set the path of a file in it, such as {WEIGHTS_FILE}"
    if problem:
        raise ConfigError(f"weights {weights!r} {problem}", field="weights")
