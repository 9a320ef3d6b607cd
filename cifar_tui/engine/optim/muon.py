"""Muon: momentum with orthogonalized updates for convolution filters, SGD for all other parameters.

Source: Keller Jordan et al., Muon: An optimizer for hidden layers in neural networks,
https://kellerjordan.github.io/posts/muon/. torch.optim.Muon takes matrices only, hence this one.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.device.capabilities import has_native_bf16

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 3
_EPSILON = 1e-7
_SMALLEST_NORM = 1e-7
_SGD_MOMENTUM = 0.85
"""Momentum of the parameters that Muon leaves to SGD."""


def muon(groups: list[dict[str, Any]], config: TrainConfig) -> Optimizer:
    """Muon for the convolution filters of `groups`, SGD for the rest."""
    filters = [parameter for group in groups for parameter in group["params"] if parameter.ndim == 4]
    orthogonal = {
        "params": filters,
        "lr": config.learning_rate,
        "momentum": config.momentum,
        "orthogonal": True,
    }
    rest = [
        group | {"params": others, "momentum": _SGD_MOMENTUM}
        for group in groups
        if (others := [parameter for parameter in group["params"] if parameter.ndim != 4])
    ]
    return Muon([orthogonal, *rest])


def newton_schulz(matrix: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """Orthogonalize `matrix` (M, N) approximately, by Newton-Schulz iterations of degree 5 in `dtype`.

    Its singular values end up between about 0.3 and 1.3.
    """
    first, third, fifth = _COEFFICIENTS
    rows, columns = matrix.shape
    result = matrix.to(dtype)
    if rows > columns:
        result = result.T
    result = result / (result.norm() + _EPSILON)
    for _ in range(_ITERATIONS):
        gram = result @ result.T
        result = first * result + (third * gram + fifth * gram @ gram) @ result
    orthogonal: Tensor = result.T if rows > columns else result
    return orthogonal.to(matrix.dtype)


class Muon(Optimizer):
    """Muon for groups with `"orthogonal": True`, SGD with Nesterov momentum for the others.

    The tensors of an orthogonal group are filters (C, ...). Each is scaled to a norm of sqrt(C) before every
    step, so weight decay would change nothing.

    Args:
        groups: each with `params`, `lr` and `momentum`; `orthogonal` and `weight_decay` are optional.
    """

    def __init__(self, groups: Iterable[dict[str, Any]]) -> None:
        super().__init__(groups, {"weight_decay": 0.0, "orthogonal": False})
        device = next(parameter.device for group in self.param_groups for parameter in group["params"])
        # emulated, on GPUs before Ampere, bf16 is slower than fp32
        self._dtype = torch.bfloat16 if has_native_bf16(device) else torch.float32

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]  # without a closure's loss
        """Update every parameter that has a gradient."""
        if closure is not None:
            raise ValueError("Muon takes no closure")
        for group in self.param_groups:
            parameters = [parameter for parameter in group["params"] if parameter.grad is not None]
            if parameters:
                self._step_group(group, parameters)

    def _step_group(self, group: dict[str, Any], parameters: list[Tensor]) -> None:
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        if not group["orthogonal"] and group["weight_decay"]:
            gradients = list(torch._foreach_add(gradients, parameters, alpha=group["weight_decay"]))  # noqa: SLF001 - torch's own optimizers use them
        momenta = []
        for parameter, gradient in zip(parameters, gradients, strict=True):
            state = self.state[parameter]
            if "momentum" not in state:
                state["momentum"] = torch.zeros_like(gradient)
            momenta.append(state["momentum"])
        torch._foreach_mul_(momenta, group["momentum"])
        torch._foreach_add_(momenta, gradients)
        updates = torch._foreach_add(gradients, momenta, alpha=group["momentum"])  # noqa: SLF001 - see above
        if not group["orthogonal"]:
            torch._foreach_add_(parameters, updates, alpha=-group["lr"])
            return
        for parameter, update in zip(parameters, updates, strict=True):
            parameter.mul_(
                len(parameter) ** 0.5 / parameter.norm().clamp(min=_SMALLEST_NORM)
            )  # zeros stay zeros
            orthogonal = newton_schulz(update.flatten(1), self._dtype)
            parameter.add_(orthogonal.view_as(parameter), alpha=-group["lr"])
