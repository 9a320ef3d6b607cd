"""What trains one run or tests its learning rates: device, images, net, and what trains it."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from cifar_tui.engine.checkpoint.classes import Match
from cifar_tui.engine.checkpoint.provenance import same_kind_of_device
from cifar_tui.engine.checkpoint.state import load_state
from cifar_tui.engine.checkpoint.trained_on import TrainedOn
from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.control import RunControl
from cifar_tui.engine.data.dataset import Dataset, ImageSplit
from cifar_tui.engine.device.capabilities import compiles
from cifar_tui.engine.device.memory import FREE_MEMORY, out_of_memory_explained, release_gpu_memory
from cifar_tui.engine.device.nvidia import unused_gpu
from cifar_tui.engine.device.precision import precision_of
from cifar_tui.engine.device.select import current_device, select_device
from cifar_tui.engine.disk.run_folder import RunFolder
from cifar_tui.engine.distributed.ranks import ALONE, Ranks
from cifar_tui.engine.events import Alert, Event, Message, Phase, PhaseChanged
from cifar_tui.engine.layout import LAST_FILE
from cifar_tui.engine.steps.select import BackendChoice
from cifar_tui.engine.training.build import TrainingSetup, build_training
from cifar_tui.engine.training.loading import load_images
from cifar_tui.engine.training.run_model import RunModel
from cifar_tui.terminal.process_tuning import gc_frozen

if TYPE_CHECKING:
    from cifar_tui.engine.evaluation.evaluate import EvalReport


class RunParts:
    """Makes the parts of a run in the calling thread; for its arguments see `Session`."""

    def __init__(
        self,
        *,
        config: TrainConfig,
        emit: Callable[[Event], None],
        control: RunControl,
        assume_class_order: bool = False,
        edited_model: bool = False,
    ) -> None:
        self.config = config
        self.dataset: Dataset | None = None
        self.report: EvalReport | None = None
        self._test: ImageSplit | None = None
        self._said_why_not_on_a_gpu = False
        self._emit = emit
        self.control = control
        self._ranks: Ranks = ALONE
        self._assume_class_order = assume_class_order
        self._edited_model = edited_model
        self._model = RunModel(
            config, emit, cancelled=lambda: self.control.stop_requested, edited=edited_model
        )

    @contextmanager
    def _own_device(
        self, name: str, select: Callable[[str], torch.device] = select_device
    ) -> Iterator[torch.device]:
        """Compute on the device called `name` in a block, and give back its memory afterwards."""
        try:
            with out_of_memory_explained(name, FREE_MEMORY):
                device = select(name)
                self._say_why_not_on_a_gpu(name, device)
            with out_of_memory_explained(device, FREE_MEMORY), current_device(device):
                yield device
        finally:
            self._test = None
            release_gpu_memory()

    def _say_why_not_on_a_gpu(self, name: str, device: torch.device) -> None:
        if name == "auto" and device.type == "cpu" and not self._said_why_not_on_a_gpu:
            self._said_why_not_on_a_gpu = True
            if reason := unused_gpu():
                self._emit(Alert(text=f"computing on the CPU: {reason}"))

    def _build(
        self,
        config: TrainConfig,
        choice: BackendChoice,
        train: ImageSplit,
        *,
        create_folder: Callable[[], RunFolder] | None = None,
        resumed: Mapping[str, Any] | None = None,
    ) -> TrainingSetup:
        """Build the net, create the folder of the run if it has one, and build what trains the net."""
        if self.dataset is None:
            raise AssertionError("images are loaded before a model is built")
        ranks, class_names, device = self._ranks, self.dataset.class_names, train.targets.device
        net = ranks.in_turn(
            lambda: self._model.build(
                config, train, class_names, resumed=resumed is not None, processes=ranks.size
            )
        )
        with ranks.together():
            last = Path() if create_folder is None else create_folder().path / LAST_FILE
        precision = restore = None
        if resumed is not None:
            restore = partial(load_state, state=resumed, path=last)
            # another device type may not support this precision, or not gain from it
            if same_kind_of_device(resumed["provenance"], device):
                precision = precision_of(resumed["steps"])
        with self._model.preparing():
            if choice.backend.name != "eager" or compiles(config, device):
                self._emit(PhaseChanged(phase=Phase.LOADING, message="compiling the training step"))
            with gc_frozen():  # imports what an optimizer needs of PyTorch
                setup = build_training(
                    config,
                    choice,
                    num_classes=len(class_names),
                    train=train,
                    log=self._log,
                    cancelled=lambda: self.control.stop_requested,
                    ranks=ranks,
                    emit=self._emit,
                    resumed_precision=precision,
                    restore=restore,
                    net=net,
                )
            self._log(setup.choice.sentence())
        with ranks.together():
            self._model.check_precision(setup, len(class_names), ranks.size)
        return setup

    def _log(self, text: str) -> None:
        self._emit(Message(text=text))

    def _load_data(
        self, config: TrainConfig, match: Match | None = None, trained_on: TrainedOn | None = None
    ) -> Dataset:
        """Load the images, with the classes of the weights that `match` knows, as they were `trained_on`."""
        self.dataset = load_images(
            config,
            self._emit,
            lambda: self.control.stop_requested,
            match,
            trained_on=trained_on or TrainedOn(),
        )
        return self.dataset
