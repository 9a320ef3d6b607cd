"""One image large with its nearest training images: where they are, and while they are searched for."""

import re
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.widgets import Static

from cifar_tui.app.charts.nearest import nearest_layout
from cifar_tui.app.dialogs.picture import PictureScreen, picture_layout
from cifar_tui.app.safe import SafeApp
from cifar_tui.app.widgets.nearest_panel import NearestPanel, NearestPictures
from cifar_tui.app.widgets.strip_view import StripView
from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.evaluation import training_index
from cifar_tui.runs.live import LiveRun
from cifar_tui.runs.nearest import NearestFinder, NearestSearch
from tests.app.panes.pane_app import settled, until


class PictureApp(SafeApp):
    """Shows the screen over the results of a run."""

    animation_level = "none"

    def __init__(self, run, *, finder=None, is_training=False, place=0):
        super().__init__()
        search = NearestSearch(finder or NearestFinder(), run, lambda: is_training)
        self.left = []
        self.screen_shown = PictureScreen(run.results(), list(range(12)), place, "all images", search)

    def on_mount(self):
        self.push_screen(self.screen_shown, self.left.append)

    @property
    def pictures(self):
        return self.screen_shown.query_one(NearestPictures)

    @property
    def shown(self):
        """The number of nearest images that are drawn."""
        found = self.pictures._found
        return found and min(nearest_layout(*self.pictures.size).per_page, len(found.images))

    def text(self):
        return "\n".join(line.text for line in self.screen._compositor.render_strips())


@pytest.fixture
def gate(monkeypatch):
    """Holds the computing of features after the first batch, until it is opened or the work is cancelled."""
    last_features = training_index.last_features

    class Gate:
        opened, ended = threading.Event(), threading.Event()
        count = 0

    def held(net, images, *, progress=None):
        if progress is not None:
            Gate.count += 1
            try:
                while not Gate.opened.is_set():
                    progress(8)
            finally:
                Gate.ended.set()
        return last_features(net, images, **({} if progress is None else {"progress": progress}))

    monkeypatch.setattr(training_index, "last_features", held)
    yield Gate
    Gate.opened.set()


@given(width=st.integers(1, 260), height=st.integers(1, 100), nearest=st.booleans())
def test_what_is_shown_fits_and_the_picture_has_precedence(width, height, nearest):
    layout = picture_layout(width, height, nearest=nearest)
    alone = picture_layout(width, height, nearest=False)
    columns, rows = layout.nearest
    if layout.below:
        assert layout.picture >= min(alone.picture, 32)
        assert layout.picture // 2 + rows <= height
        assert columns == width
    else:
        assert layout.picture == alone.picture
        beside = [part + 2 for part in (layout.picture, layout.words) if part]
        assert sum(beside) + columns <= max(width, 10)
    assert (columns > 0) == nearest


@pytest.mark.parametrize(("size", "least"), [((80, 30), 4), ((120, 40), 6), ((200, 50), 7)])
async def test_where_there_is_room_they_are_below_at_once(finished_run, size, least):
    app = PictureApp(finished_run)
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: app.shown)
        await settled(pilot)
        text = app.text()
        assert "Nearest training images" in text
        assert least <= app.shown <= 8
        assert len(re.findall(r"\.png +[01]\.\d\d", text)) >= least
        assert "GroundTruth" in text
        picture = app.screen.query_one("#picture", StripView)
        assert picture.size.width >= 32
        assert app.screen.region.contains_region(picture.region)
        assert picture.region.bottom <= app.pictures.region.y
        names = finished_run.results().class_names
        truth = names[finished_run.results().predictions.targets[0]]
        other = sum(names[near.target] != truth for near in app.pictures._found.images)
        assert (f"≠ {other} of 8 not {truth}" in text) == bool(other)


@pytest.mark.parametrize(("size", "count"), [((60, 16), 2), ((80, 23), 4)])
async def test_where_there_is_none_they_take_the_place_of_the_words(finished_run, size, count):
    app = PictureApp(finished_run)
    async with app.run_test(size=size) as pilot:
        await settled(pilot)
        before = app.screen.query_one("#picture").region
        assert "Nearest training" not in app.text()
        assert "n Nearest" in app.text()
        await pilot.press("n")
        await until(pilot, lambda: app.shown)
        await settled(pilot)
        assert app.screen.query_one("#picture").region == before
        assert app.shown == count
        assert app.text().count(".png") == count
        assert "GroundTruth" not in app.text()
        assert all(len(line) <= size[0] for line in app.text().splitlines())
        await pilot.press("n")
        await settled(pilot)
        assert "GroundTruth" in app.text()
        assert not re.search(r"\.png +[01]\.\d\d", app.text())


async def test_during_a_training_they_are_searched_for_on_request_only(finished_run, gate):
    finder = NearestFinder()
    app = PictureApp(finished_run, finder=finder, is_training=True)
    async with app.run_test(size=(120, 40)) as pilot:
        await settled(pilot)
        assert not app.screen.query_one(NearestPanel).display
        await pilot.press("right", "left")
        assert gate.count == 0
        gate.opened.set()
        await pilot.press("n")
        await until(pilot, lambda: app.shown)
        assert gate.count == 1
    app = PictureApp(finished_run, finder=finder, is_training=True)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.shown)  # at once: the features are in memory
        assert gate.count == 1


async def test_the_next_image_has_its_own_from_the_same_features(finished_run, gate):
    gate.opened.set()
    app = PictureApp(finished_run)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.shown)
        first = app.pictures._found
        await pilot.press("right", "right")
        await until(pilot, lambda: app.shown and app.pictures._found is not first)
        search = app.screen.query_one(NearestPanel)._search
        expected = await search.find(finished_run.results(), 2)
        shown = [near.position for near in app.pictures._found.images]
        assert shown == [near.position for near in expected.images]
        assert gate.count == 1


async def test_the_progress_is_shown_and_esc_leaves_and_ends_the_work(finished_run, gate):
    app = PictureApp(finished_run)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "computing features" in app.text())
        await until(pilot, lambda: "8 of 24 images" in app.text())
        assert not gate.ended.is_set()
        await pilot.resize_terminal(100, 40)  # continues
        await pilot.press("escape")
        await until(pilot, lambda: app.left == [0])
        await until(pilot, gate.ended.is_set)
        assert gate.count == 1


async def test_the_features_are_computed_once_whatever_image_is_shown_meanwhile(finished_run, gate):
    app = PictureApp(finished_run)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "computing features" in app.text())
        await pilot.press("right", "right", "left")
        assert not gate.ended.is_set()
        gate.opened.set()
        await until(pilot, lambda: app.shown)
        expected = await app.screen.query_one(NearestPanel)._search.find(finished_run.results(), 1)
        shown = [near.position for near in app.pictures._found.images]
        assert shown == [near.position for near in expected.images]
        assert gate.count == 1


async def test_hiding_them_ends_the_work(finished_run, gate):
    app = PictureApp(finished_run)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "computing features" in app.text())
        await pilot.press("n")
        await until(pilot, gate.ended.is_set)
        assert "computing features" not in app.text()
        gate.opened.set()
        await pilot.press("n")
        await until(pilot, lambda: app.shown)


async def test_what_prevents_a_search_is_said(finished_run, monkeypatch):
    monkeypatch.setattr(finished_run, "saved_weights", lambda: None)
    app = PictureApp(finished_run)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "no weights of the run are saved." in app.text())
        assert app.screen.query_one("#nearest-words", Static).display
        await pilot.press("right", "n", "n", "escape")
        assert app.left == [1]


async def test_few_training_images_are_all_shown(image_folder, tmp_path):
    for path in (image_folder / "train").rglob("0[1-7].png"):
        path.unlink()
    config = TrainConfig(
        data=str(image_folder), data_dir=str(tmp_path / "data"), device="cpu", backend="eager", epochs=1
    )
    run = LiveRun(config, checkpoints=tmp_path / "checkpoints")
    run.start_training()
    assert run.wait(60)
    app = PictureApp(run)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.shown == 3)
        await settled(pilot)
        assert "≠ 2 of 3 not blue" in app.text()
        assert app.text().count("00.png") == 4, "the path of the image itself, and three"
