"""The range test in the dashboard: from the learning rate in the form and back into it."""

import pytest
from textual.widgets import Static

from cifar_tui.app.app import CifarApp
from cifar_tui.app.dialogs.range_test import LrCurve, RangeTestDialog
from cifar_tui.app.launch import Idle
from cifar_tui.app.widgets.footer import Footer
from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.optim.lr_range import LrSuggestion
from cifar_tui.runs.live import LiveRun
from cifar_tui.runs.range_test import LiveRangeTest
from tests.app.panes.pane_app import until


@pytest.fixture
def app_with(tmp_path, image_folder):
    """Makes a dashboard with the given settings; on these pictures they learn within a test."""
    settings = {
        "data": str(image_folder),
        "data_dir": str(tmp_path / "data"),
        "device": "cpu",
        "batch_size": 256,  # all of them: few steps are enough
        "optimizer": "adamw",
        "bias_lr": 0.002,
    }
    return lambda **others: CifarApp(
        Idle(config=TrainConfig(**settings | others)), checkpoints=tmp_path / "checkpoints"
    )


async def opened(pilot):
    """Press the key at the learning rate, and wait for the dialog."""
    app = pilot.app
    app.dashboard.find_setting("learning_rate")
    await pilot.press("ctrl+l")
    await until(pilot, lambda: isinstance(app.screen, RangeTestDialog))
    await pilot.pause()
    return app.screen


def text_of(dialog, name):
    return str(dialog.query_one(name, Static).content)


@pytest.mark.parametrize("size", [(60, 16), (80, 23), (120, 40)])
async def test_enter_takes_the_suggestion_into_the_form(app_with, tmp_path, size):
    app = app_with()
    async with app.run_test(size=size) as pilot:
        dialog = await opened(pilot)
        await until(pilot, lambda: "enter take" in text_of(dialog, "#lr-keys"))
        suggestion = dialog._test.suggestion
        assert isinstance(suggestion, LrSuggestion)
        assert f"learning_rate {suggestion.learning_rate:.3g}" in text_of(dialog, "#lr-status")
        await until(pilot, lambda: "◆" in dialog.query_one(LrCurve).plain)
        for name in ("#lr-status", "#lr-keys"):
            assert dialog.region.contains_region(dialog.query_one(name).region), "all of it is visible"
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is app.dashboard)
        form = app.dashboard.settings
        assert float(form.text("learning_rate")) == suggestion.learning_rate
        assert float(form.text("bias_lr")) == pytest.approx(2 * suggestion.learning_rate, rel=0.05)
        assert form.has_cursor
        assert app.presenter.run is None
        assert not (tmp_path / "checkpoints").exists()


async def test_the_curve_grows_while_the_test_runs_and_escape_cancels_it(app_with):
    app = app_with(batch_size=1, model="airbench-tiny")
    async with app.run_test(size=(80, 23)) as pilot:
        dialog = await opened(pilot)
        status = "#lr-status"
        await until(pilot, lambda: text_of(dialog, status).startswith("step "))
        assert text_of(dialog, "#lr-keys") == "esc cancel"
        await until(pilot, lambda: "Waiting" not in dialog.query_one(LrCurve).plain)
        before = dialog.query_one(LrCurve).plain
        await until(pilot, lambda: dialog.query_one(LrCurve).plain != before)
        await pilot.press("enter")
        assert app.screen is dialog, "there is nothing to take yet"
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.dashboard)
        assert not dialog._test.live, "it closes once the thread has returned"
        assert dialog._test.suggestion is None
        assert app.dashboard.settings.text("learning_rate") == "0.001"


async def test_what_is_wrong_is_said_in_the_dialog(app_with, tmp_path):
    (tmp_path / "empty").mkdir()
    app = app_with(data=str(tmp_path / "empty"))
    async with app.run_test(size=(80, 23)) as pilot:
        dialog = await opened(pilot)
        await until(pilot, lambda: text_of(dialog, "#lr-keys") == "esc close")
        assert "✗" in text_of(dialog, "#lr-status")
        assert "empty" in text_of(dialog, "#lr-status")
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.dashboard)


async def test_what_is_left_out_of_the_images_is_said_once(app_with, image_folder):
    (image_folder / "train" / "red" / "00.png").write_bytes(b"")
    app = app_with()
    async with app.run_test(size=(80, 23)) as pilot:
        dialog = await opened(pilot)

        def said():
            return [note.message for note in app._notifications if "00.png" in note.message]

        await until(pilot, said)
        await until(pilot, lambda: text_of(dialog, "#lr-keys") != "esc cancel")
        assert len(said()) == 1
        await pilot.press("escape")


async def test_a_test_without_a_suggestion_says_why(app_with, monkeypatch):
    monkeypatch.setattr("cifar_tui.runs.range_test.suggest", lambda *_: "No suggestion: it is flat")
    app = app_with()
    async with app.run_test(size=(80, 23)) as pilot:
        dialog = await opened(pilot)
        await until(pilot, lambda: "No suggestion: it is flat" in text_of(dialog, "#lr-status"))
        await pilot.press("enter")
        assert app.screen is dialog
        await pilot.press("q")
        await until(pilot, lambda: app.screen is app.dashboard)


async def test_a_wrong_setting_is_shown_at_its_field_instead(app_with):
    app = app_with()
    async with app.run_test(size=(80, 23)) as pilot:
        app.dashboard.settings._form.write("momentum", "7")
        await pilot.press("ctrl+l")
        await until(pilot, lambda: app.dashboard.settings.has_cursor)
        assert app.screen is app.dashboard
        assert app.dashboard.settings._view.current.setting == "momentum"


async def test_the_footer_names_the_key_at_the_learning_rate_only(app_with):
    app = app_with()
    async with app.run_test(size=(80, 23)) as pilot:

        def named():
            return "Find a rate" in {
                key.description for key in app.dashboard.query_one(Footer).query("FooterKey")
            }

        app.dashboard.find_setting("learning_rate")
        await until(pilot, named)
        await pilot.press("down")
        await until(pilot, lambda: not named())
        await pilot.press("up")
        await until(pilot, named)
        await pilot.press("escape")
        await until(pilot, lambda: not named())
        assert "Learning-rate range test (^l)" in {
            command.title for command in app.get_system_commands(app.screen)
        }


async def test_no_test_starts_while_a_run_is_active(app_with, monkeypatch):
    monkeypatch.setattr(LiveRun, "live", True)
    app = app_with()
    async with app.run_test(size=(80, 23)) as pilot:
        app.own_run = app.presenter.run = LiveRun(TrainConfig(), checkpoints=app.checkpoints)
        await pilot.press("ctrl+l")
        await pilot.pause()
        app._range_test()
        assert app.screen is app.dashboard
        app.own_run = app.presenter.run = None


async def test_leaving_twice_does_not_wait_for_a_test_that_hangs(app_with, monkeypatch):
    monkeypatch.setattr(LiveRangeTest, "live", True)
    app = app_with()
    async with app.run_test(size=(80, 23)) as pilot:
        dialog = await opened(pilot)
        await pilot.press("ctrl+c")
        await until(pilot, lambda: text_of(dialog, "#lr-status") == "Cancelling…")
        assert app.screen is dialog
        await pilot.press("ctrl+c")
        await until(pilot, lambda: app.return_value == 130)
