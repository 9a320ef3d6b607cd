"""Learning-rate schedules as pure functions of the training progress. Imports no torch."""

import math
from collections.abc import Callable


def _linear(start: float, end: float, progress: float) -> float:
    return start + (end - start) * progress


def _cosine(start: float, end: float, progress: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * progress)) / 2


def _constant(start: float, end: float, progress: float) -> float:
    del end, progress
    return start


_Ramp = Callable[[float, float, float], float]

LR_SCHEDULES: dict[str, tuple[_Ramp, _Ramp]] = {
    "constant": (_linear, _constant),
    "linear": (_linear, _linear),
    # Loshchilov and Hutter, SGDR, https://arxiv.org/abs/1608.03983, without restarts
    "cosine": (_linear, _cosine),
    # Smith and Topin, Super-Convergence, https://arxiv.org/abs/1708.07120, shaped like torch's OneCycleLR
    "one-cycle": (_cosine, _cosine),
}
"""Warm-up and decay of each schedule."""


def lr_factor(
    schedule: str,
    step: int,
    total_steps: int,
    *,
    warmup_fraction: float,
    warmup_start_factor: float,
    final_lr_factor: float,
) -> float:
    """The factor on the learning rate at `step`, counted from 0.

    Args:
        schedule: a key of `LR_SCHEDULES`.
        step: later steps than the last get its factor.
        total_steps: steps of the whole training.
        warmup_fraction: share of the steps (0-1) over which the factor rises to 1.
        warmup_start_factor: the factor of the first step, with a warm-up.
        final_lr_factor: the factor one step after the last; "constant" stays at 1.
    """
    warmup, decay = LR_SCHEDULES[schedule]
    warmup_steps = warmup_fraction * total_steps
    if step < warmup_steps:
        return warmup(warmup_start_factor, 1.0, step / warmup_steps)
    return decay(1.0, final_lr_factor, min(1.0, (step - warmup_steps) / (total_steps - warmup_steps)))
