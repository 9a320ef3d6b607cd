"""Steps of several processes: each computes a part of the batch, and their gradients are averaged."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from cifar_tui.engine.device.random_state import randomness_kept, seed_everything
from cifar_tui.engine.events import RankMeasured, RanksMeasured
from cifar_tui.engine.models.registry import MODELS
from cifar_tui.engine.steps.accumulated import NO_CLASS, AccumulatedSteps, part_sizes
from cifar_tui.engine.steps.backend import StepParts, StepResult
from cifar_tui.engine.steps.eager import step_result
from cifar_tui.engine.training.transforms import dominant

_RESULT_SECONDS = 0.02
"""Between two results the processes tell each other losses and requests."""
_FIRST_REPORT_SECONDS, _REPORT_SECONDS = 1.0, 10.0
_MEASURED_STEPS = 10
"""DistributedDataParallel measures every so many-th step."""
_NANOSECONDS = 1e9
_STEP_STRIDE, _RANK_STRIDE, _SEEDS = 1_000_003, 65_537, 2**63


class DistributedSteps(AccumulatedSteps):
    """The steps of `EagerSteps`, each done by all processes of a run.

    A batch is divided among the processes as `torch.tensor_split` does. Gradients, and so the weights, are
    those of the whole batch, up to the rounding of sums; batch normalization sees the part of its process.
    """

    def __init__(self, parts: StepParts) -> None:
        super().__init__(parts)
        self._ranks = parts.ranks
        self._gradient_factor = float(parts.ranks.size)  # DistributedDataParallel divides by it
        self._is_registered = parts.config.model in MODELS
        self._ddp: Any = None  # some of its methods are without types
        self._module: nn.Module | None = None
        self._frozen: set[int] = set()
        self._whole: tuple[int, Tensor | int] = (0, 0)
        self._steps_per_result = 1
        self._emit = parts.emit
        self._report_at = time.monotonic() + _FIRST_REPORT_SECONDS

    def run(self, order: Tensor, *, step: int, max_steps: Callable[[], int]) -> Iterator[StepResult]:
        """Train on the images in `order`, of which every process has the same.

        A result has the losses of whole batches and covers the same steps in all processes.
        """
        self._step = step
        self._freezing.begin(step // self._epoch.steps)
        self._wrap()
        pending: list[tuple[Tensor, Tensor, Tensor]] = []
        batches = zip(self._batches(order), self._whole_batches(order), strict=True)
        steps, images = -(-len(order) // self._batch_size), 0
        started = time.monotonic()
        for number, ((inputs, targets), self._whole) in enumerate(batches, start=1):
            if not pending:
                limit, started = min(max_steps(), self._steps_per_result), time.monotonic()
            with self._limit:
                pending.append((*self.train_step(inputs, targets), dominant(targets)))
            images += self._whole[0]
            if len(pending) >= limit or number == steps:
                yield self._summed(step_result(pending), images, started)
                pending.clear()
                images = 0

    def train_step(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """One update on one batch, of which this process has a part.

        What the net draws, such as dropout, depends on seed, step and process.

        Returns:
            This process's part of the batch's mean loss, shape (), and its logits, both without gradients.
        """
        with ExitStack() as stack:
            if not self._is_registered:
                stack.enter_context(randomness_kept(self._device))
                seed = (self._seed * _STEP_STRIDE + self._step) * _RANK_STRIDE + self._ranks.rank
                seed_everything(seed % _SEEDS)
            stack.enter_context(self._ranks.explained())
            return super().train_step(inputs, targets)

    def forward_sizes(self, images: int) -> set[int]:
        """How many images the model gets at a time, of a batch of `images`."""
        own = len(torch.arange(images).tensor_split(self._ranks.size)[self._ranks.rank])
        return part_sizes(max(1, own), self._parts)

    def _wrap(self) -> None:
        """Have the gradients of what is trained now averaged."""
        frozen = {id(parameter) for parameter in self._net.parameters() if not parameter.requires_grad}
        if self._module is None:  # compiled or not
            self._module = cast("nn.Module", self._forward)
        if self._ddp is None or frozen != self._frozen:
            self._ddp, self._frozen = None, frozen
            with self._ranks.explained():
                self._ddp = DistributedDataParallel(
                    self._module,
                    process_group=self._ranks.group,
                    init_sync=False,  # the weights are equal already
                    # without it torch reorders the gradients after its first step, and Gloo rounds their sums
                    # differently in three processes or more: a resumed run would not have the same bits
                    find_unused_parameters=not self._is_registered or self._device.type == "cpu",
                )
            self._ddp._set_ddp_runtime_logging_sample_rate(_MEASURED_STEPS)  # noqa: SLF001 - torch has no public one
            self._forward = self._ddp

    def _batches(self, order: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """This process's parts of the batches; an image that counts for nothing where it has no part.

        Each image is mixed with the one before it in the whole batch, which is the last one for the first.
        """
        size, rank = self._ranks.size, self._ranks.rank
        before = 0 if self._mix is None else 1
        places = torch.split(torch.arange(len(order)), self._batch_size)
        parts = [
            torch.cat([batch.roll(1).tensor_split(size)[rank][:before], batch.tensor_split(size)[rank]])
            for batch in places
        ]
        is_empty = not len(parts[-1])
        if is_empty:
            parts[-1] = torch.full((before + 1,), len(order) - 1)
        batches = self._augmented(order, torch.cat(parts), len(parts[0]))
        for number, (inputs, targets) in enumerate(batches, start=1):
            if is_empty and number == len(parts):
                yield inputs[before:], torch.full((1,), NO_CLASS, device=targets.device)
            else:
                yield inputs[before:], targets[before:]

    def _whole_batches(self, order: Tensor) -> Iterator[tuple[int, Tensor | int]]:
        targets = self._train.targets[order.to(self._device)]
        return map(super()._whole_batch, torch.split(targets, self._batch_size))

    def _whole_batch(self, targets: Tensor) -> tuple[int, Tensor | int]:
        del targets  # of a part
        return self._whole

    @contextmanager
    def _part(self, *, last: bool) -> Iterator[None]:
        ddp = self._ddp
        waits: AbstractContextManager[object] = nullcontext() if last or ddp is None else ddp.no_sync()
        with waits:
            yield

    def _summed(self, result: StepResult, images: int, started: float) -> StepResult:
        """The result of all processes; how many steps the next one covers follows from their speed."""
        steps = len(result.losses)
        now = time.monotonic()
        own = [now - started, float(self._ranks.is_first and now >= self._report_at)]
        sums = torch.cat(
            [result.losses, result.correct.view(1).float(), torch.tensor(own, device=self._device)]
        )
        sums = self._ranks.add(sums)
        seconds, report_due = sums[-2:].tolist()
        self._steps_per_result = max(1, int(_RESULT_SECONDS * steps * self._ranks.size / seconds))
        if report_due:
            self._report()
        return StepResult(losses=sums[:steps], correct=sums[steps].round().long(), images=images)

    def _report(self) -> None:
        """Have the first process report how fast all are, as DistributedDataParallel has measured it."""
        self._report_at = time.monotonic() + _REPORT_SECONDS
        speed = waited = 0.0
        if self._ddp is not None:
            measured = self._ddp._get_ddp_logging_data()  # noqa: SLF001 - torch has no public one
            working = measured.get("avg_forward_compute_time", 0)
            working += measured.get("avg_backward_compute_time", 0)
            communicating = measured.get("avg_backward_comm_time", 0)
            waiting = max(0, communicating - measured.get("avg_backward_compute_comm_overlap_time", 0))
            if working:
                own = len(torch.arange(self._batch_size).tensor_split(self._ranks.size)[self._ranks.rank])
                speed, waited = own / self._parts / working * _NANOSECONDS, waiting / (working + waiting)
        collected = self._ranks.collect(torch.tensor([[speed, waited]], dtype=torch.float64))
        self._emit(
            RanksMeasured(
                ranks=tuple(
                    RankMeasured(host=host, device=device, images_per_second=row[0], waited=row[1])
                    for (host, device), row in zip(
                        self._ranks.places, torch.cat(collected).tolist(), strict=True
                    )
                )
            )
        )
