"""Muon: momentum whose steps are made orthogonal, for the filters of convolutions; SGD for all the rest.

Source: Keller Jordan et al., Muon: An optimizer for hidden layers in neural networks,
https://kellerjordan.github.io/posts/muon/. torch.optim.Muon takes matrices only, hence this one.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 3
_EPSILON = 1e-7


def newton_schulz(matrix: Tensor) -> Tensor:
    """`matrix` (M, N) with its singular values brought near 1, by Newton-Schulz iterations of degree 5.

    They come to lie between 0.3 and 1.3 or so, which is near enough. On a GPU it computes in bfloat16.
    """
    first, third, fifth = _COEFFICIENTS
    rows, columns = matrix.shape
    result = matrix.bfloat16() if matrix.is_cuda else matrix.float()
    if rows > columns:
        result = result.T
    result = result / (result.norm() + _EPSILON)
    for _ in range(_ITERATIONS):
        gram = result @ result.T
        result = first * result + (third * gram + fifth * gram @ gram) @ result
    orthogonal: Tensor = result.T if rows > columns else result
    return orthogonal.to(matrix.dtype)


class Muon(Optimizer):
    """Muon for the groups that say `"orthogonal": True`, SGD with Nesterov momentum for the others.

    An orthogonal group has tensors (C, ...) of filters. Before every step each is scaled to a norm of
    sqrt(C), and the step is an orthogonal matrix times the learning rate; weight decay would change nothing.

    Args:
        groups: each with `params`, `lr`, `momentum` and `orthogonal`, the others with `weight_decay` too.
    """

    def __init__(self, groups: Iterable[dict[str, Any]]) -> None:
        super().__init__(groups, {"weight_decay": 0.0, "orthogonal": False})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]  # without a closure's loss
        """Make one step; parameters without a gradient stay as they are."""
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
            parameter.mul_(len(parameter) ** 0.5 / parameter.norm())
            parameter.add_(newton_schulz(update.flatten(1)).view_as(parameter), alpha=-group["lr"])
