"""What the dashboard opens with."""

from dataclasses import dataclass
from pathlib import Path

from cifar_tui.engine.config.schema import TrainConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class Idle:
    """Show the form, filled in with `config`."""

    config: TrainConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class Train:
    """Start a training run, called `name` unless that is ""."""

    config: TrainConfig
    name: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Resume:
    """Resume the run in `folder` from its last checkpoint.

    With `edited_model`, a net of the user's is taken from their file as it is now.
    """

    folder: Path
    config: TrainConfig
    assume_class_order: bool = False
    edited_model: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluate:
    """Evaluate the file `weights` on the test set; with `any_model`, whatever model they are of.

    They were trained with the seed `trained_seed`; None if unknown. For `edited_model` see `Resume`.
    """

    weights: Path
    config: TrainConfig
    any_model: bool = False
    trained_seed: int | None = None
    assume_class_order: bool = False
    edited_model: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluateRun:
    """Evaluate the saved weights of the run in `folder` on the test set, with its curves and log in view."""

    folder: Path
    config: TrainConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class Attach:
    """Show the run in `folder`, which another process trains or which has ended.

    With `recap`, say what happened since the user last viewed it.
    """

    folder: Path
    config: TrainConfig
    recap: bool = True


Launch = Idle | Train | Resume | Evaluate | EvaluateRun | Attach
