"""An architecture of torchvision in the form: chosen from the list, completed, refused with a near name."""

import contextlib

import pytest
from textual.widgets import OptionList

from cifar_tui.app.dialogs.choices import Choices
from tests.app.panes.pane_app import until
from tests.app.panes.settings.test_pane import Fingers


@pytest.fixture
async def fingers(app, tmp_path):
    with contextlib.chdir(tmp_path):
        async with app.run_test(size=(80, 24)) as pilot:
            yield Fingers(app, pilot)


async def open_published(fingers):
    await fingers.go("model")
    await fingers.press("enter")
    await until(fingers.pilot, lambda: isinstance(fingers.app.screen, Choices))
    await fingers.press("end", "up")
    assert fingers.app.screen.query_one(OptionList).highlighted_option.id == "torchvision:NAME"
    await fingers.press("enter")
    await until(fingers.pilot, lambda: not isinstance(fingers.app.screen, Choices))


async def test_its_name_is_completed_after_it_is_chosen_from_the_list(fingers):
    await open_published(fingers)
    assert fingers.field.value == "torchvision:"
    await fingers.press(*"mobilenet_v3_s")
    await until(fingers.pilot, lambda: fingers.field._suggestion == "torchvision:mobilenet_v3_small")
    await fingers.press("right", "enter")
    assert (fingers.row, fingers.value("model")) == ("epochs", "torchvision:mobilenet_v3_small")


async def test_a_wrong_name_is_refused_with_a_near_one(fingers):
    await open_published(fingers)
    await fingers.press(*"resnet81", "enter")
    assert fingers.row == "model"
    assert "'torchvision:resnet81' is not in torchvision; did you mean 'resnet18'?" in fingers.hint


async def test_pretrained_is_offered_with_it_only(fingers):
    form = fingers.view.form
    rows = [row.setting for row in form.rows(1000)]
    assert "weights" in rows
    assert "pretrained" not in rows
    form.write("model", "torchvision:resnet18")
    assert "pretrained" in [row.setting for row in form.rows(1000)]


@pytest.mark.parametrize(
    ("weights", "problem"), [("none", ""), ("w.pth", "'w.pth' is not a folder or a file")]
)
async def test_a_file_of_weights_must_exist(fingers, weights, problem):
    form = fingers.view.form
    form.write("weights", weights)
    assert form.check("weights") is not bool(problem)
    assert form.errors.get("weights", "") == problem
