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


def lr_factor(
    schedule: str,
    step: int,
    total_steps: int,
    *,
    warmup_fraction: float,
    warmup_start_factor: float,
    final_lr_factor: float,
) -> float:
    """What the learning rate of step `step`, counted from 0, is multiplied with.

    Args:
        schedule: constant, linear, cosine or one-cycle.
        step: of `total_steps`; later ones are as the last.
        total_steps: of the whole training.
        warmup_fraction: the share of the steps over which the factor rises.
        warmup_start_factor: the factor of the first step, where there is a warm-up.
        final_lr_factor: what the factor falls to, one step after the last; a constant schedule does not fall.
    """
    rise, fall = _PHASES[schedule]
    peak = warmup_fraction * total_steps
    if step < peak:
        return rise(warmup_start_factor, 1.0, step / peak)
    return fall(1.0, final_lr_factor, min(1.0, (step - peak) / (total_steps - peak)))
