"""Learning-rate schedules: pure functions of how much of the training is done.

Every one of them first rises to 1 and then goes its own way; the learning rate is the configured one times
their value.
"""

import math
from collections.abc import Callable


def _linear(start: float, end: float, done: float) -> float:
    return start + (end - start) * done


def _cosine(start: float, end: float, done: float) -> float:
    """Half a wave: flat at both ends."""
    return end + (start - end) * (1 + math.cos(math.pi * done)) / 2


def _constant(start: float, end: float, done: float) -> float:
    del end, done
    return start


_Phase = Callable[[float, float, float], float]

_PHASES: dict[str, tuple[_Phase, _Phase]] = {
    "constant": (_linear, _constant),
    "linear": (_linear, _linear),
    # Loshchilov and Hutter, SGDR, https://arxiv.org/abs/1608.03983, without its restarts
    "cosine": (_linear, _cosine),
    # Smith and Topin, Super-Convergence, https://arxiv.org/abs/1708.07120, in the form of torch's OneCycleLR
    "one-cycle": (_cosine, _cosine),
}


def rate_factor(
    schedule: str, step: int, total_steps: int, *, warm_up: float, warm_up_from: float, final_rate: float
) -> float:
    """What the learning rate of step `step`, counted from 0, is multiplied with.

    Args:
        schedule: constant, linear, cosine or one-cycle.
        step: of `total_steps`; later ones are as the last.
        total_steps: of the whole training.
        warm_up: the share of the steps over which the factor rises.
        warm_up_from: the factor of the first step, where there is a warm-up.
        final_rate: what the factor falls to, one step after the last; a constant schedule does not fall.
    """
    rise, fall = _PHASES[schedule]
    peak = warm_up * total_steps
    if step < peak:
        return rise(warm_up_from, 1.0, step / peak)
    return fall(1.0, final_rate, min(1.0, (step - peak) / (total_steps - peak)))
