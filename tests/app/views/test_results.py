"""The Results view: from a cell to its images, to one of them, and back; at every size."""

import pytest
from textual.widgets._footer import FooterKey

from cifar_tui.app.commands import COMMANDS
from cifar_tui.app.dialogs.picture import PictureScreen
from cifar_tui.app.panes.classes import ClassTable
from cifar_tui.app.panes.confusion import MatrixView, PairList
from cifar_tui.app.views.results import ResultsHelp, ResultsScreen
from cifar_tui.app.widgets.header import PaneTabs
from cifar_tui.runs.results import ImageFilter, SortKey
from tests.app.panes.pane_app import count_layouts, resized, settled, until
from tests.app.views.results_app import ResultsApp, three_classes
from tests.runs.made_results import make_results

SIZE = (120, 40)


@pytest.fixture
def app():
    return ResultsApp(three_classes())


async def shown(pilot, kind):
    await until(pilot, lambda: isinstance(pilot.app.screen, kind))
    await settled(pilot)


async def click_on(pilot, widget, x, y, times=1):
    assert await pilot.click(widget, offset=(x, y), times=times)
    await settled(pilot)


async def test_by_keys_from_a_cell_to_its_images_to_one_and_back(app):
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot)
        await pilot.press("n", "enter")
        await settled(pilot)
        assert app.view.focused_pane == "gallery"
        assert app.gallery.filter == ImageFilter(truth=2, predicted=1)
        assert app.gallery.view.selected == [40, 41, 42, 43, 44, 45]
        assert "3 Gallery · dog → cat · 6 images" in app.text()

        await pilot.press("right", "enter")
        await shown(pilot, PictureScreen)
        assert "Image 41 · 2 of 6 · dog → cat" in app.text()
        await pilot.press("right_square_bracket")
        await settled(pilot)
        assert "Image 42 · 3 of 6" in app.text()

        await pilot.press("escape")
        await shown(pilot, ResultsScreen)
        assert (app.view.focused_pane, app.gallery.view.current) == ("gallery", 42)
        await pilot.press("escape")
        await settled(pilot)
        matrix = app.view.query_one(MatrixView)
        assert app.focused is matrix
        assert (matrix.window.row, matrix.window.column) == (2, 1), "the cell that it came from"
        assert app.gallery.filter == ImageFilter(), "what was shown before"
        await pilot.press("escape")
        await until(pilot, lambda: app.left == [None])


async def test_by_mouse_from_a_cell_to_its_images_to_one_and_back(app):
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot)
        matrix = app.view.query_one(MatrixView)
        layout = matrix._layout
        x, y = layout.name_width + 1 + 2 * layout.cell_width + 1, 2
        await click_on(pilot, matrix, x, y)
        assert (matrix.window.row, matrix.window.column) == (1, 2)
        assert not app.gallery.is_narrowed, "one click only points"
        await click_on(pilot, matrix, x, y, times=2)
        assert app.gallery.view.selected == [20, 21, 22, 23]

        gallery = app.gallery.view
        await click_on(pilot, gallery, gallery._layout.cell_width + 3, 3)
        assert gallery.current == 21
        await click_on(pilot, gallery, gallery._layout.cell_width + 3, 3, times=2)
        await shown(pilot, PictureScreen)

        for kind, pane in ((ResultsScreen, "gallery"), (ResultsScreen, "confusion")):
            back = next(key for key in app.screen.query(FooterKey) if key.description == "Back")
            await click_on(pilot, back, 1, 0)
            await shown(pilot, kind)
            assert app.view.focused_pane == pane


async def test_a_pair_in_the_list_is_pointed_at_by_a_click_and_opened_by_two(app):
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        pairs, matrix = app.view.query_one(PairList), app.view.query_one(MatrixView)
        assert "dog → cat" in pairs.plain.splitlines()[1]
        await click_on(pilot, pairs, 2, 2)
        assert (matrix.window.row, matrix.window.column) == (1, 2)
        await click_on(pilot, pairs, 2, 1, times=2)
        assert app.gallery.filter == ImageFilter(truth=2, predicted=1)


async def test_enter_on_a_class_shows_its_images_in_the_order_chosen_before(app):
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot)
        await pilot.press("3", "s", "s", "2", "j", "enter")
        await settled(pilot)
        assert app.gallery.filter == ImageFilter(truth=1, sort=SortKey.LOSS, descending=True)
        assert app.gallery.view.selected == list(range(20, 40))
        await pilot.press("escape")
        await settled(pilot)
        assert app.focused is app.view.query_one(ClassTable)
        assert app.gallery.filter == ImageFilter(sort=SortKey.LOSS, descending=True)


async def test_esc_first_shows_all_images_then_all_panes_then_leaves(app):
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot)
        await pilot.press("3", "w", "m")
        await settled(pilot)
        assert app.view.is_maximised
        assert app.gallery.is_narrowed
        await pilot.press("escape")
        assert not app.gallery.is_narrowed
        await pilot.press("escape")
        assert not app.view.is_maximised
        assert not app.left
        await pilot.press("escape")
        await until(pilot, lambda: app.left == [None])


async def test_slash_opens_the_field_for_a_file_and_takes_what_is_typed_ahead(app):
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot)
        await pilot.press("slash", *"dog/4")
        await settled(pilot)
        assert app.gallery.view.selected == list(range(40, 50))
        assert '3 Gallery · file "dog/4" · 10 images' in app.text()
        await pilot.press("enter", "w")
        await settled(pilot)
        assert app.gallery.view.selected == [40, 41, 42, 43, 44, 45]
        await pilot.press("slash", "escape")
        await settled(pilot)
        assert app.gallery.filter == ImageFilter(wrong_only=True)
        assert app.focused is app.gallery.view
        await pilot.press("escape", "escape")
        await until(pilot, lambda: app.left == [None])


@pytest.mark.parametrize(
    ("size", "visible"),
    [
        ((60, 16), 1),
        ((80, 23), 1),
        ((120, 40), 4),
        ((200, 50), 4),
    ],
)
async def test_at_every_size_all_that_is_shown_has_its_place(app, size, visible):
    async with app.run_test(size=size) as pilot:
        await settled(pilot)
        panes = [app.view.pane(name) for name in app.view.PANES]
        assert sum(pane.display for pane in panes) == visible
        for number, pane in enumerate(panes, 1):
            await pilot.press(str(number))
            await settled(pilot)
            assert pane.has_focus_within
            assert app.view.region.contains_region(pane.region)
            assert pane.size.height >= 7
            assert pane.size.width >= 34
            if number == 3:
                gallery = app.gallery.view
                assert gallery._layout.per_page > 0
                assert len(gallery._lines) <= gallery.size.height


async def test_where_there_is_room_the_gallery_is_below_the_matrix_or_at_its_right(app):
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot)
        confusion, classes, gallery, confidence = (app.view.pane(name).region for name in app.view.PANES)
        assert (classes.y, confidence.y) == (confusion.y, gallery.y)
        assert gallery.y == confusion.bottom
        assert gallery.width > confidence.width
        await resized(pilot, 200, 50)
        confusion, classes, gallery, confidence = (app.view.pane(name).region for name in app.view.PANES)
        assert confusion.x == classes.x == confidence.x
        assert (gallery.x, gallery.y) == (confusion.right, confusion.y)
        assert gallery.height == confusion.height + classes.height + confidence.height


async def test_a_click_on_a_tab_brings_its_pane_to_the_front(app):
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        tabs = app.view.query_one(PaneTabs)
        await click_on(pilot, tabs, app.text().splitlines()[1].index("Confidence"), 0)
        assert app.view.focused_pane == "confidence"


async def test_before_the_first_evaluation_every_pane_says_what_will_appear():
    app = ResultsApp(None)
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot)
        text = app.text()
        assert "not evaluated yet" in text
        assert text.count("after the first") == 4
        await pilot.press("n", "enter", "3", "w", "s", "enter", "right_square_bracket", "slash", "4", "a")
        assert app.left == []


@pytest.mark.parametrize("pane", ["confusion", "classes", "gallery"])
async def test_a_pane_that_was_gone_to_before_the_first_evaluation_has_its_keys_after_it(pane):
    app = ResultsApp(None)
    async with app.run_test(size=(80, 23)) as pilot:
        await pilot.press(str(1 + ResultsScreen.PANES.index(pane)))
        assert app.view.focused is app.view.pane(pane)
        for results in (three_classes(), None, three_classes(step=200)):
            app.run_shown.latest, filled = results, results is not None
            await until(pilot, lambda filled=filled: app.view.pane(pane).has_class("-filled") is filled)
            await until(pilot, lambda: app.view.focused is app.view.pane(pane).first_focusable())
            assert (app.view.focused is not app.view.pane(pane)) is filled


async def test_a_new_evaluation_is_shown_with_the_cursor_on_the_same_image(app):
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot)
        await pilot.press("3", "w", *["right"] * 7)
        before = app.gallery.view.current
        assert before == 21
        app.run_shown.latest = three_classes(step=200, shift=1)
        app.view._poll()
        await settled(pilot)
        assert "step 200" in app.text()
        assert app.gallery.view.current == 21
        assert app.gallery.filter.wrong_only
        app.view._poll()
        assert app.gallery.results is app.run_shown.latest


async def test_without_results_again_the_titles_say_nothing_of_the_last_ones(app):
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot)
        await pilot.press("n", "enter")
        app.run_shown.latest = None
        app.view._poll()
        await settled(pilot)
        assert "dog → cat" not in app.text()
        assert "6 images" not in app.text()
        await pilot.press("3", "w", "escape", "1", "enter")


async def test_a_class_that_another_dataset_lacks_is_no_longer_filtered_by(app):
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot)
        await pilot.press("n", "enter")
        app.run_shown.latest = make_results([0, 1], [0, 1], classes=2)
        app.view._poll()
        await settled(pilot)
        assert app.gallery.view.selected == [0, 1]


async def test_no_key_of_another_view_acts_unseen(app):
    passed = {"toggle_pause", "runs", "quit", "command_palette", "suspend"}
    evaluate = "e"
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot)
        keys = {
            key
            for command in COMMANDS
            if command.action not in passed and not command.everywhere
            for key in command.keys.split(",")
        } - {evaluate}
        for name in app.view.PANES:
            app.view.show_pane(name)
            bound = {key for key, binding in app.view.active_bindings.items() if binding.node is app.view}
            inside = {
                key
                for key, binding in app.view.active_bindings.items()
                if binding.node is not app.view and binding.node is not app
            }
            assert keys <= bound | inside, name
        await pilot.press("1", "t", "s", "c", "d", "u")
        assert app.app_keys == 0
        await pilot.press("space")
        assert app.app_keys == 1, "pauses training"


async def test_the_help_lists_the_keys_of_every_pane(app):
    async with app.run_test(size=(120, 60)) as pilot:
        await settled(pilot)
        await pilot.press("question_mark")
        await shown(pilot, ResultsHelp)
        text = app.text()
        for words in (
            "n/N",
            "s/S",
            "[ ]",
            "+ -",
            "% of the row",
            "top classes",
            "clipboard",
            "other chart",
            "nearest",
        ):
            assert words in text, words


async def test_the_title_says_where_the_other_views_are_if_there_is_room(app):
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot)
        assert app.text().splitlines()[0].rstrip().endswith("Train f1 · Results f2 · Runs f3")
        await resized(pilot, 80, 24)
        assert "Train f1" not in app.text()
        assert "test 70.00 % · 42 of 60 correct · step 100" in app.text()


async def test_another_evaluation_of_the_same_classes_lays_nothing_out_anew(app, monkeypatch):
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot)
        layouts = count_layouts(app, monkeypatch)
        app.run_shown.latest = three_classes(step=200, shift=1)
        await until(pilot, lambda: "step 200" in app.text())
        await settled(pilot)
        assert not layouts
