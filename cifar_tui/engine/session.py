"""What a run does, top to bottom: the five steps of the tutorial."""

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from cifar_tui.engine.checkpoint.classes import Match, match_resumed, match_weights, training_images
from cifar_tui.engine.checkpoint.provenance import (
    describe_provenance,
    resume_differences,
    same_kind_of_device,
    split_differences,
)
from cifar_tui.engine.checkpoint.state import has_trained, load_state
from cifar_tui.engine.checkpoint.trained_on import TrainedOn, trained_on_in
from cifar_tui.engine.checkpoint.weights import build_net
from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.config.tracking import ConfigReads
from cifar_tui.engine.control import RunControl
from cifar_tui.engine.data.dataset import Dataset, ImageSplit, validation_split
from cifar_tui.engine.device.capabilities import check_compiler_cache, check_device, compiles
from cifar_tui.engine.device.memory import FREE_MEMORY, out_of_memory_explained, release_gpu_memory
from cifar_tui.engine.device.nvidia import unused_gpu
from cifar_tui.engine.device.precision import precision_of
from cifar_tui.engine.device.select import (
    current_device,
    describe_device,
    intra_op_threads,
    select_device,
    training_threads,
)
from cifar_tui.engine.disk.run_folder import RunFolder
from cifar_tui.engine.errors import CancelledError, RunFailedError
from cifar_tui.engine.evaluation.evaluate import EvalReport, evaluate
from cifar_tui.engine.evaluation.report import result_lines, write_report
from cifar_tui.engine.events import (
    SAMPLE_IMAGES,
    Alert,
    Event,
    Message,
    Phase,
    PhaseChanged,
    TrainingFinished,
    TrainingStarted,
)
from cifar_tui.engine.layout import LAST_FILE, REPORT_FILE, WEIGHTS_FILE
from cifar_tui.engine.steps.select import BackendChoice, resolve_backend
from cifar_tui.engine.training.build import (
    TrainingSetup,
    build_training,
    create_predictor,
    training_arithmetic,
)
from cifar_tui.engine.training.loading import load_images, moved
from cifar_tui.engine.training.run_context import RunContext
from cifar_tui.engine.training.run_model import RunModel
from cifar_tui.engine.training.trainer import Trainer
from cifar_tui.engine.training.validation import check_patience
from cifar_tui.terminal.process_tuning import gc_frozen


class Session:
    """One run, in the calling thread.

    Args:
        config: the settings.
        emit: takes every event; it must not block.
        control: what others request of this run; may be replaced between two jobs.
        assume_class_order: whether classes with other names than those of the weights are the same classes
            in the same order.
        edited_model: whether to take a user's net from its file as it is now, not from what a run has kept.

    Attributes:
        dataset: the images, on the CPU; None until loaded. Other threads may read it at any time.
        report: the latest evaluation; None before the first. Other threads may read it at any time.
    """

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
        self._assume_class_order = assume_class_order
        self._model = RunModel(
            config, emit, cancelled=lambda: self.control.stop_requested, edited=edited_model
        )

    def train(
        self,
        create_folder: Callable[[], RunFolder],
        *,
        interactive: bool,
        resume_from: Mapping[str, Any] | None = None,
    ) -> TrainingFinished:
        """Load, train, save, load the saved weights again and evaluate them.

        Args:
            create_folder: makes the run's folder; called once the images are loaded, so a run without any
                leaves nothing behind, and before anything is compiled, so that others can follow and stop it.
            interactive: whether somebody can resume a run that paused itself; if not, it fails instead.
            resume_from: the content of the run's `last.pt` to continue from.

        Raises:
            UserError: any error the user can fix; one sentence.
            CancelledError: a stop was requested before the first step, or while evaluating.
        """
        reads = ConfigReads(self.config)
        with self._own_device(reads.device) as device:
            check_device(self.config, device)
            check_compiler_cache()
            return self._train(reads, device, create_folder, interactive=interactive, resumed=resume_from)

    @contextmanager
    def _own_device(self, name: str) -> Iterator[torch.device]:
        """Compute on the device called `name` in a block, and give back its memory afterwards."""
        try:
            with out_of_memory_explained(name, FREE_MEMORY):
                device = select_device(name)
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

    def _train(
        self,
        reads: ConfigReads,
        device: torch.device,
        create_folder: Callable[[], RunFolder],
        *,
        interactive: bool,
        resumed: Mapping[str, Any] | None,
    ) -> TrainingFinished:
        config = cast("TrainConfig", reads)
        self._model.load(None if resumed is None else create_folder().path)
        # 1. load and normalize the images
        if resumed is None:
            dataset = self._load_data(config)
        else:
            match = partial(match_resumed, resumed, config.epochs, assume_order=self._assume_class_order)
            dataset = self._load_data(config, match, trained_on=trained_on_in(resumed))
        kept, held_out = validation_split(dataset, config.val_size, seed=config.seed)
        check_patience(config.patience, held_out)
        splits = [kept, dataset.test, *([] if held_out is None else [held_out])]
        train, self._test, *others = moved(splits, device, self._log)
        validation = others[0] if others else None
        # bypass `reads`: comparing settings with their defaults must not mark them as read
        choice = resolve_backend(
            self.config,
            device,
            images=config.epochs * len(train),
            resumed=None if resumed is None else resumed["provenance"]["backend"],
        )
        threads = training_threads(device, config.batch_size)
        advice = FREE_MEMORY
        if resumed is None:  # which keeps its batch size
            advice = f"lower batch_size (now {config.batch_size:,}), or choose another device"
        with out_of_memory_explained(device, advice), intra_op_threads(threads):
            # 2. define the network, 3. the loss and the optimizer
            net = self._model.build(config, train, dataset.class_names, resumed=resumed is not None)
            folder = create_folder()
            with self._model.preparing():
                setup = self._build(config, choice, net, train, resumed, folder.path / LAST_FILE)
            self._model.check_precision(setup, len(dataset.class_names))
            provenance = describe_provenance(
                dataset, describe_device(device), threads, setup.choice.identity, self._model.loaded.hash
            )
            if resumed is not None and has_trained(resumed, config.epochs):
                provenance["images"] = resumed["provenance"].get("images", "?")  # those it was trained on
            trainer = Trainer(
                config,
                setup,
                RunContext(
                    folder=folder,
                    emit=self._emit,
                    control=self.control,
                    interactive=interactive,
                    settings=dataclasses.asdict(self.config),
                    provenance=provenance,
                    class_names=dataset.class_names,
                    scales=dataset.scales,
                    normalization=train.normalization,
                ),
                samples=self._test.select(slice(SAMPLE_IMAGES)),
                evaluate=lambda step: self._evaluate_while_training(setup.predictor, step),
                validate=None
                if validation is None
                else partial(self._validate, setup.predictor, validation, dataset.class_names),
            )
            reads.check_all_followed()
            if resumed is not None:
                load_state(trainer, resumed, folder.path / LAST_FILE)
                for difference in resume_differences(resumed, self.config, provenance, setup.precision):
                    self._emit(Alert(text=f"results may differ from an uninterrupted run: {difference}"))
            self._model.keep(folder)
            self._emit(
                TrainingStarted(
                    run=folder.path.name,
                    device=describe_device(device),
                    steps_per_epoch=trainer.steps_per_epoch,
                    total_steps=config.epochs * trainer.steps_per_epoch,
                    backend=setup.choice.backend.label,
                )
            )
            # 4. train
            with (
                training_arithmetic(config, setup.precision, device),
                out_of_memory_explained(device, advice, rescue=trainer.rescue),
                self._model.running(),
            ):
                finished = trainer.fit()
        if finished.completed:
            # 5. test
            weights = folder.when_made_again() / WEIGHTS_FILE
            self.evaluate_file(weights, step=finished.step, report_to=folder)
        return finished

    def _build(
        self,
        config: TrainConfig,
        choice: BackendChoice,
        net: nn.Module,
        train: ImageSplit,
        resumed: Mapping[str, Any] | None,
        last: Path,
    ) -> TrainingSetup:
        if self.dataset is None:
            raise AssertionError("images are loaded before a model is built")
        if choice.backend.name != "eager" or compiles(config, train.targets.device):
            self._emit(PhaseChanged(phase=Phase.LOADING, message="compiling the training step"))
        precision = None
        # another device type may not support this precision, or not gain from it
        if resumed is not None and same_kind_of_device(resumed["provenance"], train.targets.device):
            precision = precision_of(resumed["steps"])
        with gc_frozen():  # imports what an optimizer needs of PyTorch
            setup = build_training(
                config,
                choice,
                num_classes=len(self.dataset.class_names),
                train=train,
                log=self._log,
                cancelled=lambda: self.control.stop_requested,
                resumed_precision=precision,
                restore=None if resumed is None else lambda setup: load_state(setup, resumed, last),
                net=net,
            )
        self._log(setup.choice.sentence())
        return setup

    def evaluate_file(
        self,
        weights: Path,
        *,
        step: int = 0,
        report_to: RunFolder | None = None,
        any_model: bool = False,
        trained_seed: int | None = None,
    ) -> EvalReport:
        """Load the weights in a file into a fresh model and evaluate it on the test images.

        Args:
            weights: a file of weights; see `load_weights`.
            step: steps they were trained for; 0 if unknown.
            report_to: the folder of the run to write the report to, wherever it is then; None to write none.
            any_model: whether the weights may be of another model than that in the settings.
            trained_seed: the seed they were trained with; None if unknown.

        Raises:
            UserError: any error the user can fix; one sentence.
            CancelledError: a stop was requested.
        """
        recognized = self._model.find_weights(weights, any_model=any_model)
        net = build_net(recognized)
        if recognized.notes:
            self._log(f"'{weights}': {'; '.join(recognized.notes)}")
        with out_of_memory_explained(self.config.device, FREE_MEMORY):
            select_device(self.config.device)  # before the images are loaded
        if (dataset := self.dataset) is None:
            match = partial(match_weights, recognized, assume_order=self._assume_class_order)
            dataset = self._load_data(self.config, match, trained_on=training_images(recognized))
            for difference in split_differences(dataset, trained_seed, self.config.seed):
                self._emit(Alert(text=difference))
        with (
            self._own_device(self.config.device) as device,
            out_of_memory_explained(device, FREE_MEMORY, rescue=lambda _: f"'{weights}' is kept; "),
        ):
            (self._test,) = moved([dataset.test], device, self._log)
            with self._model.evaluating(recognized, device):
                predictor = create_predictor(net.to(device), self.config)
                report = self._evaluate(predictor, step=step, final=True)
        if report_to is not None:
            report_to.when_made_again()
            with report_to.saving() as folder:
                write_report(folder / REPORT_FILE, report, step=step)
        for line in result_lines(dataset, report):
            self._emit(Message(text=line, printed=True))
        return report

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

    def _evaluate(self, net: nn.Module, *, step: int, final: bool) -> EvalReport:
        dataset, test = self.dataset, self._test
        if dataset is None or test is None:
            raise AssertionError("images are loaded before a model is evaluated")
        self._emit(PhaseChanged(phase=Phase.EVALUATING))
        report = evaluate(
            net,
            test,
            dataset.class_names,
            progress=self._emit,
            cancelled=lambda: self.control.stop_requested,
        )
        if not math.isfinite(report.loss):  # every prediction would be the first class
            where = f" at step {step:,}" if step else ""
            reason = f"no accuracy{where}: the outputs for the test images are not finite"
            if final:
                raise RunFailedError(f"{reason}; use precision fp32, or an earlier checkpoint")
            self._emit(Alert(text=reason))
            return report
        self.report = report
        evaluated = report.to_event(step=step, final=final)
        self._emit(evaluated)
        return report

    def _evaluate_while_training(self, net: nn.Module, step: int) -> bool:
        """Evaluate between two training steps; false if a stop cancelled it."""
        try:
            self._evaluate(net, step=step, final=False)
        except CancelledError:
            return False
        return True

    def _validate(self, net: nn.Module, split: ImageSplit, class_names: tuple[str, ...]) -> EvalReport | None:
        """Evaluate on the validation images between two training steps; None if a stop cancelled it."""
        try:
            return evaluate(net, split, class_names, cancelled=lambda: self.control.stop_requested)
        except CancelledError:
            return None
