"""Steps that compute a batch in parts, one after the other."""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor
from torch.nn import functional

from cifar_tui.engine.device.precision import autocast, loss_scale
from cifar_tui.engine.models.classifier import logits_in
from cifar_tui.engine.steps.backend import StepParts
from cifar_tui.engine.steps.eager import EagerSteps

NO_CLASS = -100
"""The target of an image that counts for nothing: what `cross_entropy` ignores."""


class AccumulatedSteps(EagerSteps):
    """The steps of `EagerSteps`, with the gradients of a batch summed over its parts.

    The arithmetic is that of whole batches, up to the rounding of sums; batch normalization sees the parts.
    """

    def __init__(self, parts: StepParts) -> None:
        super().__init__(parts)
        self._parts = parts.config.accumulate
        self._gradient_factor = 1.0

    def compute_gradients(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Forward and backward of a batch, part by part; takes and returns what `train_step` does."""
        images, weight = self._whole_batch(targets)
        scale = loss_scale(self._precision, images)
        count = min(self._parts, len(targets))
        losses, logits = [], []
        for number in range(count):
            part, part_targets = (tensor.tensor_split(count)[number] for tensor in (inputs, targets))
            with self._part(last=number == count - 1):
                with autocast(self._precision, inputs.device):
                    output = self._forward(part)
                part_logits = logits_in(output)
                loss = functional.cross_entropy(
                    part_logits,
                    part_targets,
                    weight=self._class_weights,
                    label_smoothing=self._label_smoothing,
                    reduction="sum",
                )
                loss = loss / weight
                torch.autograd.backward(loss * (scale * self._gradient_factor))
            losses.append(loss.detach())
            logits.append(part_logits.detach())
        if scale != 1:
            gradients = [parameter.grad for parameter in self._net.parameters() if parameter.grad is not None]
            torch._foreach_mul_(gradients, 1 / scale)
        return torch.stack(losses).sum(), torch.cat(logits)

    def forward_sizes(self, images: int) -> set[int]:
        """How many images the model gets at a time, of a batch of `images`."""
        return part_sizes(images, self._parts)

    def _whole_batch(self, targets: Tensor) -> tuple[int, Tensor | int]:
        """How many images the batch of a step has, and what the sum of their losses is divided by.

        As `cross_entropy` has it: the weights of their classes, or the number of mixed images.
        """
        if self._class_weights is None or self._mix is not None:
            return len(targets), len(targets)
        return len(targets), self._class_weights[targets].sum()

    def _part(self, *, last: bool) -> AbstractContextManager[object]:
        """Run forward and backward of a part in a block."""
        del last
        return nullcontext()


def part_sizes(images: int, parts: int) -> set[int]:
    """The sizes that `tensor_split` divides `images` into, as few as they are, into at most `parts`."""
    small, left = divmod(images, min(images, parts))
    return {small, small + 1} if left else {small}
