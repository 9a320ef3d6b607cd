"""The engine at work in a process of its own, without a screen and without a log: its speed, and its proof.

That it really trained is seen in the weights it saved: they are loaded into a net of which every number was
made NaN before, and that net is tried on the training images.
"""

import dataclasses
import itertools
import json
import math
import signal
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cifar_tui.bench.children import TRAINS_SECONDS, Child, child, run_child, say
from cifar_tui.engine.config.schema import TrainConfig, build_config
from cifar_tui.engine.control import RunControl
from cifar_tui.engine.errors import CancelledError, RunFailedError
from cifar_tui.engine.events import DataLoaded, Event, LossPoint, TrainingStarted
from cifar_tui.engine.layout import WEIGHTS_FILE
from cifar_tui.terminal.process_tuning import keep_freed_memory

if TYPE_CHECKING:
    from cifar_tui.engine.session import Session

_MODULE = "cifar_tui.bench.engine_loop"
_PARTS = 5
_POINTS_TO_FALL = 20
_TRIED_IMAGES = 2000


@dataclass(frozen=True, kw_only=True, slots=True)
class EngineStart:
    """What came before the steady state, in seconds.

    Attributes:
        load_seconds: from the start of the process until the images were there, imports included.
        compile_seconds: from then until the first step was next: the net was made and tried, and steps that
            are compiled ahead were.
        first_point_seconds: from the start of the process to the first point of the chart.
    """

    load_seconds: float
    compile_seconds: float
    first_point_seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class EngineRun:
    """What a training did after its warm-up.

    Attributes:
        moments: when points of the chart were reached, in Unix seconds, and their steps.
        images_per_second: the rate of each of a few parts of that time, by the clock of the training.
        losses: of the points of the chart, in order, those of the warm-up included.
        saved_loss: of the saved weights on training images, in nats; NaN where a weight was not saved or is
            not finite.
        classes: how many there are.
        device: for the user to read.
        backend: how the steps were made, for the user to read.
        start: what came before.
    """

    moments: tuple[tuple[float, int], ...]
    images_per_second: tuple[float, ...]
    losses: tuple[float, ...]
    saved_loss: float
    classes: int
    device: str
    backend: str
    start: EngineStart

    def check(self) -> None:
        """See that the training was one.

        Raises:
            RunFailedError: it was not, and its speed means nothing.
        """
        check_losses(self.losses, "the engine")
        if not math.isfinite(self.saved_loss):
            raise RunFailedError("the engine did not save what it trained: its speed means nothing")


def check_losses(losses: Sequence[float], whose: str) -> None:
    """See that losses are those of a training: finite, not all the same, and lower at the end.

    Raises:
        RunFailedError: they are not.
    """
    quarter = len(losses) // 4
    fell = len(losses) < _POINTS_TO_FALL or sum(losses[-quarter:]) < sum(losses[:quarter])
    if not losses or not all(map(math.isfinite, losses)) or len(losses) > len(set(losses)) == 1 or not fell:
        raise RunFailedError(
            f"{whose} did not train: its loss did not fall, and its speed would mean nothing"
        )


def engine_loop(
    config: TrainConfig, *, warm_up_seconds: float, seconds: float = math.inf
) -> AbstractContextManager[Child]:
    """A fresh process that trains until it is terminated, or for `seconds` after a warm-up.

    It answers after the warm-up, and at its end what `engine_run` takes.
    """
    settings = json.dumps(dataclasses.asdict(config))
    return child(_MODULE, settings, str(time.time()), str(warm_up_seconds), str(seconds))


def engine_run(found: Mapping[str, Any]) -> EngineRun:
    """What a process of `engine_loop` answered at its end.

    Raises:
        RunFailedError: it did not train.
    """
    run = EngineRun(
        moments=tuple((moment, step) for moment, step in found["moments"]),
        images_per_second=tuple(found["images_per_second"]),
        losses=tuple(found["losses"]),
        saved_loss=math.nan if found["saved_loss"] is None else found["saved_loss"],
        classes=found["classes"],
        device=found["device"],
        backend=found["backend"],
        start=EngineStart(**found["start"]),
    )
    run.check()
    return run


def measure_engine(config: TrainConfig, *, warm_up_seconds: float, seconds: float) -> EngineRun:
    """Train in a fresh process for `seconds` after a warm-up, or to the end of the training.

    Raises:
        UserError: it cannot be done on these images or this device.
        RunFailedError: the process died, or did not train.
    """
    with engine_loop(config, warm_up_seconds=warm_up_seconds, seconds=seconds) as process:
        process.answer(warm_up_seconds + TRAINS_SECONDS)
        return engine_run(process.answer(seconds + TRAINS_SECONDS))


class _Points:
    """Takes the events of a training, and stops it when enough is measured."""

    def __init__(self, control: RunControl, warm_up_seconds: float, seconds: float) -> None:
        self.device = self.backend = ""
        self.loaded = self.began = math.nan
        self.points: list[LossPoint] = []
        self.measured: list[LossPoint] = []
        self._control = control
        self._warm_up_seconds = warm_up_seconds
        self._seconds = seconds

    def take(self, event: Event) -> None:
        """Take the next event. A point comes once its losses have come from the device."""
        if isinstance(event, DataLoaded):
            self.loaded = event.time
        if isinstance(event, TrainingStarted):
            self.began, self.device, self.backend = event.time, event.device, event.backend
        if not isinstance(event, LossPoint):
            return
        self.points.append(event)
        if event.train_seconds >= self._warm_up_seconds:
            if not self.measured:
                say(device=self.device, backend=self.backend)
            self.measured.append(event)
        if len(self.measured) > 1 and event.train_seconds - self.measured[0].train_seconds >= self._seconds:
            self._control.request("stop")


def rates(points: Sequence[LossPoint], parts: int) -> list[float]:
    """Images a second between points, in so many parts of about the same number of points; or in fewer.

    Raises:
        RunFailedError: there are fewer than two points, or steps are missing between them.
    """
    if len(points) < 2:
        raise RunFailedError("the training ended before it could be measured: give it more images or epochs")
    if any(then.step != before.step + then.steps for before, then in itertools.pairwise(points)):
        raise RunFailedError("the engine left out steps: its speed would mean nothing")
    parts = min(parts, len(points) - 1)
    edges = [round(part * (len(points) - 1) / parts) for part in range(parts + 1)]
    found = []
    for first, last in itertools.pairwise(edges):
        images = sum(point.images for point in points[first + 1 : last + 1])
        found.append(images / (points[last].train_seconds - points[first].train_seconds))
    return found


def _train(arguments: list[str]) -> None:
    from cifar_tui.engine.session import Session

    keep_freed_memory()
    config = build_config(json.loads(arguments[0]))
    started, warm_up_seconds, seconds = map(float, arguments[1:])
    control = RunControl()
    signal.signal(signal.SIGTERM, lambda *_: control.request("stop"))
    taken = _Points(control, warm_up_seconds, seconds)
    session = Session(config=config, emit=taken.take, control=control)
    with tempfile.TemporaryDirectory(prefix="cifar-tui-bench-") as name:
        try:
            session.train(lambda: Path(name), interactive=False)
        except CancelledError:
            if not taken.points:  # and else it was stopped where it was over, and only evaluated
                raise
        saved_loss = _loss_of_saved(session, Path(name) / WEIGHTS_FILE)
    points = taken.measured
    images_per_second = rates(points, _PARTS)
    say(
        moments=[(point.time, point.step) for point in points],
        images_per_second=images_per_second,
        losses=[point.loss for point in taken.points],
        saved_loss=saved_loss if math.isfinite(saved_loss) else None,
        classes=len(session.dataset.class_names) if session.dataset is not None else 0,
        device=taken.device,
        backend=taken.backend,
        start={
            "load_seconds": taken.loaded - started,
            "compile_seconds": taken.began - taken.loaded,
            "first_point_seconds": taken.points[0].time - started,
        },
    )


def _loss_of_saved(session: "Session", path: Path) -> float:
    """The loss of the saved weights on some training images, in a net that had none of its own."""
    import torch

    from cifar_tui.engine.checkpoint.files import load_into, load_weights
    from cifar_tui.engine.data.dataset import ImageSplit
    from cifar_tui.engine.evaluation.evaluate import evaluate
    from cifar_tui.engine.models import create_model

    dataset = session.dataset
    if dataset is None:
        raise AssertionError("a training has images")
    net = create_model(session.config.model, num_classes=len(dataset.class_names))
    with torch.no_grad():
        for tensor in net.state_dict().values():
            if tensor.is_floating_point():
                tensor.fill_(math.nan)
    load_into(net, load_weights(path), path)
    order = torch.randperm(len(dataset.train), generator=torch.Generator().manual_seed(0))[:_TRIED_IMAGES]
    split = ImageSplit(images=dataset.train.images[order], targets=dataset.train.targets[order])
    return evaluate(net, split, dataset.class_names).loss


if __name__ == "__main__":
    run_child(_train)
