"""Choose the best epoch on held-out training images, and stop when there is no better one for long."""

import math
from collections.abc import Callable
from typing import Any

from cifar_tui.engine.data.dataset import ImageSplit
from cifar_tui.engine.errors import ConfigError
from cifar_tui.engine.evaluation.evaluate import EvalReport
from cifar_tui.engine.events import Alert, Validated


def check_patience(patience: int, validation: ImageSplit | None) -> None:
    """Check that there are images to stop early by.

    Raises:
        ConfigError: `patience` is set, but there are no validation images.
    """
    if patience and validation is None:
        raise ConfigError(
            f"patience {patience} needs validation images: set val_size, or patience to none",
            field="patience",
        )


class BestEpoch:
    """Remembers the weights of the epoch that classified the most held-out images correctly.

    Args:
        evaluate: evaluates the model on the held-out images; None if a stop cancelled it.
        weights: serializes the model's weights.
        patience: how many evaluations without a better result end the training; 0 for any number.
    """

    def __init__(
        self,
        *,
        evaluate: Callable[[], EvalReport | None],
        weights: Callable[[], bytes],
        patience: int = 0,
    ) -> None:
        self._evaluate = evaluate
        self._weights = weights
        self._patience = patience
        self._waited = 0
        self._best_epoch = 0
        self._best_correct = -1
        self._unsaved: bytes | None = None

    def validate(self, *, epoch: int, step: int) -> Validated | Alert | None:
        """Validate after `epoch`: the result, or why there is none; None if a stop cancelled it."""
        report = self._evaluate()
        if report is None:
            return None
        self._waited += 1
        if not math.isfinite(report.loss):  # every prediction would be the first class
            return Alert(
                text=f"no validation accuracy at step {step:,}: the outputs for the validation images are "
                "not finite"
            )
        best = report.correct > self._best_correct
        if best:
            self._best_correct, self._unsaved = report.correct, self._weights()
            self._best_epoch, self._waited = epoch, 0
        return Validated(
            epoch=epoch,
            step=step,
            correct=report.correct,
            total=report.total,
            loss=report.loss,
            best=best,
        )

    def early_stop(self, epoch: int) -> str:
        """Why training ends after `epoch`, of which the result is known; "" if it does not."""
        if not self._patience or self._waited < self._patience:
            return ""
        waited = "1 epoch" if self._waited == 1 else f"{self._waited} epochs"
        best = f"; the best is epoch {self._best_epoch} (best.pt)" if self._best_epoch else ""
        return f"stopped early after epoch {epoch}: no better validation accuracy for {waited}{best}"

    @property
    def has_unsaved(self) -> bool:
        """Whether the best weights are not in a checkpoint yet."""
        return self._unsaved is not None

    def take_unsaved(self) -> bytes | None:
        """The best weights for the next checkpoint; None if they are in one already."""
        weights, self._unsaved = self._unsaved, None
        return weights

    def state_dict(self) -> dict[str, Any]:
        """The result to beat, and for how long it has not been."""
        return {
            "best_correct": self._best_correct,
            "best_epoch": self._best_epoch,
            "waited": self._waited,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from what `state_dict` returned."""
        # nothing before it had such a split
        self._best_correct = state.get("best_correct", self._best_correct)
        self._best_epoch = state.get("best_epoch", self._best_epoch)
        self._waited = state.get("waited", self._waited)
