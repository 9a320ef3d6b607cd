"""One image large: what is said of it, the next one, and its path on the clipboard."""

from pathlib import Path

import pytest

from cifar_tui.app import clipboard
from cifar_tui.app.dialogs.picture import PictureScreen
from cifar_tui.app.safe import SafeApp
from cifar_tui.app.widgets.strip_view import StripView
from tests.app.panes.pane_app import settled
from tests.hostile import FILE_NAMES, TEXTS
from tests.runs.made_results import make_results

FILES = ["test/cat/one.png", "test/cat/two.png", "test/dog/three.png"]


class PictureApp(SafeApp):
    """Shows the screen, and notes where it was left and what was copied."""

    animation_level = "none"

    def __init__(self, results, selected=(0, 1, 2), place=0):
        super().__init__()
        self.screen_shown = PictureScreen(results, list(selected), place, "wrong only")
        self.left, self.copied, self.notes = [], [], []

    def on_mount(self):
        self.push_screen(self.screen_shown, self.left.append)

    def copy_to_clipboard(self, text):
        self.copied.append(text)

    def notify(self, message, **arguments):
        self.notes.append(message)

    def text(self):
        return "\n".join(line.text for line in self.screen._compositor.render_strips())


def animals(**others):
    return make_results(
        [0, 0, 1],
        [0, 1, 1],
        classes=2,
        confidences=[0.875, 0.75, 1.0],
        losses=[0.13, 1.4, 0.0],
        class_names=others.pop("class_names", ("cat", "dog")),
        **others,
    )


async def press(pilot, *keys):
    await pilot.press(*keys)
    await settled(pilot)
    return pilot.app.text()


@pytest.mark.parametrize("size", [(60, 16), (80, 23), (120, 40), (200, 50)])
async def test_all_that_is_known_of_an_image_is_beside_it(size):
    app = PictureApp(animals(files=FILES, root=Path("/images")), place=1)
    async with app.run_test(size=size) as pilot:
        lines = [line.rstrip() for line in (await press(pilot)).splitlines()]
        assert "Image 1 · 2 of 3 · wrong only" in lines[0]
        words = " ".join(" ".join(lines).split())
        for said in ("✗ wrong", "GroundTruth cat", "Predicted dog", "Loss 1.400", "step 100"):
            assert said in words, said
        assert any("dog" in line and "75.0 % ━" in line and not line.endswith("✓") for line in lines)
        assert any("cat" in line and "25.0 % ━" in line and line.endswith("✓") for line in lines)
        assert "/images/test/cat/two.png" in words
        picture = app.screen.query_one(StripView)
        assert picture.size.height == len(picture._lines)
        assert picture.size.width >= 24
        assert app.screen.region.contains_region(picture.region)
        assert "✓ right" in await press(pilot, "left")


async def test_steps_stay_among_the_images_of_the_filter():
    app = PictureApp(animals(), selected=(2, 0))
    async with app.run_test(size=(80, 24)) as pilot:
        assert "Image 2 · 1 of 2" in await press(pilot, "left_square_bracket", "up")
        assert "Image 0 · 2 of 2" in await press(pilot, "right")
        assert "Image 0 · 2 of 2" in await press(pilot, "right_square_bracket", "j")
        assert "Image 2 · 1 of 2" in await press(pilot, "home")
        await press(pilot, "G", "escape")
        assert app.left == [1]


async def test_y_copies_the_path_of_the_file():
    app = PictureApp(animals(files=FILES, root=Path("/images")))
    async with app.run_test(size=(80, 24)) as pilot:
        await press(pilot, "right", "y")
        assert app.copied == ["/images/test/cat/two.png"]
        assert app.notes == ["Copied /images/test/cat/two.png"]


async def test_of_an_image_in_no_file_y_copies_what_is_known():
    app = PictureApp(animals())
    async with app.run_test(size=(80, 24)) as pilot:
        text = await press(pilot, "y")
        assert "File" not in text
        (copied,) = app.copied
        assert copied.startswith("image 0 · GroundTruth ")


async def test_ctrl_c_closes_it_like_any_dialog():
    app = PictureApp(animals())
    async with app.run_test(size=(80, 24)) as pilot:
        app.screen_shown.leave()
        await settled(pilot)
        assert app.left == [0]


@pytest.mark.parametrize("kind", ["title", "closing tags", "long", "marks", "surrogates", "newline"])
async def test_hostile_names_of_classes_and_files_are_literal(kind):
    files = [f"test/{FILE_NAMES[kind]}.png"] * 3
    results = animals(class_names=(TEXTS[kind], "dog"), files=files, root=Path("/images"))
    app = PictureApp(results)
    async with app.run_test(size=(80, 24)) as pilot:
        text = await press(pilot, "y")
        assert all(line.isprintable() for line in text.splitlines())
        assert app.copied == [f"/images/{files[0]}"]


def test_more_than_terminals_take_is_not_copied():
    app = PictureApp(animals())
    clipboard.copy(app, "x" * clipboard.LARGEST)
    clipboard.copy(app, "x" * (clipboard.LARGEST + 1))
    assert len(app.copied) == 1
    assert "Not copied: 75.0 kB is more than terminals take" in app.notes[-1]
