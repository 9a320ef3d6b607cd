"""The Compare view: runs over the same axes, against a baseline, followed while they train."""

from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from textual.app import App
from textual.events import Key

import cifar_tui
from cifar_tui.app.app import CifarApp
from cifar_tui.app.charts.overlay import MARKS
from cifar_tui.app.charts.view import XUnit
from cifar_tui.app.launch import Idle
from cifar_tui.app.panes.compared_curves import ComparedRunsTable
from cifar_tui.app.panes.compared_images import ImageList
from cifar_tui.app.panes.overlay_charts import OverlayCharts
from cifar_tui.app.views.compare import CompareScreen
from cifar_tui.app.views.run_table import RunTable
from cifar_tui.app.views.runs import RunsScreen
from cifar_tui.engine.config.file import config_to_toml
from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.events import ClassAccuracy, Evaluated
from cifar_tui.runs.disk.event_log import EventLog
from cifar_tui.runs.listing import list_runs
from tests.app.panes.pane_app import until
from tests.runs.made_evaluations import evaluate
from tests.runs.made_events import STARTED, at, point, record

STYLES = Path(cifar_tui.__file__).parent / "app"


class CompareApp(App[None]):
    """Shows the screen over all runs of a folder."""

    CSS_PATH: ClassVar = [STYLES / f"{name}.tcss" for name in ("app", "views/paned", "views/compare")]
    BINDINGS: ClassVar = [("t,space,s,e,r,c", "forbidden", "Of the dashboard")]

    def __init__(self, checkpoints: Path) -> None:
        super().__init__()
        self.compare = CompareScreen(list_runs(checkpoints), self.size)
        self.left = False

    def on_mount(self) -> None:
        self.push_screen(self.compare, lambda _: setattr(self, "left", True))

    def action_forbidden(self) -> None:
        raise AssertionError("a key of the dashboard came through")

    def text(self) -> str:
        """What the screen shows."""
        return "\n".join(line.text for line in self.screen._compositor.render_strips())

    def rows(self) -> list[list[str]]:
        """The table of the runs: mark, name, test, Δ test, loss, Δ loss, epoch, Δ at, state."""
        rows = self.compare.query_one(ComparedRunsTable).rows
        return [[cell.plain.strip() for cell in row] for row in rows]


def evaluation(step, **correct):
    classes = tuple(ClassAccuracy(name=name, correct=count, total=100) for name, count in correct.items())
    total = sum(correct.values())
    return Evaluated(
        step=step, final=False, correct=total, total=100 * len(classes), loss=1.0, per_class=classes
    )


@pytest.fixture
def make_run(tmp_path):
    """Makes a run of three epochs of 100 steps with a constant loss; numbers say when it began."""

    def make(number, *, loss=2.0, steps=300, accuracies=(), **settings):
        folder = tmp_path / f"run-{number}"
        folder.mkdir()
        config = TrainConfig(**{"data": "synthetic", **settings})
        (folder / "config.toml").write_text(config_to_toml(config))
        points = [point(step, loss) for step in range(10, steps + 1, 10)]
        tests = [evaluation(100 * (n + 1), **classes) for n, classes in enumerate(accuracies)]
        events = sorted([*points, *tests], key=lambda event: event.step)
        record(folder, at(1000 + number, STARTED), *events)
        return folder

    return make


@pytest.fixture
def two_runs(make_run):
    make_run(1, loss=2.0, accuracies=[{"cat": 40, "dog": 50}, {"cat": 50, "dog": 60}, {"cat": 60, "dog": 70}])
    make_run(2, loss=1.5, steps=200, accuracies=[{"dog": 45, "cat": 45}, {"dog": 55, "cat": 85}])


async def read(pilot, count=2):
    """Wait until all runs are read and drawn."""
    await until(pilot, lambda: len(pilot.app.rows()) == count and "Reading…" not in str(pilot.app.rows()))


@pytest.mark.usefixtures("two_runs")
async def test_differences_are_those_at_the_same_epoch_against_the_run_that_b_chose(tmp_path):
    app = CompareApp(tmp_path)
    async with app.run_test(size=(120, 40)) as pilot:
        await read(pilot)
        assert [row[1:8] for row in app.rows()] == [
            ["run-1", "65.0 %", "baseline", "2.000", "–", "3.00", "–"],
            ["run-2", "70.0 %", "▲ +15.0", "1.500", "▼ -0.500", "2.00", "2.00"],
        ]
        await until(pilot, lambda: "baseline run-1" in app.text())
        await until(pilot, lambda: "after steps 200 and 300" in app.text())
        await pilot.press("j", "b")
        await until(pilot, lambda: "baseline run-2" in app.text())
        assert [row[1:8] for row in app.rows()] == [
            ["run-1", "65.0 %", "▼ -15.0", "2.000", "▲ +0.500", "3.00", "2.00"],
            ["run-2", "70.0 %", "baseline", "1.500", "–", "2.00", "–"],
        ]
        await pilot.click("#compared-runs", offset=(4, 1))
        await pilot.press("b")
        await until(pilot, lambda: "baseline run-1" in app.text())
        await pilot.press("escape")
        await until(pilot, lambda: app.left)


@pytest.mark.usefixtures("two_runs")
async def test_a_run_is_followed_while_it_trains(tmp_path):
    app = CompareApp(tmp_path)
    async with app.run_test(size=(120, 40)) as pilot:
        await read(pilot)
        log = EventLog(tmp_path / "run-2")
        for step in range(210, 301, 10):
            log.append(point(step, 1.0))
        log.append(evaluation(300, dog=90, cat=90))
        log.close()
        await until(pilot, lambda: app.rows()[1][2] == "90.0 %")
        assert app.rows()[1][3:8] == ["▲ +25.0", "1.000", "▼ -1.000", "3.00", "3.00"]
        charts = app.compare.query_one(OverlayCharts)
        await until(pilot, lambda: charts._runs[1].curves.loss[-1] == (300, 1.0))
        await until(pilot, lambda: "dog 70.0→ 90.0 ▲ +20.0" in " ".join(app.text().split()))


@pytest.mark.usefixtures("two_runs")
async def test_the_cursor_reads_every_run_and_esc_leaves_it_before_the_screen(tmp_path):
    app = CompareApp(tmp_path)
    async with app.run_test(size=(120, 40)) as pilot:
        await read(pilot)
        charts = app.compare.query_one(OverlayCharts)
        await until(pilot, lambda: charts._runs)
        assert charts.view.unit is XUnit.EPOCH
        await pilot.press("x")
        await until(pilot, lambda: "epoch 3.00" in app.text())
        states = [row[8] for row in app.rows()]
        assert app.rows()[1][2:9] == ["–", "–", "–", "–", "–", "–", states[1]], "it has ended before"
        await pilot.press(*["shift+left"] * 3)
        await until(pilot, lambda: app.rows()[1][6] != "–")
        assert float(app.rows()[1][6]) < 2
        await pilot.press("X")
        await until(pilot, lambda: "of training" in app.text())
        await pilot.press("escape")
        await until(pilot, lambda: charts.view.cursor is None and app.rows()[1][6] == "2.00")
        assert not app.left


@pytest.mark.usefixtures("two_runs")
async def test_the_keys_of_the_charts_are_those_of_train(tmp_path):
    app = CompareApp(tmp_path)
    async with app.run_test(size=(120, 40)) as pilot:
        await read(pilot)
        charts = app.compare.query_one(OverlayCharts)
        await until(pilot, lambda: "Loss" in app.text())
        await pilot.press("l", "z", "plus", "a")
        await until(pilot, lambda: "Learning rate, epochs" in app.text())
        assert (charts.log_scale, charts.smoothing_level, charts.view.zoom) == (True, 3, 1)
        await pilot.press("a", "comma")
        await until(pilot, lambda: "Loss, log, epochs" in app.text())
        assert charts.view.window is not None
        await pilot.press("m")
        await until(pilot, lambda: "Train accuracy" in app.text() and "Test accuracy" in app.text())
        await pilot.press("escape")
        await until(pilot, lambda: not app.compare.is_maximised)


@pytest.mark.usefixtures("two_runs")
async def test_images_are_listed_by_the_run_that_recognises_them(tmp_path):
    for number, predicted in ((1, [0, 0, 0, 1, 2]), (2, [0, 1, 1, 1, 2])):
        folder = tmp_path / f"run-{number}"
        record(folder, evaluate(folder, [0, 1, 0, 1, 2], predicted, step=300, confidence=0.25))
    app = CompareApp(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await read(pilot)
        await pilot.press("4")
        await until(pilot, lambda: "only run-2 right 1 · only run-1 right 1" in app.text())
        assert "both wrong 0 · both right 3" in app.text()
        images = app.compare.query_one(ImageList)
        assert images.current == 1
        await until(pilot, lambda: "#1 car    ✓ car    25 %  ✗ plane  25 %" in app.text())
        await until(pilot, lambda: "▀▀▀▀▀▀▀▀▀▀▀▀" in app.text())
        await pilot.press("f")
        await until(pilot, lambda: images.current == 2)
        await pilot.press("f")
        await until(pilot, lambda: images.current is None)
        for key in "fG":  # typed at once
            app.post_message(Key(key, key))
        await until(pilot, lambda: images.current == 4)
        await until(pilot, lambda: "#4 cat    ✓ cat    25 %  ✓ cat    25 %" in app.text())


async def test_images_of_a_run_are_compared_while_it_trains(make_run, tmp_path):
    targets = [0, 1, 0, 1, 2]
    finished, live = make_run(1), make_run(2, steps=100)
    record(finished, evaluate(finished, targets, [0, 1, 1, 1, 2], step=300))
    app = CompareApp(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await read(pilot)
        await pilot.press("4")
        await until(pilot, lambda: "run-2 has no stored predictions" in app.text())
        record(live, evaluate(live, targets, [0, 0, 0, 1, 2], step=50))
        await until(pilot, lambda: "only run-2 right 1 · only run-1 right 1" in app.text())
        assert "steps 50 and 300" in app.text()
        record(live, evaluate(live, targets, targets, step=100))
        await until(pilot, lambda: "only run-2 right 1 · only run-1 right 0" in app.text())
        assert "steps 100 and 300" in app.text()


async def test_the_list_of_images_has_the_keys_when_it_is_there(make_run, tmp_path):
    finished, live = make_run(1), make_run(2, steps=100)
    record(finished, evaluate(finished, [0, 1, 2], [0, 1, 1], step=300))
    app = CompareApp(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await read(pilot)
        await pilot.press("4")
        await until(pilot, lambda: "run-2 has no stored predictions" in app.text())
        record(live, evaluate(live, [0, 1, 2], [1, 0, 0], step=50))
        await until(pilot, lambda: "only run-1 right 2" in app.text())
        images = app.compare.query_one(ImageList)
        await until(pilot, lambda: images.has_focus)
        await pilot.press("f")
        await until(pilot, lambda: images.current == 0)
        await pilot.press("down")
        assert images.current == 1


async def test_the_cursor_stays_at_its_image_when_there_are_new_predictions(make_run, tmp_path):
    targets, others = np.zeros(200, int), np.ones(200, int)
    finished, live = make_run(1), make_run(2, steps=100)
    record(finished, evaluate(finished, targets, others, step=300))
    record(live, evaluate(live, targets, targets, step=50))
    app = CompareApp(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await read(pilot)
        await pilot.press("4")
        images = app.compare.query_one(ImageList)
        await until(pilot, lambda: "only run-2 right 200" in app.text() and images.has_focus)
        await pilot.press(*["pagedown"] * 4)
        before = images.current
        predicted = np.where(np.arange(200) % (before + 1) < before, targets, others)
        record(live, evaluate(live, targets, predicted, step=100))
        await until(pilot, lambda: images.current == before + 1)


async def test_that_the_test_images_are_others_is_said_beside_the_classes_too(make_run, tmp_path):
    for number in (1, 2):
        folder = make_run(number)
        record(folder, evaluate(folder, [0, 1, 2], [0, 1, 1], step=300, pixels=number))
    app = CompareApp(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await read(pilot)
        await pilot.press("3")
        await until(pilot, lambda: "on different test images" in app.text())
        await pilot.press("4")
        await until(pilot, lambda: "the runs were evaluated on different test images" in app.text())


@pytest.mark.usefixtures("two_runs")
async def test_images_that_cannot_be_compared_are_explained(tmp_path):
    app = CompareApp(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await read(pilot)
        await pilot.press("4")
        await until(pilot, lambda: "run-2 has no stored predictions" in app.text())


async def test_a_run_is_never_called_ended_where_it_has_not_begun_or_not_come_yet(make_run, tmp_path):
    make_run(1)
    folder = make_run(2, steps=0)
    record(folder, *(point(step) for step in range(200, 251, 10)))
    app = CompareApp(tmp_path)
    async with app.run_test(size=(120, 40)) as pilot:
        await read(pilot)
        charts = app.compare.query_one(OverlayCharts)
        await until(pilot, lambda: charts._runs)
        states = [row[8] for row in app.rows()]
        await pilot.press("x")
        await until(pilot, lambda: app.rows()[1][2:8] == ["–"] * 6)
        assert [row[8] for row in app.rows()] == states
        await pilot.press(*["shift+left"] * 9)
        await until(pilot, lambda: float(app.rows()[0][6]) < 1)
        assert app.rows()[1][2:8] == ["–"] * 6
        assert [row[8] for row in app.rows()] == states


@pytest.mark.usefixtures("two_runs")
async def test_escape_and_a_capital_letter_at_once_are_both_taken(tmp_path):
    app = CifarApp(Idle(config=TrainConfig(data="synthetic")), checkpoints=tmp_path)
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("r")
        await until(
            pilot, lambda: isinstance(app.screen, RunsScreen) and app.screen.query_one(RunTable).row_count
        )
        await pilot.press("a", "v")
        await until(pilot, lambda: isinstance(app.screen, CompareScreen))
        charts = app.screen.query_one(OverlayCharts)
        await until(pilot, lambda: len(charts._runs) == 2)
        await pilot.press("x")
        await until(pilot, lambda: charts.view.cursor is not None)
        app.post_message(Key("alt+shift+x", "X"))  # what a terminal sends for escape and X
        await until(pilot, lambda: charts.view.unit is XUnit.TIME and charts.view.cursor is None)
        assert isinstance(app.screen, CompareScreen)


async def test_curves_are_those_of_eight_runs_and_the_others_are_named(make_run, tmp_path):
    for number in range(10):
        make_run(number, loss=1 + number, learning_rate=0.1 + number)
    app = CompareApp(tmp_path)
    async with app.run_test(size=(120, 40)) as pilot:
        await read(pilot, 8)
        await until(
            pilot, lambda: "10 runs · baseline run-0 · curves of 8, without run-8, run-9" in app.text()
        )
        await until(pilot, lambda: all(app.text().count(mark) >= 3 for mark in MARKS))


async def test_a_run_that_cannot_be_read_says_why_and_the_others_are_shown(make_run, tmp_path):
    make_run(1)
    (make_run(2) / "events.jsonl").unlink()
    app = CompareApp(tmp_path)
    async with app.run_test(size=(120, 40)) as pilot:
        await read(pilot)
        assert app.rows()[0][4] == "2.000"
        assert app.rows()[1][-1] == "✗ unreadable"
        await until(pilot, lambda: any("is not a run folder" in note.message for note in app._notifications))


@pytest.mark.parametrize("size", [(60, 16), (80, 23), (200, 50)])
async def test_every_size_has_room_for_six_runs(make_run, tmp_path, size):
    for number in range(6):
        make_run(number, loss=1 + number)
    app = CompareApp(tmp_path)
    async with app.run_test(size=size) as pilot:
        await read(pilot, 6)
        await until(pilot, lambda: all(app.text().count(mark) >= 2 for mark in MARKS[:6]))
