"""A net of the user's in the form: chosen from the list, typed with suggestions, refused with a reason."""

import contextlib

import pytest
from textual.widgets import OptionList

from cifar_tui.app.dialogs.choices import Choices
from tests.app.panes.pane_app import until
from tests.app.panes.settings.test_pane import Fingers
from tests.engine.models.own.nets import TUTORIAL, write_net


@pytest.fixture
async def fingers(app, tmp_path):
    write_net(tmp_path, TUTORIAL)
    with contextlib.chdir(tmp_path):
        async with app.run_test(size=(80, 24)) as pilot:
            yield Fingers(app, pilot)


async def open_own(fingers):
    await fingers.go("model")
    await fingers.press("enter")
    await until(fingers.pilot, lambda: isinstance(fingers.app.screen, Choices))
    await fingers.press("end")
    option = fingers.app.screen.query_one(OptionList).highlighted_option
    assert option.id == "FILE.py:NAME"
    await fingers.press("enter")
    await until(fingers.pilot, lambda: not isinstance(fingers.app.screen, Choices))


async def test_it_is_typed_after_it_is_chosen_from_the_list_and_suggested(fingers):
    await open_own(fingers)
    await fingers.press("m", "y")
    await until(fingers.pilot, lambda: fingers.field._suggestion == "my_net.py:Net")
    await fingers.press("right", "enter")
    assert fingers.row == "epochs"
    assert fingers.value("model") == "my_net.py:Net"
    await fingers.press("up")
    assert fingers.field.is_text
    await fingers.press("ctrl+r", "down", "up")
    assert fingers.value("model") == "net"
    assert not fingers.field.is_text


async def test_a_name_that_begins_with_a_choice_is_typed_on(fingers):
    await open_own(fingers)
    await fingers.press(*"net")
    await fingers.pilot.resize_terminal(90, 24)
    await fingers.press(*"2.py", "enter")
    assert fingers.row == "model"
    assert "must end with the name of a class or function, as in net2.py:Net" in fingers.hint
    await fingers.press(*":Net", "enter")
    assert "'net2.py' does not exist" in fingers.hint
    await fingers.write("resnet18")
    await fingers.press("enter")
    assert (fingers.row, fingers.value("model")) == ("epochs", "resnet18")


async def test_arrows_and_the_list_leave_a_typed_name_alone(fingers):
    await open_own(fingers)
    await fingers.press(*"my_net.py:Net", "left", "left", "enter", "up", "right")
    assert fingers.value("model") == "my_net.py:Net"
    assert not isinstance(fingers.app.screen, Choices)
