"""What a run does from its first image to its report: the five steps of the tutorial, top to bottom."""

import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from cifar_tui.engine.atomic import write_text_atomically
from cifar_tui.engine.checkpoint.files import load_into, load_weights
from cifar_tui.engine.checkpoint.provenance import (
    describe_provenance,
    precision_differences,
    provenance_differences,
    same_kind_of_device,
    schedule_differences,
)
from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.control import RunControl
from cifar_tui.engine.data.dataset import Dataset, ImageSplit, split_validation
from cifar_tui.engine.data.sources import load_dataset
from cifar_tui.engine.device.capabilities import check_compiler_cache, check_device, compiles
from cifar_tui.engine.device.precision import matrix_precision, precision_of
from cifar_tui.engine.device.select import (
    current_device,
    describe_device,
    fastest_convolutions,
    intra_op_threads,
    select_device,
    training_threads,
)
from cifar_tui.engine.errors import CancelledError, ConfigError, RunFailedError
from cifar_tui.engine.evaluation.evaluate import EvalReport, evaluate
from cifar_tui.engine.events import (
    Alert,
    DataLoaded,
    EvaluationProgress,
    Event,
    Message,
    Phase,
    PhaseChanged,
    TrainingFinished,
    TrainingStarted,
    finite_or_none,
)
from cifar_tui.engine.layout import LAST_FILE, REPORT_FILE, WEIGHTS_FILE
from cifar_tui.engine.models import create_model, infer_num_classes
from cifar_tui.engine.steps.recipe_steps import RecipeSteps
from cifar_tui.engine.steps.select import backend_in_use, resolve_backend, steps_made_by
from cifar_tui.engine.training.build import build_training, create_predictor
from cifar_tui.engine.training.trainer import Trainer
from cifar_tui.terminal.process_tuning import gc_frozen

_TUTORIAL_BATCH = 4
_NAMED_FILES = 20
_SAMPLE_IMAGES = 64
"""How many of the first test images are predicted again and again while training."""


class Session:
    """One run, in the calling thread.

    Args:
        config: the settings.
        emit: takes every event; it must not block.
        control: what others want of this run; may be replaced between two jobs.

    Attributes:
        dataset: the images, on the CPU; None until they are loaded. Others may read it at any time.
        report: the latest evaluation; None until there is one. Others may read it at any time.
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
            create_folder: makes the run's folder; called once the images are there, so that a run that cannot
                start leaves nothing behind.
            interactive: whether somebody can resume a run that paused itself; if not, it fails instead.
            resume_from: what the run's `last.pt` holds, to go on from there.

        Raises:
            UserError: anything the user can put right, in one sentence.
            CancelledError: a stop was asked for before the first step, or while evaluating.
        """
        device = select_device(self.config.device)
        check_device(self.config, device)
        check_compiler_cache()
        with current_device(device):
            return self._train(device, create_folder, interactive=interactive, resume_from=resume_from)

    def _train(
        self,
        device: torch.device,
        create_folder: Callable[[], Path],
        *,
        interactive: bool,
        resume_from: Mapping[str, Any] | None,
    ) -> TrainingFinished:
        config, emit = self.config, self._emit
        dataset = self._load_data()
        kept, held_out = split_validation(dataset.train, config.val_size, seed=config.seed)
        train, self._test = _on_device(kept, device), _on_device(dataset.test, device)
        resumed = resume_from or {}
        before = None if resume_from is None else steps_made_by(resumed.get("origin"))
        began_in = precision_of(resumed.get("steps"))
        path = resolve_backend(config, device, images=config.epochs * len(train), before=before)
        folder = create_folder()
        threads = training_threads(device, config.batch_size)
        with _out_of_memory_explained(), intra_op_threads(threads), ExitStack() as computing:
            torch.manual_seed(config.seed)
            with gc_frozen():  # what an optimizer needs of PyTorch is imported here
                learner = build_training(
                    config,
                    path,
                    num_classes=len(dataset.class_names),
                    train=train,
                    say=self._say,
                    # on another kind of device it is unknown whether that one can do it, and whether it pays
                    began_in=began_in if same_kind_of_device(resumed.get("origin"), device) else None,
                )
            computing.enter_context(matrix_precision(learner.precision))
            is_recipe = isinstance(learner.steps, RecipeSteps)
            if is_recipe:
                computing.enter_context(fastest_convolutions(device))
            net, predictor = learner.net, learner.predictor
            if path.fast or compiles(config, device):
                emit(PhaseChanged(phase=Phase.LOADING, message="compiling the steps"))
            with gc_frozen():
                learner.steps.prepare(lambda: self.control.stop_requested)
            path = backend_in_use(path, learner.steps, config, before=before)
            backend = ""
            if not is_recipe:  # its steps are made in one way only
                backend = path.name
                self._say(path.sentence())
            origin = describe_provenance(dataset, describe_device(device), threads, path.maker)
            trainer = Trainer(
                config=config,
                net=net,
                optimizer=learner.optimizer,
                train=train,
                samples=self._test.images[:_SAMPLE_IMAGES],
                folder=folder,
                emit=emit,
                control=self.control,
                evaluate=lambda step: self._evaluate_meanwhile(predictor, step),
                interactive=interactive,
                validate=self._validation_of(predictor, held_out, device),
                steps=learner.steps,
                origin=origin,
            )
            if resume_from is not None:
                differences = provenance_differences(resumed.get("origin"), origin)
                differences += precision_differences(began_in, learner.precision)
                for difference in differences + schedule_differences(resumed.get("config"), config):
                    emit(Alert(text=f"the resumed run may come out differently: {difference}"))
                _load_state(trainer, resume_from, folder / LAST_FILE)
            emit(
                TrainingStarted(
                    run=folder.name,
                    config=dataclasses.asdict(config),
                    device=describe_device(device),
                    parameters=sum(parameter.numel() for parameter in net.parameters()),
                    steps_per_epoch=trainer.steps_per_epoch,
                    total_steps=config.epochs * trainer.steps_per_epoch,
                    torch_version=torch.__version__,
                    backend=backend,
                )
            )
            finished = trainer.fit()
        if finished.completed:
            self._evaluate_saved(folder, dataset, device, step=finished.step)
        return finished

    def evaluate_file(self, weights: Path, *, step: int = 0, report_to: Path | None = None) -> EvalReport:
        """Load the weights in a file into a fresh net and evaluate it on the test images.

        Args:
            weights: a `state_dict` or a `last.pt`.
            step: the steps behind them; 0 where that is not known.
            report_to: where the report is written; None to write none.

        Raises:
            UserError: anything the user can put right, in one sentence.
            CancelledError: a stop was asked for.
        """
        state_dict = load_weights(weights)
        device = select_device(self.config.device)
        dataset = self.dataset or self._load_data()
        self._test = _on_device(dataset.test, device)
        self._check_classes(state_dict, dataset, weights)
        net = create_model(self.config.model, num_classes=len(dataset.class_names))
        load_into(net, state_dict, weights)
        with current_device(device), _out_of_memory_explained():
            predictor = create_predictor(net.to(device), self.config)
            report = self._evaluate(predictor, step=step, final=True)
        if report_to is not None:
            write_report(report_to, report, step=step)
        self._say_results(dataset, report)
        return report

    def _say(self, text: str) -> None:
        self._emit(Message(text=text))

    def _load_data(self) -> Dataset:
        self._emit(PhaseChanged(phase=Phase.LOADING, message=f"data {self.config.data}"))
        dataset = load_dataset(
            self.config.data,
            data_dir=Path(self.config.data_dir),
            seed=self.config.seed,
            report=self._emit,
            cancelled=lambda: self.control.stop_requested,
        )
        skipped = dataset.skipped_files
        if skipped:
            named = "; ".join(skipped[:_NAMED_FILES]) + ("; …" if len(skipped) > _NAMED_FILES else "")
            files = "file" if len(skipped) == 1 else "files"
            self._emit(Alert(text=f"skipped {len(skipped):,} {files} that are no images: {named}"))
        self._emit(
            DataLoaded(
                title=dataset.title,
                synthetic=dataset.synthetic,
                class_names=dataset.class_names,
                train_images=len(dataset.train),
                test_images=len(dataset.test),
                skipped=len(skipped),
                skipped_files=skipped[:_NAMED_FILES],
            )
        )
        self.dataset = dataset
        return dataset

    def _check_classes(self, state_dict: dict[str, torch.Tensor], dataset: Dataset, path: Path) -> None:
        found = infer_num_classes(self.config.model, state_dict)
        wanted = len(dataset.class_names)
        if found is not None and found != wanted:
            raise ConfigError(
                f"{path} tells {found} classes apart but {dataset.title} has {wanted}: "
                "name the images it was trained on with --data"
            )

    def _evaluate_saved(self, folder: Path, dataset: Dataset, device: torch.device, *, step: int) -> None:
        """The last step of the tutorial: the saved weights, in a fresh net, on the whole test set."""
        net = create_model(self.config.model, num_classes=len(dataset.class_names))
        path = folder / WEIGHTS_FILE
        load_into(net, load_weights(path), path)
        with _out_of_memory_explained():
            predictor = create_predictor(net.to(device), self.config)
            report = self._evaluate(predictor, step=step, final=True)
        write_report(folder / REPORT_FILE, report, step=step)
        self._say_results(dataset, report)

    def _evaluate(self, net: nn.Module, *, step: int, final: bool) -> EvalReport:
        dataset, test = self.dataset, self._test
        if dataset is None or test is None:
            raise AssertionError("images are loaded before a net is evaluated")
        self._emit(PhaseChanged(phase=Phase.EVALUATING))
        total = len(test)
        report = evaluate(
            net,
            test,
            dataset.class_names,
            progress=lambda done: self._emit(EvaluationProgress(done=done, total=total)),
            cancelled=lambda: self.control.stop_requested,
        )
        self.report = report
        evaluated = report.to_event(step=step, final=final)
        self._emit(evaluated)
        return report

    def _evaluate_meanwhile(self, net: nn.Module, step: int) -> bool:
        """Evaluate between two steps of a training; false if a stop ended it."""
        try:
            self._evaluate(net, step=step, final=False)
        except CancelledError:
            return False
        return True

    def _validation_of(
        self, net: nn.Module, held_out: ImageSplit | None, device: torch.device
    ) -> Callable[[], EvalReport | None] | None:
        """Evaluates `net` on the images held out, with None if a stop ended that; None without images."""
        if held_out is None or self.dataset is None:
            return None
        split, class_names = _on_device(held_out, device), self.dataset.class_names

        def validate() -> EvalReport | None:
            try:
                return evaluate(net, split, class_names, cancelled=lambda: self.control.stop_requested)
            except CancelledError:
                return None

        return validate

    def _say_results(self, dataset: Dataset, report: EvalReport) -> None:
        """Print what the tutorial prints at its end, and the exact figure beside it."""
        names = dataset.class_names
        first = slice(0, _TUTORIAL_BATCH)
        event = report.to_event(step=0, final=True)
        exact = f"{100 * event.accuracy:.2f} % ({event.correct} of {event.total}), loss {event.loss:.4f}"
        lines = [
            "GroundTruth:  " + " ".join(f"{names[k]:5s}" for k in report.targets[first].tolist()),
            "Predicted:    " + " ".join(f"{names[k]:5s}" for k in report.predicted[first].tolist()),
            event.tutorial_line(),
            f"Exactly {exact}" + (", on synthetic images" if dataset.synthetic else ""),
        ]
        for entry in event.per_class:
            share = "no test images" if entry.accuracy is None else f"{100 * entry.accuracy:.1f} %"
            lines.append(f"Accuracy for class: {entry.name:5s} is {share}")
        for line in lines:
            self._emit(Message(text=line.rstrip(), printed=True))


def write_report(path: Path, report: EvalReport, *, step: int) -> None:
    """Write the evaluation as JSON: the `test` object, loss, confusion (rows truth) and every prediction.

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
    try:
        write_text_atomically(path, json.dumps(finite_or_none(content), allow_nan=False))
    except OSError as error:
        raise RunFailedError(f"cannot write the report {path}: {error.strerror}") from error


def _load_state(trainer: Trainer, state: Mapping[str, Any], path: Path) -> None:
    try:
        trainer.load_state_dict(state)
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(
            f"{path} does not fit this run ({reason}): train anew, or on its own images"
        ) from error


def _on_device(split: ImageSplit, device: torch.device) -> ImageSplit:
    return ImageSplit(images=split.images.to(device), targets=split.targets.to(device))


@contextmanager
def _out_of_memory_explained() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        if isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error):
            raise RunFailedError("the device is out of memory: try a smaller batch size") from error
        raise
