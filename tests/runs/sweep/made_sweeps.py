"""Sweeps that are written here, not trained."""

from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.runs.sweep.plan import SweepPlan


def made_plan(*, rates=(0.1, 0.2), seeds=(0, 1), eta=0, **settings):
    """A plan over learning rates and seeds."""
    configs = tuple(
        TrainConfig(**{"data": "synthetic", "learning_rate": rate, "seed": seed, **settings})
        for rate in rates
        for seed in seeds
    )
    return SweepPlan(name="rates", configs=configs, varied=("learning_rate",), workers=2, eta=eta)
