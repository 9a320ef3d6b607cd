"""The backend that runs everything: steps in plain PyTorch, of one process or several."""

from cifar_tui.engine.steps.accumulated import AccumulatedSteps
from cifar_tui.engine.steps.backend import StepBackend, StepParts, StepRunner
from cifar_tui.engine.steps.distributed import DistributedSteps
from cifar_tui.engine.steps.eager import EagerSteps


def _create(parts: StepParts) -> StepRunner:
    if parts.ranks.size > 1:
        return DistributedSteps(parts)
    return EagerSteps(parts) if parts.config.accumulate == 1 else AccumulatedSteps(parts)


BACKEND = StepBackend(name="eager", label="eager", create=_create)
