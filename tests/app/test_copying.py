"""`y` copies what is at the cursor, wherever there is one, and says so."""

from dataclasses import replace
from pathlib import Path

import pytest

from cifar_tui.app.panes.gallery import GalleryPane
from cifar_tui.app.panes.samples import SamplesPane
from cifar_tui.app.panes.training import TrainingPane
from cifar_tui.app.safe import SafeApp
from cifar_tui.app.views.compare import CompareScreen
from cifar_tui.app.views.runs import RunsScreen
from cifar_tui.engine.config.file import config_to_toml
from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.runs.listing import list_runs
from tests.app.panes.pane_app import batch, settled, state, trained, until
from tests.app.views.results_app import ResultsApp, three_classes
from tests.runs.made_events import STARTED, at, evaluated, point, record

SIZE = (120, 40)


@pytest.fixture
def copied(monkeypatch):
    """What reached the clipboard."""
    texts = []
    monkeypatch.setattr(SafeApp, "copy_to_clipboard", lambda _, text: texts.append(text))
    return texts


@pytest.fixture
def checkpoints(tmp_path):
    for number in (1, 2):
        folder = tmp_path / f"run-{number}"
        folder.mkdir()
        (folder / "config.toml").write_text(config_to_toml(TrainConfig(data="synthetic")))
        record(folder, at(number, STARTED), point(10, 2.0 / number), evaluated(10, 60))
    return tmp_path


async def press(pilot, *keys):
    await pilot.press(*keys)
    await settled(pilot)


async def test_a_cell_a_class_and_an_image_of_results(copied):
    app = ResultsApp(three_classes())
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot)
        await press(pilot, "n", "y")
        assert copied == ["dog → cat: 6 images · 30.0 % of dog"]
        assert app.notes == ["Copied dog → cat: 6 images · 30.0 % of dog"]
        await press(pilot, "2", "j", "y")
        assert copied[-1] == ("cat · accuracy 70.0 % · change – · precision 60.9 % · F1 65.1 % · images 20")
        await press(pilot, "3", "right", "y")
        assert copied[-1] == "/images/test/plane/01.png"
        await press(pilot, "4", "y")
        assert len(copied) == 3
        assert app.notes[-1].startswith("Nothing to copy here: move to a setting or an image, or press x")


async def test_an_image_in_no_file_is_copied_in_words(copied):
    app = ResultsApp(replace(three_classes(), files=(), root=None))
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot)
        await press(pilot, "3", "y")
        assert copied == ["image 0 · GroundTruth plane · Predicted cat · 50.0 %"]
        assert isinstance(app.focused.parent, GalleryPane)


async def test_a_setting_a_sample_and_a_point_of_a_chart(app, copied):
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot)
        app.dashboard.find_setting("optimizer")
        await press(pilot, "y")
        assert copied == ["sgd"]
        app.dashboard.find_setting("data")
        await press(pilot, "y")
        assert len(copied) == 1, "the letter is text"
        await press(pilot, "backspace", "escape", "y")
        assert copied[-1] == "synthetic"

        run = state(trained())
        app.dashboard.query_one(SamplesPane).show(batch(2))
        await press(pilot, "3", "y", "j", "y", "down", "down", "down", "k", "y")
        assert copied[-3:] == [
            "image 8 · GroundTruth cat · Predicted cat · 25.0 %",
            "image 9 · GroundTruth ship · Predicted car · 37.5 %",
            "image 10 · GroundTruth ship · Predicted ship · 50.0 %",
        ]
        app.dashboard.training.show(run.snapshot())
        app.dashboard.training.show_curves(run.curves())
        count = len(copied)
        await press(pilot, "2", "y")
        assert len(copied) == count, "there is no cursor yet"
        assert isinstance(app.focused, TrainingPane)
        app.dashboard.training.charts.toggle_cursor()
        await press(pilot, "left", "y")
        assert copied[-1].startswith("step 4,850 · epoch 0.39 · ")
        assert copied[-1] in " ".join(app.dashboard.training.charts.query_one("#reading").plain.split())


async def test_the_folder_of_a_run_in_the_list(app, copied, checkpoints):
    async with app.run_test(size=SIZE) as pilot:
        await app.push_screen(RunsScreen(checkpoints))
        await until(pilot, lambda: app.screen.query_one("#runs-table").row_count == 2)
        await press(pilot, "j", "y")
        assert copied == [str(checkpoints / "run-1")]
        assert Path(copied[0]).is_absolute()
        await press(pilot, "slash", "y", "enter")
        assert len(copied) == 1, "the letter is text"


async def test_a_run_that_is_compared(app, copied, checkpoints):
    async with app.run_test(size=SIZE) as pilot:
        await app.push_screen(CompareScreen(list_runs(checkpoints), app.size))
        table = app.screen.query_one("#compared-runs")
        await until(pilot, lambda: "2.000" in str(table.rows) and "1.000" in str(table.rows))
        await press(pilot, "home", "y", "j", "y")
        assert min(copied).startswith("run-1 · test 60.0 % · Δ test baseline · loss 2.000 · ")
        assert max(copied).startswith("run-2 · test 60.0 % · Δ test = 0.0 · loss 1.000 · Δ loss ▼")
