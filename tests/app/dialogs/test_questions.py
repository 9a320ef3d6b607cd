"""The questions: keys, arrows and the answer that enter gives."""

import pytest
from textual.events import Key
from textual.widgets import Button, Input, Static

from cifar_tui.app.dialogs.help import HelpScreen
from cifar_tui.app.dialogs.questions import DataDialog, QuitDialog, RecapDialog
from cifar_tui.app.dialogs.run_questions import DeleteDialog, EpochsDialog, StopDialog
from cifar_tui.engine.data.cifar10 import ARCHIVE
from cifar_tui.engine.data.registry import ALTERNATIVES
from cifar_tui.engine.events import Phase
from tests.app.panes.pane_app import until


def data_dialog():
    return DataDialog("cannot download", "auto")


def folder_dialog():
    return DataDialog("no such folder: 'small2'", "small2")


def quit_dialog():
    return QuitDialog(Phase.TRAINING, can_detach=True)


def delete_dialog():
    return DeleteDialog(["20260101-000000"])


def recap_dialog():
    return RecapDialog(["a line"])


async def answer_to(pilot, dialog, *keys):
    """Open `dialog`, press `keys`, and return what it was dismissed with."""
    app, answers = pilot.app, []
    app.push_screen(dialog, answers.append)
    await pilot.pause()
    await pilot.press(*keys)
    await pilot.pause()
    assert app.is_running
    assert (app.screen is app.dashboard) == bool(answers)
    return answers


ANSWERS = [
    (quit_dialog, ["y"], "stop"),
    (quit_dialog, ["d"], "detach"),
    (quit_dialog, ["escape"], "stay"),
    (quit_dialog, ["enter"], "stay"),
    (quit_dialog, ["left", "enter"], "stop"),
    (quit_dialog, ["right", "enter"], "detach"),
    (quit_dialog, ["ctrl+c"], "stop"),
    (delete_dialog, ["y"], "delete"),
    (delete_dialog, ["enter"], "keep"),
    (delete_dialog, ["up", "enter"], "delete"),
    (delete_dialog, ["ctrl+c"], None),
    (recap_dialog, ["space"], "close"),
    (recap_dialog, ["ctrl+c"], None),
    (data_dialog, ["r"], "auto"),
    (data_dialog, ["enter"], "auto"),
    (data_dialog, ["s"], "synthetic"),
    (data_dialog, ["escape"], None),
    (data_dialog, ["ctrl+c"], None),
    (data_dialog, ["f", *"rs", "enter"], "rs"),
    (data_dialog, ["up", *"rs", "down", "down", "enter"], "rs"),
    (folder_dialog, ["slash", "x", "enter"], "small2/x"),
    (folder_dialog, ["down", "s"], "synthetic"),
    (HelpScreen, ["ctrl+c"], None),
]


async def test_every_answer_has_a_key_and_arrows_reach_it(app, subtests):
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        for dialog, keys, answer in ANSWERS:
            with subtests.test(dialog=dialog.__name__, keys=keys):
                assert await answer_to(pilot, dialog(), *keys) == [answer]


async def test_a_folder_typed_ahead_reaches_its_field(app):
    answers = []
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        app.push_screen(data_dialog(), answers.append)
        await pilot.pause()
        for character in "f/srf":
            app.post_message(Key(character, character))
        await until(pilot, lambda: app.screen.query_one(Input).value == "/srf")
        await pilot.press("escape")
        assert answers == [None]


async def test_a_run_without_a_folder_cannot_be_detached(app):
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert await answer_to(pilot, QuitDialog(Phase.LOADING, can_detach=False), "d") == []


HARMLESS = [(quit_dialog, "stay"), (delete_dialog, "keep"), (recap_dialog, "close"), (data_dialog, "retry")]


@pytest.mark.parametrize("in_front", [True, False])
async def test_only_the_harmless_answer_has_the_focus_at_first(app, monkeypatch, subtests, in_front):
    focused = []
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        app.app_focus = in_front  # whether the terminal is in the foreground
        for make_dialog, harmless in HARMLESS:
            with subtests.test(dialog=make_dialog.__name__):
                dialog = make_dialog()
                with monkeypatch.context() as watching:
                    watching.setattr(
                        Button, "watch_has_focus", lambda button, has: focused.append((button.id, has))
                    )
                    app.push_screen(dialog)
                    await pilot.pause()
                assert focused == [(harmless, True)]
                focused.clear()
                dialog.dismiss(None)
                await pilot.pause()


async def test_the_question_at_the_end_says_what_the_run_is_doing(app, subtests):
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        for phase, title, keep in (
            (Phase.TRAINING, "Training is running", "d keep it running and leave"),
            (Phase.PAUSED, "Training is paused", "d keep it paused and leave"),
            (Phase.EVALUATING, "A run is active", "d keep it running and leave"),
        ):
            with subtests.test(phase=phase):
                dialog = QuitDialog(phase, can_detach=True)
                app.push_screen(dialog)
                await pilot.pause()
                assert dialog.query_one(".dialog").border_title == title
                assert str(dialog.query_one("#detach", Button).label) == keep
                dialog.dismiss(None)
                await pilot.pause()


async def assert_whole(pilot, dialog):
    """Open `dialog` and assert that nothing of it is cut off."""
    pilot.app.push_screen(dialog)
    await pilot.pause()
    inner = dialog.query_one(".dialog").content_region
    for widget in (*dialog.query(Button), *dialog.query(Input), *dialog.query(Static)):
        assert inner.contains_region(widget.region), widget
    dialog.dismiss(None)
    await pilot.pause()


NAMES = [f"2026010{day}-000000" for day in range(1, 9)]


@pytest.mark.parametrize("size", [(60, 16), (80, 24)])
async def test_all_answers_are_visible_in_a_small_terminal(app, size):
    dialogs = [quit_dialog(), delete_dialog(), recap_dialog(), DeleteDialog(NAMES), StopDialog(NAMES)]
    dialogs.append(EpochsDialog(NAMES[0], own=100, form=200, finished=False))
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        for dialog in dialogs:
            await assert_whole(pilot, dialog)


REASON = (
    f"cannot download {ARCHIVE.file_name} to 'data': no network (cannot resolve host name); try again, or "
    f"{ALTERNATIVES}"
)


@pytest.mark.parametrize(
    ("data", "title"),
    [
        ("auto", "CIFAR-10 is not available"),
        ("torchvision:SVHN", "SVHN is not available"),
        ("no/such/folder", "These images cannot be used"),
    ],
)
async def test_what_is_not_available_is_named(app, data, title):
    async with app.run_test() as pilot:
        await app.push_screen(DataDialog(REASON, data))
        await pilot.pause()
        assert title in str(app.screen.query_one(".dialog").border_title)


@pytest.mark.parametrize("size", [(60, 16), (80, 24), (120, 40)])
async def test_every_way_to_get_images_is_visible(app, size):
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        for dialog in (DataDialog(REASON, "auto"), folder_dialog()):
            await assert_whole(pilot, dialog)
