"""What a run does, top to bottom: the five steps of the tutorial."""

import dataclasses
import math
from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import nn

from cifar_tui.engine.checkpoint.classes import match_resumed, match_weights, training_images
from cifar_tui.engine.checkpoint.provenance import (
    describe_provenance,
    resume_differences,
    split_differences,
)
from cifar_tui.engine.checkpoint.state import has_trained, load_state
from cifar_tui.engine.checkpoint.trained_on import trained_on_in
from cifar_tui.engine.checkpoint.weights import build_net
from cifar_tui.engine.config.tracking import ConfigReads
from cifar_tui.engine.data.dataset import ImageSplit, validation_split
from cifar_tui.engine.device.capabilities import check_compiler_cache, check_device
from cifar_tui.engine.device.memory import FREE_MEMORY, out_of_memory_explained
from cifar_tui.engine.device.select import (
    describe_device,
    intra_op_threads,
    select_device,
    training_threads,
)
from cifar_tui.engine.disk.run_folder import RunFolder
from cifar_tui.engine.distributed.control import AgreedControl
from cifar_tui.engine.distributed.job import JobStart, select_rank_device
from cifar_tui.engine.distributed.launch import launched
from cifar_tui.engine.distributed.ranks import ALONE, Ranks, joined
from cifar_tui.engine.errors import CancelledError, RunFailedError
from cifar_tui.engine.evaluation.evaluate import EvalReport, evaluate
from cifar_tui.engine.evaluation.report import result_lines, write_report
from cifar_tui.engine.events import (
    SAMPLE_IMAGES,
    Alert,
    Message,
    Phase,
    PhaseChanged,
    TrainingFinished,
    TrainingStarted,
)
from cifar_tui.engine.layout import LAST_FILE, REPORT_FILE, WEIGHTS_FILE
from cifar_tui.engine.steps.select import resolve_backend
from cifar_tui.engine.training.build import (
    create_predictor,
    training_arithmetic,
)
from cifar_tui.engine.training.loading import moved
from cifar_tui.engine.training.run_context import RunContext
from cifar_tui.engine.training.run_parts import RunParts
from cifar_tui.engine.training.trainer import Trainer
from cifar_tui.engine.training.validation import check_patience

if TYPE_CHECKING:
    from cifar_tui.engine.config.schema import TrainConfig


class Session(RunParts):
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
        create_folder = cache(create_folder)  # a second call would make a second folder
        start = JobStart(
            settings=dataclasses.asdict(self.config),
            assume_class_order=self._assume_class_order,
            edited_model=self._edited_model,
            resumed=resume_from,
            kept=None if resume_from is None else create_folder().path,
        )
        with joined(launched()) as ranks:
            ranks.share(start)
            return self.train_with(ranks, start, create_folder, interactive=interactive)

    def train_with(
        self,
        ranks: Ranks,
        start: JobStart,
        create_folder: Callable[[], RunFolder] | None = None,
        *,
        interactive: bool = False,
    ) -> TrainingFinished:
        """Train as one of `ranks`, which all begin with `start`; only the first one has a folder."""
        reads = ConfigReads(self.config)
        self._ranks = ranks
        try:
            with self._own_device(reads.device, lambda _: select_rank_device(self.config, ranks)) as device:
                with ranks.together():
                    check_device(self.config, device)
                    check_compiler_cache()
                ranks.begin(
                    device,
                    timeout_minutes=reads.rank_timeout,
                    description=describe_device(device) if ranks.size > 1 else "",
                )
                return self._train(reads, device, start, create_folder, interactive=interactive)
        finally:
            self._ranks = ALONE

    def _train(
        self,
        reads: ConfigReads,
        device: torch.device,
        start: JobStart,
        create_folder: Callable[[], RunFolder] | None,
        *,
        interactive: bool,
    ) -> TrainingFinished:
        config, ranks, resumed = cast("TrainConfig", reads), self._ranks, start.resumed
        with ranks.together():
            self._model.load(start.kept)
        ranks.check_same(
            self._model.loaded.hash, f"model {config.model!r} differs between the hosts: copy its file to all"
        )
        # 1. load and normalize the images
        if resumed is None:
            dataset = ranks.in_turn(lambda: self._load_data(config))
        else:
            match = partial(match_resumed, resumed, config.epochs, assume_order=self._assume_class_order)
            trained_on = trained_on_in(resumed)
            dataset = ranks.in_turn(lambda: self._load_data(config, match, trained_on=trained_on))
        with ranks.together():
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
                processes=ranks.size,
            )
        threads = training_threads(device, config.batch_size // ranks.size, processes=ranks.local_size)
        advice = FREE_MEMORY
        if resumed is None:  # which keeps its batch size
            advice = f"lower batch_size (now {config.batch_size:,}), or choose another device"
        with out_of_memory_explained(device, advice), intra_op_threads(threads):
            # 2. define the network, 3. the loss and the optimizer
            setup = self._build(config, choice, train, create_folder=create_folder, resumed=resumed)
            folder = None if create_folder is None else create_folder()
            last = Path() if folder is None else folder.path / LAST_FILE
            provenance = describe_provenance(
                dataset,
                describe_device(device),
                threads,
                setup.choice.identity,
                self._model.loaded.hash,
                processes=ranks.size,
            )
            ranks.check_same(provenance["images"], f"data {config.data!r} differs between the hosts")
            if resumed is not None and has_trained(resumed, config.epochs):
                provenance["images"] = resumed["provenance"].get("images", "?")  # those it was trained on
            trainer = Trainer(
                config,
                setup,
                RunContext(
                    folder=folder,
                    emit=self._emit,
                    control=self.control if ranks.size == 1 else AgreedControl(self.control, ranks),
                    interactive=interactive,
                    settings=dataclasses.asdict(self.config),
                    provenance=provenance,
                    class_names=dataset.class_names,
                    scales=dataset.scales,
                    normalization=train.normalization,
                    ranks=ranks,
                ),
                samples=self._test.select(slice(SAMPLE_IMAGES)),
                evaluate=lambda step: self._evaluate_while_training(setup.predictor, step),
                validate=None
                if validation is None
                else partial(self._validate, setup.predictor, validation, dataset.class_names),
            )
            reads.check_all_followed()
            if resumed is not None:
                with ranks.together():
                    load_state(trainer, resumed, last)
                for difference in resume_differences(resumed, self.config, provenance, setup.precision):
                    self._emit(Alert(text=f"results may differ from an uninterrupted run: {difference}"))
            if folder is not None:
                self._model.keep(folder)
            self._emit(
                TrainingStarted(
                    run="" if folder is None else folder.path.name,
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
        if finished.completed and folder is None:  # the first process evaluates what it has saved
            self._evaluate(setup.predictor, step=finished.step, final=True)
        elif finished.completed and folder is not None:
            # 5. test
            weights = folder.when_made_again() / WEIGHTS_FILE
            self.evaluate_file(weights, step=finished.step, report_to=folder)
        return finished

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
            self._test = dataset.test.to(device)
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
            ranks=self._ranks,
        )
        if not math.isfinite(report.loss):  # every prediction would be the first class
            where = f" at step {step:,}" if step else ""
            reason = f"no accuracy{where}: the outputs for the test images are not finite"
            if final:
                error = RunFailedError(f"{reason}; use precision fp32, or an earlier checkpoint")
                raise self._ranks.reported(error)
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
            return evaluate(
                net,
                split,
                class_names,
                cancelled=lambda: self.control.stop_requested,
                ranks=self._ranks,
            )
        except CancelledError:
            return None
