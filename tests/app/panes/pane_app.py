"""An app of panes alone, and made-up runs for them."""

import math
import time
from collections.abc import Callable

import numpy as np
import pytest
from textual.app import App, ComposeResult
from textual.css.query import NoMatches
from textual.pilot import Pilot

from cifar_tui.app.widgets.pane import Pane
from cifar_tui.engine.data.synthetic import TITLE as SYNTHETIC_TITLE
from cifar_tui.engine.events import (
    CheckpointSaved,
    ClassAccuracy,
    DataLoaded,
    Evaluated,
    Event,
    LossPoint,
    Phase,
    PhaseChanged,
    TrainingFinished,
    TrainingStarted,
)
from cifar_tui.runs.source import Sample, SampleBatch
from cifar_tui.runs.state import RunState

CLASSES = ("plane", "car", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


class PaneApp(App[None]):
    """Shows one pane that fills the screen."""

    animation_level = "none"

    def __init__(self, pane: Pane) -> None:
        super().__init__()
        self.pane = pane

    def compose(self) -> ComposeResult:
        yield self.pane

    def text(self) -> str:
        """What the screen shows."""
        width, height = self.size
        lines = self.screen._compositor.render_strips()
        return "\n".join(line.text.ljust(width) for line in lines[:height])


async def until(pilot: Pilot[None], condition: Callable[[], object]) -> None:
    """Let the app work until `condition` holds; it may look for widgets that are not mounted yet."""
    deadline = time.monotonic() + 60
    while True:
        missing = None
        try:
            if condition():
                return
        except NoMatches as error:
            missing = error
        if time.monotonic() > deadline:
            raise AssertionError("the condition did not become true") from missing
        await pilot.pause(0.02)


async def resized(pilot: Pilot[None], width: int, height: int) -> None:
    """Resize the terminal, and wait until the app has painted that size."""
    await pilot.resize_terminal(width, height)
    await until(pilot, lambda: pilot.app.screen._compositor.size == (width, height))
    await settled(pilot)


def count_layouts(app: App[None], monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Notes from now on every time that the screen is laid out anew."""
    found: list[object] = []
    screen = app.screen
    lay_out = screen._refresh_layout

    def noted(*size: object, **how: bool) -> None:
        found.append(size)
        lay_out(*size, **how)

    monkeypatch.setattr(screen, "_refresh_layout", noted)
    return found


async def settled(pilot: Pilot[None]) -> None:
    """Let the app work until it has laid out and painted everything."""
    await pilot.pause()
    await pilot.wait_for_animation()
    screen = pilot.app.screen
    busy = ("_layout_required", "_scroll_required", "_repaint_required", "_dirty_widgets", "_callbacks")
    for _ in range(2):  # what is laid out anew may be told so, and ask for more
        await until(pilot, lambda: not any(getattr(screen, name) for name in busy))
        await pilot.pause()


def loaded(*, synthetic: bool = False) -> list[Event]:
    title = SYNTHETIC_TITLE if synthetic else "CIFAR-10"
    return [
        PhaseChanged(phase=Phase.LOADING),
        DataLoaded(
            title=title, synthetic=synthetic, class_names=CLASSES, train_images=50_000, test_images=10_000
        ),
    ]


def trained(points: int = 100) -> list[Event]:
    return [
        *loaded(),
        PhaseChanged(phase=Phase.TRAINING),
        TrainingStarted(
            run="run",
            device="cpu",
            steps_per_epoch=12_500,
            total_steps=25_000,
        ),
        *(
            LossPoint(
                step=50 * n,
                steps=50,
                epoch=1,
                batch=50 * n,
                loss=1.25 + math.exp(-n / 50),
                accuracy=0.4,
                learning_rate=0.001,
                images=200,
                train_seconds=0.05 * n,
            )
            for n in range(1, points + 1)
        ),
    ]


def evaluated(correct: tuple[int, ...] = (), *, final: bool = True) -> Evaluated:
    counts = correct or tuple(400 + 30 * n for n in range(10))
    names = CLASSES if len(counts) == len(CLASSES) else [f"class {n}" for n in range(len(counts))]
    return Evaluated(
        step=25_000,
        final=final,
        correct=sum(counts),
        total=1000 * len(counts),
        loss=1.312,
        per_class=tuple(
            ClassAccuracy(name=name, correct=count, total=1000)
            for name, count in zip(names, counts, strict=True)
        ),
    )


def done() -> list[Event]:
    return [
        *trained(),
        TrainingFinished(
            completed=True, epoch=2, step=25_000, train_seconds=32.0, images=100_000, final_loss=1.25
        ),
        CheckpointSaved(path="checkpoints/run/cifar_net.pth", step=25_000, reason="end"),
        evaluated(),
        PhaseChanged(phase=Phase.DONE),
    ]


def state(events: list[Event]) -> RunState:
    result = RunState()
    for event in events:
        result.apply(event)
    return result


def batch(
    number: int = 2, predicted: tuple[str | None, ...] = ("cat", "car", "ship", "plane")
) -> SampleBatch:
    truths = ("cat", "ship", "ship", "plane")
    images = np.random.default_rng(number).integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)
    samples = tuple(
        Sample(
            index=4 * number + n,
            image=images[n],
            ground_truth=truths[n],
            predicted=predicted[n],
            confidence=None if predicted[n] is None else 0.25 + 0.125 * n,
        )
        for n in range(4)
    )
    step = None if predicted[0] is None else 12_000
    return SampleBatch(number=number, count=2500, step=step, samples=samples)
