"""Which runs are hopeless: asynchronous successive halving, on validation accuracy.

Li et al., "A System for Massively Parallel Hyperparameter Tuning", https://arxiv.org/abs/1810.05934. The
rungs are the epochs 1, eta, eta², …; of the runs that have got to a rung, the best of eta continue. As
nothing waits for other runs, a run that is alone on a rung continues, and is judged again at its last rung
whenever another one gets there.
"""

import math
from collections.abc import Collection, Mapping


def last_rung(epoch: int, eta: int) -> int:
    """Return the last rung that a run has got to after `epoch` epochs; 0 before the first."""
    rung = 1
    while rung * eta <= epoch:
        rung *= eta
    return rung if epoch else 0


def find_hopeless(
    curves: Mapping[int, Mapping[int, float]], running: Collection[int], *, eta: int
) -> dict[int, int]:
    """Return which of the `running` runs to stop, each with the rung at which it is not good enough.

    A run continues if it is among the best n / eta, rounded up, of the n runs that have got to its last rung,
    or as good as the last of these, and as long as fewer than eta have got there.

    Args:
        curves: of each run, running or not, the validation accuracy (0-1) after each epoch, from 1.
        running: the runs to judge.
        eta: the reduction factor, at least 2.
    """
    hopeless = {}
    for run in running:
        rung = last_rung(max(curves.get(run, {}), default=0), eta)
        reached = sorted((curve[rung] for curve in curves.values() if rung in curve), reverse=True)
        if rung not in curves.get(run, {}) or len(reached) < eta:
            continue
        if curves[run][rung] < reached[math.ceil(len(reached) / eta) - 1]:
            hopeless[run] = rung
    return hopeless
