"""The steps of `EagerSteps` for the tutorial's net on a CPU, kernel by kernel, without autograd."""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import SGD, Optimizer

from cifar_tui.engine.data.dataset import ImageSplit
from cifar_tui.engine.models import Net
from cifar_tui.engine.steps.eager import EagerSteps, StepResult

_aten = torch.ops.aten
_POOL = (2, 2)
_POOLED = (_POOL, _POOL, (0, 0), (1, 1), False)
"""Kernel, stride, padding, dilation, and whether a part of a window at the edge counts."""
_CONVOLVED = ((1, 1), (0, 0), (1, 1), False, (0, 0), 1)
"""Stride, padding, dilation, whether transposed, padding of the result, and groups."""
_MEAN = 1
"""The mean of a batch's losses, by the number that PyTorch's kernels know it by."""
_NO_TARGET = -100
_ALIGNED = 16
"""PyTorch has every tensor begin at a multiple of 64 bytes, which are 16 floats: how a matrix library adds up
may depend on where its operands begin."""


class NetSteps(EagerSteps):
    """Steps of `EagerSteps`, to the bit; with four images to a step in two thirds of their time.

    Half of the time of so small a step is not the kernels': it goes into recording what is computed, finding
    the way back through it, and the optimizer's bookkeeping. Here the kernels that autograd and `SGD` would
    call are called one after the other, and the gradient of a parameter has the same place in every step.

    Source of the formulas: https://github.com/pytorch/pytorch/blob/main/tools/autograd/derivatives.yaml

    Args:
        net: on the CPU; with `optimizer` it `fits`.
        optimizer: over the parameters of `net`.
        train: the training images, on the CPU.
        batch_size: images to a step; the last batch of an order may be smaller.
    """

    def __init__(self, *, net: nn.Module, optimizer: Optimizer, train: ImageSplit, batch_size: int) -> None:
        super().__init__(net=net, optimizer=optimizer, train=train, batch_size=batch_size)
        self._parameters = list(net.parameters())
        self._weights = [parameter.detach() for parameter in self._parameters]
        self._all_gradients, self._gradients = _side_by_side(self._weights)
        self._all_momenta, self._momenta = _side_by_side(self._weights)
        self._one = torch.ones(())

    @staticmethod
    def fits(net: nn.Module, optimizer: Optimizer) -> bool:
        """Whether these steps are those of `net`, which must be `Net`, and `optimizer`, a plain SGD."""
        if type(net) is not Net or type(optimizer) is not SGD or len(optimizer.param_groups) > 1:
            return False
        (group,) = optimizer.param_groups
        if group["nesterov"] or group["dampening"] or group["maximize"]:
            return False
        return list(map(id, group["params"])) == list(map(id, net.parameters()))

    def over(self, order: Tensor, *, at_most: Callable[[], int]) -> Iterator[StepResult]:
        """Train on the images in `order`, as many steps to a result as `at_most` and the time allow."""
        if self._optimizer.param_groups[0]["momentum"]:
            self._share_momenta()
        yield from super().over(order, at_most=at_most)

    @torch.inference_mode()
    def train_step(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """The update of `EagerSteps`, within `over`, which ties the momentum to the optimizer.

        Loss and logits are inference tensors.
        """
        conv1, conv1_bias, conv2, conv2_bias, fc1, fc1_bias, fc2, fc2_bias, fc3, fc3_bias = self._weights
        maps1 = torch.relu_(torch.conv2d(inputs, conv1, conv1_bias))
        pooled1, chosen1 = functional.max_pool2d_with_indices(maps1, _POOL)
        maps2 = torch.relu_(torch.conv2d(pooled1, conv2, conv2_bias))
        pooled2, chosen2 = functional.max_pool2d_with_indices(maps2, _POOL)
        features = pooled2.flatten(1)
        hidden1 = torch.relu_(functional.linear(features, fc1, fc1_bias))
        hidden2 = torch.relu_(functional.linear(hidden1, fc2, fc2_bias))
        logits = functional.linear(hidden2, fc3, fc3_bias)
        log_probabilities = torch.log_softmax(logits, 1)
        nll = (targets, None, _MEAN, _NO_TARGET)
        loss, total_weight = _aten.nll_loss_forward.default(log_probabilities, *nll)

        gradient = _aten.nll_loss_backward.default(self._one, log_probabilities, *nll, total_weight)
        gradient = _aten._log_softmax_backward_data.default(gradient, log_probabilities, 1, logits.dtype)  # noqa: SLF001 - a kernel's name
        self._linear_backward(gradient, hidden2, layer=4)
        gradient = _aten.threshold_backward.default(torch.mm(gradient, fc3), hidden2, 0)
        self._linear_backward(gradient, hidden1, layer=3)
        gradient = _aten.threshold_backward.default(torch.mm(gradient, fc2), hidden1, 0)
        self._linear_backward(gradient, features, layer=2)
        gradient = _aten.threshold_backward.default(torch.mm(gradient, fc1), features, 0).view_as(pooled2)
        gradient = _aten.max_pool2d_with_indices_backward.default(gradient, maps2, *_POOLED, chosen2)
        gradient = self._convolution_backward(gradient, pooled1, layer=1)
        gradient = _aten.threshold_backward.default(gradient, pooled1, 0)
        gradient = _aten.max_pool2d_with_indices_backward.default(gradient, maps1, *_POOLED, chosen1)
        self._convolution_backward(gradient, inputs, layer=0)

        self._update()
        return loss, logits

    def _linear_backward(self, gradient: Tensor, inputs: Tensor, *, layer: int) -> None:
        """Write the gradients of a linear layer's weight and bias, from the gradient of its outputs."""
        weight, bias = self._gradients[2 * layer : 2 * layer + 2]
        torch.mm(gradient.t(), inputs, out=weight)
        torch.sum(gradient, 0, out=bias)

    def _convolution_backward(self, gradient: Tensor, inputs: Tensor, *, layer: int) -> Tensor | None:
        """Write the gradients of a convolution's weight and bias, from the gradient of its outputs.

        Returns:
            The gradient of its inputs; None for the first layer's, which are images.
        """
        weight, bias = self._weights[2 * layer : 2 * layer + 2]
        gradients = _aten.convolution_backward.default(
            gradient, inputs, weight, bias.shape, *_CONVOLVED, [layer > 0, True, True]
        )
        for mine, found in zip(self._gradients[2 * layer : 2 * layer + 2], gradients[1:], strict=True):
            mine.copy_(found)
        of_inputs: Tensor | None = gradients[0]
        return of_inputs

    def _update(self) -> None:
        """What `SGD.step` does."""
        group = self._optimizer.param_groups[0]
        if group["weight_decay"]:
            torch._foreach_add_(self._gradients, self._weights, alpha=group["weight_decay"])
        directions = self._gradients
        if group["momentum"]:
            self._all_momenta.mul_(group["momentum"]).add_(self._all_gradients)
            directions = self._momenta
        torch._foreach_add_(self._weights, directions, alpha=-group["lr"])

    def _share_momenta(self) -> None:
        """Have the optimizer keep its momentum here, whatever it was loaded with; 0 before the first step."""
        for parameter, momentum in zip(self._parameters, self._momenta, strict=True):
            state = self._optimizer.state[parameter]
            before = state.get("momentum_buffer")
            if before is not momentum:
                momentum.zero_() if before is None else momentum.copy_(before)
                state["momentum_buffer"] = momentum


def _side_by_side(tensors: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
    """A tensor of zeros (N,), and parts of it in the shapes of `tensors`, each where a tensor may begin."""
    sizes = [-(-tensor.numel() // _ALIGNED) * _ALIGNED for tensor in tensors]
    whole = torch.zeros(sum(sizes))
    parts = torch.split(whole, sizes)
    return whole, [
        part[: tensor.numel()].view_as(tensor) for part, tensor in zip(parts, tensors, strict=True)
    ]
