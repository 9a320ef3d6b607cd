"""An app of the Results view alone, over made results."""

from pathlib import Path
from typing import ClassVar

import numpy as np

import cifar_tui
from cifar_tui.app.panes.gallery import GalleryPane
from cifar_tui.app.safe import SafeApp
from cifar_tui.app.views.results import ResultsScreen
from cifar_tui.engine.events import ClassAccuracy, Evaluated
from tests.runs.made_results import make_results

STYLES = Path(cifar_tui.__file__).parent / "app"
NAMES = ("plane", "cat", "dog")


class MadeRun:
    """A run with nothing but results, which can be replaced."""

    name = "lr-sweep-3"

    def __init__(self, results):
        self.latest = results

    def results(self):
        return self.latest


class ResultsApp(SafeApp):
    """Shows the view, and notes what it was left with and what it says."""

    CSS_PATH: ClassVar = [STYLES / f"{name}.tcss" for name in ("app", "views/paned", "views/results")]
    BINDINGS: ClassVar = [("t,s,c,d,u,space,l,x", "noted('{key}')", "Of the app")]
    animation_level = "none"

    def __init__(self, results):
        super().__init__()
        self.run_shown = MadeRun(results)
        self.left = []
        self.notes = []
        self.app_keys = 0

    def on_mount(self):
        screen = ResultsScreen(lambda: self.run_shown, lambda run: run.name, self.size)
        self.push_screen(screen, self.left.append)

    def notify(self, message, **arguments):
        self.notes.append(message)

    def action_noted(self, key):
        self.app_keys += 1

    @property
    def view(self) -> ResultsScreen:
        return next(screen for screen in self.screen_stack if isinstance(screen, ResultsScreen))

    @property
    def gallery(self) -> GalleryPane:
        return self.view.gallery

    def text(self) -> str:
        """What the screen shows."""
        return "\n".join(line.text for line in self.screen._compositor.render_strips())


def three_classes(*, step=100, shift=0, **others):
    """60 images of 3 classes: of each 14 are recognised; 4 cats and 6 dogs are taken for each other."""
    targets = np.repeat([0, 1, 2], 20)
    predicted = targets.copy()
    predicted[[20, 21, 22, 23]], predicted[[40, 41, 42, 43, 44, 45]] = 2, 1
    predicted[[0, 1, 2]], predicted[[3, 4, 5]] = 1, 2
    predicted[[24, 25]] = 0
    confidences = np.linspace(0.5, 0.99, 60)
    return make_results(
        targets,
        np.roll(predicted, shift),
        confidences=confidences,
        losses=np.linspace(3, 0.1, 60),
        class_names=NAMES,
        step=step,
        files=[f"test/{NAMES[k // 20]}/{k:02d}.png" for k in range(60)],
        root=Path("/images"),
        **others,
    )


def evaluated(*correct, step=100):
    """An evaluation with so many of 20 images of each class recognised."""
    return Evaluated(
        step=step,
        final=False,
        correct=sum(correct),
        total=20 * len(correct),
        loss=1.0,
        per_class=tuple(
            ClassAccuracy(name=name, correct=count, total=20)
            for name, count in zip(NAMES, correct, strict=True)
        ),
    )
