"""The confusion matrix as a pane: its cursor, the cell in words, and the pairs confused most."""

import numpy as np
import pytest

from cifar_tui.app.panes.confusion import ConfusionPane, MatrixView, PairList, ShowImages
from cifar_tui.engine.evaluation.statistics import most_confused
from cifar_tui.runs.results import ImageFilter
from tests.app.panes.pane_app import PaneApp, settled
from tests.hostile import TEXTS
from tests.runs.made_results import make_results

NAMES = ("plane", "cat", "dog")


class ConfusionApp(PaneApp):
    """Notes what is to be shown."""

    def __init__(self):
        super().__init__(ConfusionPane())
        self.asked = []

    def on_show_images(self, event: ShowImages):
        self.asked.append(event.chosen)

    def cell(self):
        window = self.query_one(MatrixView).window
        return window.row, window.column


def three(**others):
    targets = [0] * 5 + [1] * 10 + [2] * 5
    predicted = [0] * 5 + [1] * 6 + [2] * 3 + [0] + [2] * 4 + [1]
    return make_results(targets, predicted, class_names=NAMES, **others)


async def shown(pilot, results):
    pilot.app.pane.show(results)
    pilot.app.set_focus(pilot.app.query_one(MatrixView))
    await settled(pilot)


async def press(pilot, *keys):
    await pilot.press(*keys)
    await settled(pilot)
    return pilot.app.text()


async def test_the_cursor_stays_in_the_matrix_and_its_cell_is_said_in_words():
    async with ConfusionApp().run_test(size=(80, 16)) as pilot:
        await shown(pilot, three())
        assert "plane recognised: 5 images · 100.0 % of plane · enter show them" in pilot.app.text()
        text = await press(pilot, "j", "l", "right")
        assert "cat → dog: 3 images · 30.0 % of cat · enter show them" in text
        text = await press(pilot, "h", "left")
        assert "cat → plane: 1 image · 10.0 % of cat · enter show it" in text
        await press(pilot, "k", "up", "left")
        assert pilot.app.cell() == (0, 0)
        await press(pilot, "pagedown", "end")
        assert pilot.app.cell() == (2, 2)


async def test_enter_shows_the_images_of_a_cell_that_has_any():
    async with ConfusionApp().run_test(size=(80, 16)) as pilot:
        await shown(pilot, three())
        await press(pilot, "right", "enter")
        assert pilot.app.asked == []
        assert "plane → cat: 0 images" in pilot.app.text()
        await press(pilot, "down", "enter")
        assert pilot.app.asked == [ImageFilter(truth=1, predicted=1)]


async def test_n_goes_from_mistake_to_mistake_the_most_frequent_first():
    async with ConfusionApp().run_test(size=(80, 16)) as pilot:
        await shown(pilot, three())
        cells = []
        for key in ("n", "n", "n", "n", "N", "N"):
            await press(pilot, key)
            cells.append(pilot.app.cell())
        assert cells == [(1, 2), (1, 0), (2, 1), (1, 2), (2, 1), (1, 0)]
        await shown(pilot, make_results([0, 1], [0, 1]))
        await press(pilot, "n", "N")
        assert "No mistakes" in pilot.app.text()


async def test_per_cent_take_the_place_of_counts():
    async with ConfusionApp().run_test(size=(80, 16)) as pilot:
        await shown(pilot, three())
        matrix = pilot.app.query_one(MatrixView)
        assert matrix.plain.splitlines()[2].split() == ["cat", "1", "6", "3"]
        await press(pilot, "percent_sign")
        assert matrix.plain.splitlines()[2].split() == ["cat", "10", "60", "30"]


@pytest.mark.parametrize(
    ("size", "place"), [((80, 16), "-beside"), ((46, 20), "-below"), ((46, 8), None), ((200, 50), "-beside")]
)
async def test_the_pairs_are_beside_the_matrix_or_below_it_or_nowhere(size, place):
    async with ConfusionApp().run_test(size=size) as pilot:
        await shown(pilot, three())
        assert pilot.app.pane.classes & {"-beside", "-below"} == ({place} if place else set())
        text = pilot.app.text()
        assert ("Most confused (n next)" in text) == (place is not None)
        if place:
            pairs = [line.split() for line in pilot.app.query_one(PairList).plain.splitlines()[1:]]
            assert pairs == [
                ["cat", "→", "dog", "3", "30", "%"],
                ["cat", "→", "plane", "1", "10", "%"],
                ["dog", "→", "cat", "1", "20", "%"],
            ]
        assert "plane recognised" in text


async def test_pairs_that_are_many_are_in_columns():
    targets = np.repeat(np.arange(10), 10)
    predicted = (targets + np.tile(np.arange(10), 10)) % 10
    async with ConfusionApp().run_test(size=(80, 22)) as pilot:
        await shown(pilot, make_results(targets, predicted, classes=10))
        lines = pilot.app.query_one(PairList).plain.splitlines()
        assert all(line.count("→") == 2 for line in lines[1:])


async def test_of_200_classes_the_cursor_scrolls_the_matrix_under_its_headings():
    targets = np.repeat(np.arange(200), 5)
    predicted = np.where(np.arange(1000) % 5, targets, (targets + 1) % 200)
    async with ConfusionApp().run_test(size=(60, 20)) as pilot:
        await shown(pilot, make_results(targets, predicted, classes=200))
        await press(pilot, *["pagedown"] * 20, *["end"] * 40)
        assert pilot.app.cell() == (199, 199)
        lines = pilot.app.query_one(MatrixView).plain.splitlines()
        assert lines[0].endswith("class 199")
        assert lines[-1].startswith("class 199")
        await press(pilot, *["pageup"] * 20, *["home"] * 40, "n")
        assert pilot.app.cell() == (0, 1)


async def test_another_evaluation_with_fewer_classes_keeps_the_cursor_inside():
    async with ConfusionApp().run_test(size=(80, 16)) as pilot:
        await shown(pilot, three())
        await press(pilot, "pagedown", "end")
        await shown(pilot, make_results([0, 1], [0, 1], classes=2))
        assert pilot.app.cell() == (1, 1)
        assert "class 1 recognised" in pilot.app.text()
        await press(pilot, "enter")
        assert pilot.app.asked == [ImageFilter(truth=1, predicted=1)]


async def test_without_an_evaluation_keys_do_nothing():
    async with ConfusionApp().run_test(size=(80, 16)) as pilot:
        await shown(pilot, None)
        assert "after the first evaluation" in pilot.app.text()
        await press(pilot, "j", "l", "n", "N", "enter", "percent_sign")
        assert pilot.app.asked == []


@pytest.mark.parametrize("size", [(20, 6), (40, 12), (60, 16), (80, 24)])
async def test_hostile_names_of_classes_stay_in_the_pane(size):
    names = tuple(TEXTS.values())
    classes = len(names)
    results = make_results(range(classes), [*range(1, classes), 0], classes=classes, class_names=names)
    async with ConfusionApp().run_test(size=size) as pilot:
        await shown(pilot, results)
        for key in ("n", "n", "pagedown", "end"):
            text = await press(pilot, key)
            assert all(line.isprintable() for line in text.splitlines())


async def test_the_pairs_of_an_evaluation_are_sorted_once(monkeypatch):
    calls = []

    def counted(*arguments):
        calls.append(arguments)
        return most_confused(*arguments)

    monkeypatch.setattr("cifar_tui.runs.results.most_confused", counted)
    async with ConfusionApp().run_test(size=(100, 16)) as pilot:
        await shown(pilot, three())
        await press(pilot, "j", "l", "n", "n", "k")
        assert len(calls) == 1
        await shown(pilot, three())
        assert len(calls) == 2
