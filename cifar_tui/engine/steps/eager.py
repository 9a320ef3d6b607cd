"""The tutorial's loop in PyTorch: forward, backward, update, one step after the other."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from cifar_tui.engine.device.capabilities import compiles
from cifar_tui.engine.device.compile import CompilationError, Variant, compile_model
from cifar_tui.engine.device.precision import autocast, loss_scale
from cifar_tui.engine.errors import CancelledError, ConfigError
from cifar_tui.engine.models.classifier import logits_in
from cifar_tui.engine.models.freezing import Freezing
from cifar_tui.engine.optim.lr_schedule import lr_factor
from cifar_tui.engine.steps.backend import StepParts, StepResult
from cifar_tui.engine.steps.in_flight import limit_in_flight
from cifar_tui.engine.training.augment import Augmentation, downscale, sample_augmentation
from cifar_tui.engine.training.batches import augmented_batches, epoch_size, low_res_epochs
from cifar_tui.engine.training.transforms import Transforms, dominant, mixed_batches, mixing

_RESULT_SECONDS = 0.02
"""Between two results the trainer checks whether to pause, save or stop."""
_CHART_IMAGES = 200
_CHART_IMAGES_ON_CUDA = 4000
"""Reading a point waits for the device, which trains on this many images in a tenth of a second."""


class EagerSteps:
    """The tutorial's steps with everything that a recipe adds to them.

    Default settings are no-ops: losses and weights are bit-identical to the tutorial's loop.

    Attributes:
        lr_factor: the factor on all learning rates at a step, counted from 0; the schedule of the settings,
            unless another one takes its place.
    """

    def __init__(self, parts: StepParts) -> None:
        config, train = parts.config, parts.train
        self._net = parts.net
        self._forward: Callable[[Tensor], Tensor] = parts.net
        self._optimizer = parts.optimizer
        self._base_lrs = [group["lr"] for group in parts.optimizer.param_groups]
        self._average = parts.average
        self._train = train
        self._precision = parts.precision
        self._log = parts.log
        self._freezing = Freezing(parts.net, config)
        self._device = train.targets.device
        self._batch_size = config.batch_size
        self._seed = config.seed
        self._label_smoothing = config.label_smoothing
        self._class_weights = parts.class_weights
        self._repeats_images = config.sampler == "weighted"
        self._mix = mixing(mixup=config.mixup, cutmix=config.cutmix, num_classes=parts.num_classes)
        self._augmentation = Augmentation(
            translate=config.translate,
            flip=config.flip,
            cutout=config.cutout,
            transforms=Transforms(
                random_resized_crop=config.random_resized_crop,
                rand_augment=config.rand_augment,
                color_jitter=config.color_jitter,
            ),
            mixes=self._mix is not None,
        )
        self._memory_format = torch.channels_last if config.channels_last else torch.contiguous_format
        self._compile = compiles(config, self._device)
        self._must_compile = config.compile == "yes"
        self._low_res_epochs = low_res_epochs(config.low_res_fraction, config.epochs)
        self._epoch = epoch_size(parts.net, len(train), config.batch_size)
        self._epochs = config.epochs
        self._total_steps = config.epochs * self._epoch.steps
        self.lr_factor: Callable[[int], float] = partial(
            lr_factor,
            config.lr_schedule,
            total_steps=self._total_steps,
            warmup_fraction=config.warmup_fraction,
            warmup_start_factor=config.warmup_start_factor,
            final_lr_factor=config.final_lr_factor,
        )
        self._step = 0
        self._limit = limit_in_flight(self._device)
        self.chart_images = _CHART_IMAGES_ON_CUDA if self._device.type == "cuda" else _CHART_IMAGES

    def prepare(self, cancelled: Callable[[], bool]) -> None:
        """Compile the model, if that is set, for every image and batch size and what is frozen.

        If it fails the model trains uncompiled.

        Raises:
            ConfigError: it fails and compile is "yes".
        """
        if not self._compile or cancelled():
            return
        images, batch_size = self._epoch.images, self._batch_size
        batch_sizes = {min(batch_size, images), images % batch_size or min(batch_size, images)}
        sizes = {size for images in batch_sizes for size in self.forward_sizes(images)}
        whole = self._formatted(self._train.inputs(slice(1)))
        small = self._formatted(downscale(whole)) if self._low_res_epochs else whole
        variants: dict[object, Variant] = {}
        for epoch in range(self._epochs):
            low_res, frozen = epoch < self._low_res_epochs, self._freezing.in_epoch(epoch)
            variants[low_res, frozen.parameters] = (small if low_res else whole), frozen
        try:
            self._forward = compile_model(
                self._net, variants.values(), sizes, self._precision, cancelled=cancelled
            )
        except CompilationError as error:
            if self._must_compile:
                raise ConfigError(
                    f"compile 'yes' is not available: torch.compile failed ({error}); set compile to 'no'",
                    field="compile",
                ) from error
            self._log(f"torch.compile failed ({error}); training without it")
        except CancelledError:
            pass  # the trainer stops before its first step

    def run(self, order: Tensor, *, step: int, max_steps: Callable[[], int]) -> Iterator[StepResult]:
        """Train on the images in `order`, as many steps to a result as `max_steps` and the time allow.

        If a step fails, those before it are a last result: the count of steps agrees with the weights.
        """
        self._step = step
        self._freezing.begin(step // self._epoch.steps)
        pending: list[tuple[Tensor, Tensor, Tensor]] = []
        try:
            for inputs, targets in self._batches(order):
                if not pending:
                    limit, due = max_steps(), time.monotonic() + _RESULT_SECONDS
                with self._limit:
                    pending.append((*self.train_step(inputs, targets), dominant(targets)))
                if len(pending) >= limit or time.monotonic() >= due:
                    yield step_result(pending)
                    pending.clear()
        except Exception:
            if pending:
                yield step_result(pending)
            raise
        if pending:
            yield step_result(pending)

    def train_step(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """One update on one batch.

        Args:
            inputs: float32 (N, 3, H, W), normalized.
            targets: int64 (N,), classes; or of mixed images float32 (N, C), the share of each class.

        Returns:
            The batch's mean loss, shape (), and its logits (N, C), both without gradients.
        """
        self._set_learning_rates()
        self._optimizer.zero_grad()
        loss, logits = self.compute_gradients(inputs, targets)
        self._optimizer.step()
        self._step += 1
        if self._average is not None:
            self._average.update(self._step, self._total_steps)
        return loss, logits

    def compute_gradients(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Forward and backward of one batch; takes and returns what `train_step` does."""
        with autocast(self._precision, inputs.device):
            output = self._forward(inputs)
        logits = logits_in(output)
        loss = functional.cross_entropy(
            logits, targets, weight=self._class_weights, label_smoothing=self._label_smoothing
        )
        self._backward(loss, len(targets))
        return loss.detach(), logits.detach()

    def forward_sizes(self, images: int) -> set[int]:
        """How many images the model gets at a time, of a batch of `images`."""
        return {images}

    def state_dict(self) -> dict[str, Any]:
        """The precision, and the weights being trained where their average is saved."""
        trained = None if self._average is None else self._net.state_dict()
        return {"precision": self._precision, "trained": trained}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state_dict` returned.

        Raises:
            KeyError, RuntimeError: `state` does not fit.
        """
        if self._average is not None:
            self._net.load_state_dict(state["trained"])

    def _batches(self, order: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        places = torch.arange(len(order), device=order.device)
        return self._augmented(order, places, self._batch_size)

    def _augmented(self, order: Tensor, places: Tensor, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches of the images at `places`, int64 (N,), of `order`."""
        epoch, batch = divmod(self._step, self._epoch.steps)
        params = sample_augmentation(
            self._augmentation,
            len(self._train),
            size=self._train.image_size,
            seed=self._seed,
            epoch=epoch,
            device=self._device,
        )
        batches = augmented_batches(
            self._train,
            order[places],
            batch_size,
            self._augmentation,
            params,
            draws=places + batch * self._batch_size if self._repeats_images else None,
            low_res=epoch < self._low_res_epochs,
            memory_format=self._memory_format,
        )
        if self._mix is None or params.batch_seeds is None:
            return batches
        return mixed_batches(batches, self._mix, params.batch_seeds[batch:])

    def _formatted(self, inputs: Tensor) -> Tensor:
        return inputs.contiguous(memory_format=self._memory_format)

    def _set_learning_rates(self) -> None:
        factor = self.lr_factor(self._step)
        for group, lr in zip(self._optimizer.param_groups, self._base_lrs, strict=True):
            group["lr"] = lr * factor

    def _backward(self, loss: Tensor, batch_size: int) -> None:
        scale = loss_scale(self._precision, batch_size)
        if scale == 1:
            torch.autograd.backward(loss)
        else:
            torch.autograd.backward(loss * scale)
            gradients = [parameter.grad for parameter in self._net.parameters() if parameter.grad is not None]
            torch._foreach_mul_(gradients, 1 / scale)


def step_result(steps: Sequence[tuple[Tensor, Tensor, Tensor]]) -> StepResult:
    """Sum up steps from their losses, logits and targets; counting them all at once takes less time."""
    losses, logits, targets = zip(*steps, strict=True)
    all_targets = torch.cat(targets)
    correct = (torch.cat(logits).argmax(dim=1) == all_targets).sum()
    return StepResult(losses=torch.stack(losses), correct=correct, images=len(all_targets))
