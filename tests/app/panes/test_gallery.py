"""The gallery: filters, orders and pages, and what of them is drawn."""

import numpy as np
import pytest
from textual.events import Key, MouseScrollDown

from cifar_tui.app.charts import gallery as charts
from cifar_tui.app.dialogs.choices import Choices
from cifar_tui.app.panes.gallery import FileInput, GalleryPane
from cifar_tui.app.widgets.gallery_view import GalleryView
from cifar_tui.runs.results import ImageFilter, SortKey
from tests.app.panes.pane_app import PaneApp, settled, until
from tests.hostile import TEXTS
from tests.runs.made_results import make_results

SIZE = (80, 24)  # 4 × 2 pictures


class Gallery:
    """A gallery alone, its keys pressed."""

    def __init__(self, pilot):
        self.pilot = pilot
        self.pane = pilot.app.query_one(GalleryPane)
        self.view = pilot.app.query_one(GalleryView)

    async def show(self, results):
        self.pane.show(results)
        self.pilot.app.set_focus(self.view)
        await settled(self.pilot)

    async def press(self, *keys):
        await self.pilot.press(*keys)
        await settled(self.pilot)

    @property
    def title(self):
        return self.pilot.app.text().splitlines()[0].strip("╭╮─ ")

    @property
    def place(self):
        return self.pilot.app.text().splitlines()[-1].strip("╰╯─ ")


@pytest.fixture
def open_gallery():
    def open_(size=SIZE):
        return PaneApp(GalleryPane()).run_test(size=size)

    return open_


def hundred(**others):
    """100 images of "plane", "cat" and "dog", every fourth of them taken for the next class."""
    targets = np.arange(100) % 3
    predicted = np.where(np.arange(100) % 4 == 0, (targets + 1) % 3, targets)
    return make_results(
        targets,
        predicted,
        confidences=np.linspace(0.3, 1.0, 100),
        losses=np.linspace(4.0, 0.0, 100),
        class_names=("plane", "cat", "dog"),
        **others,
    )


async def test_what_is_filtered_and_sorted_is_said_with_the_count(open_gallery):
    async with open_gallery() as pilot:
        gallery = Gallery(pilot)
        await gallery.show(hundred())
        assert gallery.title == "3 Gallery · 100 images"
        assert gallery.place == "1–8 of 100"
        gallery.pane.show_images(ImageFilter(truth=1, predicted=2))
        await gallery.press("s", "s")
        assert gallery.title == "3 Gallery · cat → dog · by loss ▼ · 8 images"
        await gallery.press("S")
        assert gallery.title == "3 Gallery · cat → dog · by loss ▲ · 8 images"
        await gallery.press("a", "w")
        assert gallery.title == "3 Gallery · wrong only · by loss ▲ · 25 images"
        await gallery.press("w", "s")
        assert gallery.title == "3 Gallery · 100 images"
        gallery.pane.show_images(ImageFilter(predicted=0, wrong_only=True))
        await gallery.press()
        assert gallery.title == "3 Gallery · any → plane · wrong only · 8 images"


async def test_a_new_order_begins_with_its_first_image(open_gallery):
    async with open_gallery() as pilot:
        gallery = Gallery(pilot)
        await gallery.show(hundred())
        await gallery.press("G", "s")
        assert (gallery.pane.filter.sort, gallery.view.current) == (SortKey.CONFIDENCE, 99)
        assert gallery.view.shown == range(8)
        await gallery.press("s")
        assert (gallery.pane.filter.sort, gallery.view.current) == (SortKey.LOSS, 0)


async def test_a_class_is_chosen_from_a_list_with_its_images(open_gallery):
    async with open_gallery() as pilot:
        gallery = Gallery(pilot)
        await gallery.show(hundred())
        for key, field in (("c", "truth"), ("p", "predicted")):
            await gallery.press(key)
            assert isinstance(pilot.app.screen, Choices)
            await gallery.press("j", "j", "enter")
            assert getattr(gallery.pane.filter, field) == 1
        assert gallery.title == "3 Gallery · cat → cat · 25 images"
        await gallery.press("c", "escape")
        assert gallery.pane.filter == ImageFilter(truth=1, predicted=1)
        await gallery.press("c", "k", "k", "enter")
        assert gallery.pane.filter == ImageFilter(predicted=1)


async def test_keys_that_are_typed_at_once_choose_from_a_list_in_their_order(open_gallery):
    async with open_gallery() as pilot:
        gallery = Gallery(pilot)
        await gallery.show(hundred())
        await gallery.press("c")
        for key in ("j", "j", "k", "enter"):
            pilot.app.post_message(Key(key, key))
        await until(pilot, lambda: not isinstance(pilot.app.screen, Choices))
        assert gallery.pane.filter.truth == 0


async def test_classes_of_any_name_can_be_chosen(open_gallery):
    names = (*TEXTS.values(), "any", " any", "[/")
    results = make_results(range(len(names)), range(len(names)), classes=len(names), class_names=names)
    async with open_gallery() as pilot:
        gallery = Gallery(pilot)
        await gallery.show(results)
        for index in (names.index("any"), names.index(" any"), len(names) - 1, 0):
            gallery.pane.show_images(ImageFilter())
            await gallery.press("c", *["j"] * (index + 1), "enter")
            assert gallery.pane.filter.truth == index
            assert "1 image" in pilot.app.text()


async def test_text_finds_files_in_any_case(open_gallery):
    files = [f"test/{'CAT' if k % 3 == 1 else 'dog'}/{k:03d}.png" for k in range(100)]
    async with open_gallery() as pilot:
        gallery = Gallery(pilot)
        await gallery.show(hundred(files=files))
        gallery.pane.find()
        await gallery.press(*"cat/0")
        assert gallery.title == '3 Gallery · file "cat/0" · 33 images'
        assert pilot.app.query_one(FileInput).display
        await gallery.press("enter", "w")
        assert pilot.app.focused is gallery.view
        assert gallery.title == '3 Gallery · wrong only · file "cat/0" · 8 images'
        gallery.pane.find()
        await gallery.press("escape")
        assert gallery.pane.filter == ImageFilter(wrong_only=True)
        assert not pilot.app.query_one(FileInput).display


async def test_without_files_there_is_no_field_but_a_word(open_gallery, monkeypatch):
    async with open_gallery() as pilot:
        gallery = Gallery(pilot)
        await gallery.show(hundred())
        notes = []
        monkeypatch.setattr(pilot.app, "notify", lambda text, **_: notes.append(text))
        gallery.pane.find()
        await gallery.press()
        assert "no file names" in notes[0]
        assert pilot.app.focused is gallery.view


async def test_pages_rows_and_ends(open_gallery):
    async with open_gallery() as pilot:
        gallery = Gallery(pilot)
        view = gallery.view
        await gallery.show(hundred())
        steps = [
            (("l",), 1, 0),
            (("j",), 5, 0),
            (("down",), 9, 4),
            (("right_square_bracket",), 17, 12),
            (("pagedown",), 25, 20),
            (("left_square_bracket", "pageup"), 9, 4),
            (("k", "k", "k"), 1, 0),
            (("h", "h"), 0, 0),
            (("pageup",), 0, 0),
            (("G",), 99, 92),
            (("pagedown",), 99, 92),
            (("home",), 0, 0),
        ]
        for keys, cursor, first in steps:
            await gallery.press(*keys)
            assert (view.cursor, view.shown.start) == (cursor, first), keys


async def test_from_a_longer_row_the_cursor_moves_into_a_shorter_last_one(open_gallery):
    async with open_gallery() as pilot:
        gallery = Gallery(pilot)
        await gallery.show(make_results([0] * 6, [0] * 6))
        await gallery.press("right", "right", "right", "down")
        assert gallery.view.cursor == 5
        await gallery.press("down")
        assert gallery.view.cursor == 5


async def test_the_wheel_scrolls_by_rows_and_a_click_moves_the_cursor(open_gallery):
    async with open_gallery() as pilot:
        gallery = Gallery(pilot)
        view = gallery.view
        await gallery.show(hundred())
        await pilot._post_mouse_events([MouseScrollDown], view, (3, 3))
        await settled(pilot)
        assert view.shown.start == 4
        layout = view._layout
        await pilot.click(view, offset=(layout.cell_width * 2 + 3, layout.cell_height + 2))
        await settled(pilot)
        assert view.cursor == 4 + 4 + 2
        await gallery.show(hundred(step=2))
        assert view.cursor == 10, "nothing moves with another evaluation"


async def test_pictures_get_larger_and_smaller(open_gallery):
    async with open_gallery() as pilot:
        gallery = Gallery(pilot)
        await gallery.show(hundred())
        before = gallery.view._layout
        await gallery.press("plus")
        assert gallery.view._layout.columns == before.columns - 1
        await gallery.press("minus", "minus")
        assert gallery.view._layout.columns == before.columns + 1
        await gallery.press(*["plus"] * 9)
        assert gallery.view._layout.columns == 1
        assert gallery.view._layout.picture > 30


async def test_only_the_images_of_the_page_are_drawn(open_gallery, monkeypatch):
    drawn = []
    half_blocks = charts.half_blocks

    def counted(*arguments, **options):
        drawn.append(arguments)
        return half_blocks(*arguments, **options)

    monkeypatch.setattr(charts, "half_blocks", counted)
    targets = np.arange(10_000) % 3
    async with open_gallery() as pilot:
        gallery = Gallery(pilot)
        await gallery.show(make_results(targets, targets))
        assert len(drawn) == 8
        await gallery.press("l", "j")
        assert len(drawn) == 8, "a step of the cursor draws no picture"
        await gallery.press("pagedown")
        assert len(drawn) == 16
        await gallery.press("G")
        assert len(drawn) == 24


async def test_without_images_the_keys_do_no_harm_and_say_how_to_see_all(open_gallery):
    async with open_gallery() as pilot:
        gallery = Gallery(pilot)
        await gallery.show(make_results([0, 1], [0, 1]))
        await gallery.press("w")
        assert "No such images (a: show all)" in pilot.app.text()
        keys = ("j", "k", "h", "l", "G", "g", "pagedown", "pageup", "enter", "plus", "minus", "s", "S")
        await gallery.press(*keys)
        assert gallery.view.current is None
        await gallery.press("a")
        assert "✓" in pilot.app.text()


async def test_before_an_evaluation_nothing_is_shown_and_nothing_fails(open_gallery):
    async with open_gallery() as pilot:
        gallery = Gallery(pilot)
        await gallery.show(None)
        assert "after the first evaluation" in pilot.app.text()
        gallery.pane.show(hundred())
        await until(pilot, lambda: "100 images" in gallery.title)


@pytest.mark.parametrize("size", [(14, 6), (20, 8), (30, 12), (60, 16), (200, 50)])
async def test_any_size_is_drawn(open_gallery, size):
    async with open_gallery(size) as pilot:
        gallery = Gallery(pilot)
        await gallery.show(hundred())
        lines = gallery.view._lines
        assert len(lines) <= gallery.view.size.height
        assert max(line.cell_length for line in lines) <= gallery.view.size.width
