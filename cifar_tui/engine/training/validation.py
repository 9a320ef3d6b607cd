"""Choose the best epoch on held-out training images."""

import math
from collections.abc import Callable
from typing import Any

from cifar_tui.engine.evaluation.evaluate import EvalReport
from cifar_tui.engine.events import Alert, Validated


class BestEpoch:
    """Remembers the weights of the epoch that classified the most held-out images correctly.

    Args:
        evaluate: evaluates the model on the held-out images; None if a stop cancelled it.
        weights: serializes the model's weights.
    """

    def __init__(self, *, evaluate: Callable[[], EvalReport | None], weights: Callable[[], bytes]) -> None:
        self._evaluate = evaluate
        self._weights = weights
        self._best_correct = -1
        self._unsaved: bytes | None = None

    def validate(self, *, epoch: int, step: int) -> Validated | Alert | None:
        """Validate after `epoch`: the result, or why there is none; None if a stop cancelled it."""
        report = self._evaluate()
        if report is None:
            return None
        if not math.isfinite(report.loss):  # every prediction would be the first class
            return Alert(
                text=f"no validation accuracy at step {step:,}: the outputs for the validation images are "
                "not finite"
            )
        best = report.correct > self._best_correct
        if best:
            self._best_correct, self._unsaved = report.correct, self._weights()
        return Validated(
            epoch=epoch,
            step=step,
            correct=report.correct,
            total=report.total,
            loss=report.loss,
            best=best,
        )

    @property
    def has_unsaved(self) -> bool:
        """Whether the best weights are not in a checkpoint yet."""
        return self._unsaved is not None

    def take_unsaved(self) -> bytes | None:
        """The best weights for the next checkpoint; None if they are in one already."""
        weights, self._unsaved = self._unsaved, None
        return weights

    def state_dict(self) -> dict[str, Any]:
        """The result to beat."""
        return {"best_correct": self._best_correct}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from what `state_dict` returned."""
        self._best_correct = state.get("best_correct", self._best_correct)  # none before it had such a split
