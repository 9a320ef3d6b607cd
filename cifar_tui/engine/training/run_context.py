"""The run that a trainer belongs to: its folder, its listeners and what its checkpoints say of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from cifar_tui.engine.control import RunControl
from cifar_tui.engine.data.normalization import Normalization
from cifar_tui.engine.data.scales import Scales
from cifar_tui.engine.disk.run_folder import RunFolder
from cifar_tui.engine.distributed.ranks import ALONE, Ranks
from cifar_tui.engine.events import Event


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class RunContext:
    """The run that a trainer belongs to.

    Attributes:
        folder: where checkpoints are written; None in a process that leaves that to another.
        emit: takes every event; it must not block.
        control: what others request of the run.
        interactive: whether somebody can resume a run that paused itself; if not, it fails instead.
        settings: saved in every checkpoint, by name.
        provenance: what the outcome depends on besides the settings; saved too.
        class_names: what the model's logits stand for; saved too.
        scales: what is black and white in images of more than 8 bits; saved too.
        normalization: of the inputs; saved too.
        ranks: the processes that train it.
    """

    folder: RunFolder | None
    emit: Callable[[Event], None]
    control: RunControl
    interactive: bool
    settings: Mapping[str, Any]
    provenance: Mapping[str, Any]
    class_names: tuple[str, ...]
    scales: Scales
    normalization: Normalization
    ranks: Ranks = ALONE
