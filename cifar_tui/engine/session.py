"""What a run does, top to bottom: the five steps of the tutorial."""

import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from cifar_tui.engine.atomic import disk_errors_explained, write_text_atomically
from cifar_tui.engine.checkpoint.files import load_into, load_weights
from cifar_tui.engine.checkpoint.provenance import (
    describe_provenance,
    precision_differences,
    provenance_differences,
    same_kind_of_device,
    schedule_differences,
)
from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.config.tracking import ConfigReads
from cifar_tui.engine.control import RunControl
from cifar_tui.engine.data.dataset import Dataset, ImageSplit, split_validation
from cifar_tui.engine.data.sources import load_dataset
from cifar_tui.engine.device.capabilities import check_compiler_cache, check_device, compiles
from cifar_tui.engine.device.precision import precision_of
from cifar_tui.engine.device.select import (
    current_device,
    describe_device,
    intra_op_threads,
    select_device,
    training_threads,
)
from cifar_tui.engine.errors import CancelledError, ConfigError, RunFailedError
from cifar_tui.engine.evaluation.evaluate import EvalReport, evaluate
from cifar_tui.engine.events import (
    SAMPLE_IMAGES,
    Alert,
    DataLoaded,
    Event,
    Message,
    Phase,
    PhaseChanged,
    TrainingFinished,
    TrainingStarted,
    finite_or_none,
)
from cifar_tui.engine.layout import LAST_FILE, REPORT_FILE, WEIGHTS_FILE
from cifar_tui.engine.models.classifier import infer_num_classes
from cifar_tui.engine.models.registry import create_model
from cifar_tui.engine.steps.select import BackendChoice, resolve_backend
from cifar_tui.engine.training.build import (
    TrainingSetup,
    build_training,
    create_predictor,
    training_arithmetic,
)
from cifar_tui.engine.training.trainer import RunContext, Trainer
from cifar_tui.terminal.process_tuning import gc_frozen

_FREE_MEMORY = "end other programs that use it, or choose another device"
_TUTORIAL_BATCH = 4
_NAMED_FILES = 20


class Session:
    """One run, in the calling thread.

    Args:
        config: the settings.
        emit: takes every event; it must not block.
        control: what others request of this run; may be replaced between two jobs.

    Attributes:
        dataset: the images, on the CPU; None until loaded. Other threads may read it at any time.
        report: the latest evaluation; None before the first. Other threads may read it at any time.
    """

    def __init__(self, *, config: TrainConfig, emit: Callable[[Event], None], control: RunControl) -> None:
        self.config = config
        self.dataset: Dataset | None = None
        self.report: EvalReport | None = None
        self._test: ImageSplit | None = None
        self._emit = emit
        self.control = control

    def train(
        self,
        create_folder: Callable[[], Path],
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
        device = select_device(reads.device)
        check_device(self.config, device)
        check_compiler_cache()
        with current_device(device):
            return self._train(reads, device, create_folder, interactive=interactive, resumed=resume_from)

    def _train(
        self,
        reads: ConfigReads,
        device: torch.device,
        create_folder: Callable[[], Path],
        *,
        interactive: bool,
        resumed: Mapping[str, Any] | None,
    ) -> TrainingFinished:
        config = cast("TrainConfig", reads)
        # 1. load and normalize the images
        dataset = self._load_data(config)
        kept, held_out = split_validation(dataset.train, config.val_size, seed=config.seed)
        train, self._test = _on_device(kept, device), _on_device(dataset.test, device)
        # bypass `reads`: comparing settings with their defaults must not mark them as read
        choice = resolve_backend(
            self.config,
            device,
            images=config.epochs * len(train),
            resumed=None if resumed is None else resumed["provenance"]["backend"],
        )
        folder = create_folder()
        threads = training_threads(device, config.batch_size)
        advice = "try a smaller batch size or another device" if resumed is None else _FREE_MEMORY
        with _out_of_memory_explained(advice), intra_op_threads(threads):
            # 2. define the network, 3. the loss and the optimizer
            torch.manual_seed(config.seed)
            setup = self._build(config, choice, train, resumed)
            provenance = describe_provenance(dataset, describe_device(device), threads, setup.choice.identity)
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
                ),
                samples=self._test.images[:SAMPLE_IMAGES],
                evaluate=lambda step: self._evaluate_while_training(setup.predictor, step),
                validate=self._validation(setup.predictor, held_out, device),
            )
            reads.check_all_followed()
            if resumed is not None:
                self._alert_differences(resumed, provenance, setup.precision)
                _load_state(trainer, resumed, folder / LAST_FILE)
            self._emit(
                TrainingStarted(
                    run=folder.name,
                    device=describe_device(device),
                    steps_per_epoch=trainer.steps_per_epoch,
                    total_steps=config.epochs * trainer.steps_per_epoch,
                    backend=setup.choice.backend.label,
                )
            )
            # 4. train
            with training_arithmetic(config, setup.precision, device):
                finished = trainer.fit()
        if finished.completed:
            # 5. test
            self.evaluate_file(folder / WEIGHTS_FILE, step=finished.step, report_to=folder / REPORT_FILE)
        return finished

    def _build(
        self,
        config: TrainConfig,
        choice: BackendChoice,
        train: ImageSplit,
        resumed: Mapping[str, Any] | None,
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
                resumed=resumed is not None,
                resumed_precision=precision,
            )
        self._log(setup.choice.sentence())
        return setup

    def _alert_differences(
        self, resumed: Mapping[str, Any], provenance: dict[str, str], precision: str
    ) -> None:
        """Say why the results of a resumed run may differ."""
        differences = provenance_differences(resumed["provenance"], provenance)
        differences += precision_differences(precision_of(resumed["steps"]), precision)
        differences += schedule_differences(resumed["config"], self.config)
        for difference in differences:
            self._emit(Alert(text=f"results may differ from an uninterrupted run: {difference}"))

    def evaluate_file(self, weights: Path, *, step: int = 0, report_to: Path | None = None) -> EvalReport:
        """Load the weights in a file into a fresh model and evaluate it on the test images.

        Args:
            weights: a `state_dict` or a `last.pt`.
            step: steps they were trained for; 0 if unknown.
            report_to: where to write the report; None to write none.

        Raises:
            UserError: any error the user can fix; one sentence.
            CancelledError: a stop was requested.
        """
        state_dict = load_weights(weights)
        device = select_device(self.config.device)
        dataset = self.dataset or self._load_data(self.config)
        self._test = _on_device(dataset.test, device)
        _check_num_classes(state_dict, dataset, weights)
        net = create_model(self.config.model, num_classes=len(dataset.class_names))
        load_into(net, state_dict, weights)
        with current_device(device), _out_of_memory_explained(_FREE_MEMORY):
            predictor = create_predictor(net.to(device), self.config)
            report = self._evaluate(predictor, step=step, final=True)
        if report_to is not None:
            write_report(report_to, report, step=step)
        self._log_results(dataset, report)
        return report

    def _log(self, text: str) -> None:
        self._emit(Message(text=text))

    def _load_data(self, config: TrainConfig) -> Dataset:
        self._emit(PhaseChanged(phase=Phase.LOADING, message=f"dataset (data={config.data})"))
        dataset = load_dataset(
            config.data,
            data_dir=Path(config.data_dir),
            seed=config.seed,
            report=self._emit,
            cancelled=lambda: self.control.stop_requested,
        )
        skipped = dataset.skipped_files
        if skipped:
            named = "; ".join(skipped[:_NAMED_FILES]) + ("; …" if len(skipped) > _NAMED_FILES else "")
            files = "file" if len(skipped) == 1 else "files"
            counted = f"{len(skipped):,} {files}"
            self._emit(Alert(text=f"skipped {counted} that could not be read as images: {named}"))
        self._emit(
            DataLoaded(
                title=dataset.title,
                synthetic=dataset.synthetic,
                class_names=dataset.class_names,
                train_images=len(dataset.train),
                test_images=len(dataset.test),
            )
        )
        self.dataset = dataset
        return dataset

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

    def _validation(
        self, net: nn.Module, held_out: ImageSplit | None, device: torch.device
    ) -> Callable[[], EvalReport | None] | None:
        """Return what evaluates `net` on the held-out images, if any; it returns None when cancelled."""
        if held_out is None or self.dataset is None:
            return None
        split, class_names = _on_device(held_out, device), self.dataset.class_names

        def validate() -> EvalReport | None:
            try:
                return evaluate(net, split, class_names, cancelled=lambda: self.control.stop_requested)
            except CancelledError:
                return None

        return validate

    def _log_results(self, dataset: Dataset, report: EvalReport) -> None:
        """Print what the tutorial prints at its end, and the exact accuracy."""
        names = dataset.class_names
        first = slice(0, _TUTORIAL_BATCH)
        event = report.to_event(step=0, final=True)
        exact = f"{100 * event.accuracy:.2f} % ({event.correct} of {event.total}), loss {event.loss:.4f}"
        lines = [
            "GroundTruth:  " + " ".join(f"{names[k]:5s}" for k in report.targets[first].tolist()),
            "Predicted:    " + " ".join(f"{names[k]:5s}" for k in report.predicted[first].tolist()),
            event.tutorial_line(),
            f"Test accuracy {exact}" + (", on synthetic images" if dataset.synthetic else ""),
        ]
        for entry in event.per_class:
            share = ": no test images" if entry.accuracy is None else f" is {100 * entry.accuracy:.1f} %"
            name = entry.name if entry.accuracy is None else f"{entry.name:5s}"
            lines.append(f"Accuracy for class: {name}{share}")
        for line in lines:
            self._emit(Message(text=line.rstrip(), printed=True))


def write_report(path: Path, report: EvalReport, *, step: int) -> None:
    """Write the evaluation as JSON: the `test` object, loss, confusion (rows: truth) and every prediction.

    Raises:
        RunFailedError: the file cannot be written.
    """
    content: dict[str, Any] = {
        "schema": 1,
        "step": step,
        "loss": report.loss,  # null where it is not finite, as a confidence is
        "test": report.to_dict(),
        "class_names": list(report.class_names),
        "confusion": report.confusion.tolist(),
        "targets": report.targets.tolist(),
        "predicted": report.predicted.tolist(),
        "confidences": [round(confidence, 6) for confidence in report.confidences.tolist()],
    }
    with disk_errors_explained(f"write the report '{path}'"):
        write_text_atomically(path, json.dumps(finite_or_none(content), allow_nan=False))


def _check_num_classes(state_dict: Mapping[str, torch.Tensor], dataset: Dataset, path: Path) -> None:
    found, expected = infer_num_classes(state_dict), len(dataset.class_names)
    if found is not None and found != expected:
        raise ConfigError(
            f"'{path}' expects {found} classes, the dataset ({dataset.title}) has {expected}; "
            "use --data with the dataset it was trained on"
        )


def _load_state(trainer: Trainer, state: Mapping[str, Any], path: Path) -> None:
    try:
        trainer.load_state_dict(state)
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        reason = str(error).splitlines()[:2][-1].strip().rstrip(".")  # torch begins with a heading
        raise ConfigError(
            f"'{path}' does not match the model or the dataset ({reason}); "
            "use the dataset it was trained on, or start a new run"
        ) from error


def _on_device(split: ImageSplit, device: torch.device) -> ImageSplit:
    return ImageSplit(images=split.images.to(device), targets=split.targets.to(device))


@contextmanager
def _out_of_memory_explained(advice: str) -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        if isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error):
            raise RunFailedError(f"the device is out of memory: {advice}") from error
        raise
