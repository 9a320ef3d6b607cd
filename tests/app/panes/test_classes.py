"""The table of classes: its figures, orders and columns."""

from dataclasses import replace

import pytest

from cifar_tui.app.panes.classes import ClassesPane, ClassTable, class_rows, course_line
from cifar_tui.app.panes.confusion import ShowImages
from cifar_tui.runs.results import ImageFilter
from tests.app.panes.pane_app import PaneApp, settled
from tests.app.views.results_app import evaluated
from tests.hostile import TEXTS
from tests.runs.made_results import make_results

NAMES = ("plane", "cat", "dog")


class ClassesApp(PaneApp):
    """Notes what is to be shown."""

    def __init__(self):
        super().__init__(ClassesPane())
        self.asked = []

    def on_show_images(self, event: ShowImages):
        self.asked.append(event.chosen)

    def rows(self):
        table = self.query_one(ClassTable)
        rows = [table.get_row_at(row) for row in range(table.row_count)]
        return [[str(cell).strip() for cell in cells] for cells in rows]

    def column(self, heading):
        headings = [str(column.label) for column in self.query_one(ClassTable).ordered_columns]
        place = next(place for place, text in enumerate(headings) if heading in text)
        return [row[place] for row in self.rows()]


def three(**others):
    """Of 4 planes 2 are recognised, of 4 dogs all; there is no cat, but 2 planes are taken for one."""
    return make_results([0] * 4 + [2] * 4, [0, 0, 1, 1, 2, 2, 2, 2], class_names=NAMES, **others)


async def shown(pilot, results):
    pilot.app.pane.show(results)
    pilot.app.set_focus(pilot.app.query_one(ClassTable))
    await settled(pilot)


async def press(pilot, *keys):
    await pilot.press(*keys)
    await settled(pilot)


def test_the_course_of_a_class_is_drawn_between_its_least_and_greatest_accuracy():
    assert course_line((0.1, 0.2, 0.4), 12) == "▁▃▇"
    assert course_line((0.5, 0.5), 12) == "▄▄"
    assert course_line((None, 0.0, 1.0), 12) == " ▁▇"
    assert course_line((None, None), 12) == ""
    assert len(course_line([0.1 * k for k in range(10)], 4)) == 4


def test_the_change_is_since_the_evaluation_before():
    history = (evaluated(1, 1, 1, step=1), evaluated(5, 0, 10, step=2), evaluated(10, 0, 20, step=3))
    rows = class_rows(three(history=history))
    assert [row.change for row in rows] == [0.25, None, 0.5]
    assert rows[0].course == (0.05, 0.25, 0.5)
    assert [row.change for row in class_rows(three(history=history[:1]))] == [None] * 3
    assert [row.course for row in class_rows(three())] == [()] * 3
    of_two = replace(history[0], per_class=history[0].per_class[:2])
    assert [row.course for row in class_rows(three(history=(of_two, *history)))] == [
        row.course for row in rows
    ]


async def test_each_class_has_its_figures_and_a_dash_where_there_is_none():
    async with ClassesApp().run_test(size=(90, 12)) as pilot:
        history = (evaluated(5, 0, 20, step=2), evaluated(10, 0, 20, step=3))
        await shown(pilot, three(history=history))
        assert pilot.app.rows() == [
            ["plane", "50.0 %", "+25.0", "100.0 %", "66.7 %", "4", "▁▇"],
            ["cat", "–", "–", "0.0 %", "0.0 %", "0", "▄▄"],
            ["dog", "100.0 %", "+0.0", "100.0 %", "100.0 %", "4", "▄▄"],
        ]


async def test_s_sorts_by_the_next_column_and_unknown_figures_come_last():
    async with ClassesApp().run_test(size=(90, 12)) as pilot:
        await shown(pilot, three())
        await press(pilot, "s")
        assert pilot.app.column("class") == ["plane", "dog", "cat"]
        assert "accuracy▲" in pilot.app.text()
        await press(pilot, "S")
        assert pilot.app.column("class") == ["dog", "plane", "cat"]
        assert "accuracy▼" in pilot.app.text()
        await press(pilot, *["s"] * 5)
        assert "class ▲" in pilot.app.text()
        assert pilot.app.column("class") == ["plane", "cat", "dog"]


async def test_a_click_on_a_heading_sorts_and_a_second_one_reverses():
    async with ClassesApp().run_test(size=(90, 12)) as pilot:
        await shown(pilot, three())
        table = pilot.app.query_one(ClassTable)
        x = pilot.app.text().splitlines()[1].index("precision") - table.region.x
        await pilot.click(table, offset=(x, 0))
        await settled(pilot)
        assert pilot.app.column("class") == ["cat", "plane", "dog"]
        x = pilot.app.text().splitlines()[1].index("recision") - table.region.x
        await pilot.click(table, offset=(x, 0))
        await settled(pilot)
        assert pilot.app.column("class") == ["plane", "dog", "cat"]


async def test_the_cursor_stays_on_its_class_and_enter_shows_its_images():
    async with ClassesApp().run_test(size=(90, 12)) as pilot:
        await shown(pilot, three())
        await press(pilot, "j", "j", "s", "S", "enter")
        assert pilot.app.asked == [ImageFilter(truth=2)]
        await shown(pilot, three(step=200))
        await press(pilot, "enter")
        assert pilot.app.asked[1:] == [ImageFilter(truth=2)]


@pytest.mark.parametrize(
    ("width", "headings"),
    [
        (24, ["class ▲", "accuracy"]),
        (36, ["class ▲", "accuracy", "change"]),
        (48, ["class ▲", "accuracy", "change", "over time"]),
        (90, ["class ▲", "accuracy", "change", "precision", "F1", "images", "over time"]),
    ],
)
async def test_where_there_is_little_room_the_most_needed_columns_stay(width, headings):
    async with ClassesApp().run_test(size=(width, 12)) as pilot:
        await shown(pilot, three())
        table = pilot.app.query_one(ClassTable)
        assert [str(column.label).strip() for column in table.ordered_columns] == headings
        assert table.max_scroll_x == 0


async def test_of_200_classes_all_can_be_reached():
    results = make_results(range(200), range(200), classes=200)
    async with ClassesApp().run_test(size=(80, 12)) as pilot:
        await shown(pilot, results)
        await press(pilot, "G", "enter")
        assert pilot.app.asked == [ImageFilter(truth=199)]
        assert "class 199" in pilot.app.text()
        await press(pilot, "g", "enter")
        assert pilot.app.asked[1:] == [ImageFilter(truth=0)]


async def test_without_an_evaluation_there_is_no_table():
    async with ClassesApp().run_test(size=(80, 12)) as pilot:
        await shown(pilot, None)
        assert "after the first evaluation" in pilot.app.text()


async def test_hostile_names_stay_in_their_column():
    names = tuple(TEXTS.values())
    results = make_results(range(len(names)), range(len(names)), classes=len(names), class_names=names)
    async with ClassesApp().run_test(size=(60, 40)) as pilot:
        await shown(pilot, results)
        text = pilot.app.text()
        assert all(line.isprintable() for line in text.splitlines())
        assert text.count("100.0 %") == len(names)
