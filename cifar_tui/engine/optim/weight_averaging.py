"""Averages of the weights over the steps, which do better on images never seen than the last weights."""

import copy

import torch
from torch import Tensor, nn

_LOOKAHEAD_EVERY = 5
_EMA_WARM_UP = 10


class Averaging:
    """Keeps an average of the weights of `net` beside it.

    With "ema" it follows every step: average = decay · average + (1 - decay) · weights, where the first steps
    have a smaller decay, so that the start is forgotten. With "lookahead" it follows every fifth step with
    decay⁵ · (share of the training done)³, and the net then goes on from the average. It follows the last
    step too, with decay to the power of the steps since the fifth before it, so that none is left out; the
    first time it takes the weights as they are, so that a short training does not keep its start. Sources:
    Polyak and Juditsky, Acceleration of Stochastic Approximation by Averaging, 1992; Zhang et al., Lookahead
    Optimizer, https://arxiv.org/abs/1907.08610, with the decay of Jordan, https://arxiv.org/abs/2404.00498,
    where the steps after the last fifth are left out.

    Args:
        net: that is trained, in the state it starts from.
        kind: "ema" or "lookahead".
        decay: of one step, from 0 to 1.

    Attributes:
        net: a net with the average as its weights and buffers.
    """

    def __init__(self, net: nn.Module, *, kind: str, decay: float) -> None:
        self.net = copy.deepcopy(net).eval().requires_grad_(requires_grad=False)
        self._trained = net
        self._kind = kind
        self._decay = decay

    @torch.no_grad()
    def update(self, step: int, total_steps: int) -> None:
        """Take in the weights after step `step` of `total_steps`, counted from 1."""
        if self._kind == "ema":
            self._follow(min(self._decay, step / (step + _EMA_WARM_UP)))
        elif step % _LOOKAHEAD_EVERY == 0 or step == total_steps:
            since = (step - 1) % _LOOKAHEAD_EVERY + 1
            first = step <= _LOOKAHEAD_EVERY
            self._follow(0.0 if first else self._decay**since * (step / total_steps) ** 3)
            self._trained.load_state_dict(self.net.state_dict())

    def _follow(self, decay: float) -> None:
        averages, weights = [], []
        for average, weight in zip(_tensors(self.net), _tensors(self._trained), strict=True):
            if average.is_floating_point():
                averages.append(average)
                weights.append(weight)
            else:
                average.copy_(weight)
        torch._foreach_lerp_(averages, weights, 1 - decay)


def _tensors(net: nn.Module) -> list[Tensor]:
    return list(net.state_dict().values())
