"""Weight averaging: EMA and lookahead."""

import copy

import torch
from torch import Tensor, nn

_LOOKAHEAD_EVERY = 5
_EMA_WARMUP = 10


class WeightAverage:
    """Keeps an average of a model's weights and buffers.

    "ema" follows every step: average = decay · average + (1 - decay) · weights, with a smaller decay in the
    first steps so that the initial weights are forgotten (Polyak and Juditsky, 1992).

    "lookahead" follows every fifth step with decay⁵ · (share of the training done)³, and the model continues
    from the average (Zhang et al., https://arxiv.org/abs/1907.08610, with the decay of Jordan,
    https://arxiv.org/abs/2404.00498). Unlike there, the first update copies the weights and the last step is
    followed too, so short runs neither keep their initial weights nor drop their last steps.

    Args:
        net: the model that is trained, as it starts.
        kind: "ema" or "lookahead".
        decay: per step, 0-1.

    Attributes:
        net: a model with the averaged weights and buffers.
    """

    def __init__(self, net: nn.Module, *, kind: str, decay: float) -> None:
        self.net = copy.deepcopy(net).eval().requires_grad_(requires_grad=False)
        self._trained = net
        self._kind = kind
        self._decay = decay

    @torch.no_grad()
    def update(self, step: int, total_steps: int) -> None:
        """Follow the weights after `step` of `total_steps`, counted from 1."""
        if self._kind == "ema":
            self._follow(min(self._decay, step / (step + _EMA_WARMUP)))
        elif step % _LOOKAHEAD_EVERY == 0 or step == total_steps:
            steps = (step - 1) % _LOOKAHEAD_EVERY + 1
            first = step <= _LOOKAHEAD_EVERY
            self._follow(0.0 if first else self._decay**steps * (step / total_steps) ** 3)
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
