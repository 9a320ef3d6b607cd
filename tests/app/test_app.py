"""How the dashboard starts a run, in each of the ways it can be launched."""

import pytest

from cifar_tui.app.app import CifarApp
from cifar_tui.app.launch import Evaluate, Idle, Resume, Train
from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.events import Phase, PhaseChanged, RunEnded
from tests.app.views.runs_app import until

CONFIG = TrainConfig(epochs=7, learning_rate=1 / 3)


async def test_a_training_starts_from_the_settings_it_was_launched_with_and_the_form_shows_them(
    started, tmp_path
):
    app = CifarApp(Train(config=CONFIG), checkpoints=tmp_path)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: started.trained)
        (run,) = started.trained
        assert run.config is CONFIG
        assert run.folder is None
        await until(pilot, lambda: app.dashboard.settings.read() == CONFIG)


async def test_a_run_is_resumed_in_its_folder(started, tmp_path):
    app = CifarApp(Resume(folder=tmp_path / "run", config=CONFIG), checkpoints=tmp_path)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: started.trained)
        (run,) = started.trained
        assert (run.config, run.folder) == (CONFIG, tmp_path / "run")


async def test_t_trains_with_what_is_typed_into_the_form(app, started):
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        assert started.trained == [], "the dashboard was launched idle"
        app.dashboard.settings.set("learning_rate", 0.25)
        await pilot.press("t")
        await until(pilot, lambda: started.trained)
        assert started.trained[0].config == TrainConfig(epochs=7, data="synthetic", learning_rate=0.25)


@pytest.mark.parametrize("kind", ["train", "resume", "evaluate"])
async def test_without_images_the_same_is_started_again_with_other_images(started, tmp_path, kind):
    weights, folder = tmp_path / "net.pth", tmp_path / "run"
    launch = {
        "train": Train(config=CONFIG),
        "resume": Resume(folder=folder, config=CONFIG),
        "evaluate": Evaluate(weights=weights, config=CONFIG),
    }[kind]
    app = CifarApp(launch, checkpoints=tmp_path)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.own_run)
        app.own_run._emit(PhaseChanged(phase=Phase.FAILED, message="no images"))
        app.own_run._emit(RunEnded(exit_code=3, error="no images"))
        await until(pilot, lambda: len(app.screen_stack) == 2)
        await pilot.press("s")
        await until(pilot, lambda: app.own_run.config.data == "synthetic")
    other = CONFIG.replace(data="synthetic")
    assert [(run.config, run.folder) for run in started.trained] == {
        "train": [(CONFIG, None), (other, None)],
        "resume": [(CONFIG, folder), (other, folder)],
        "evaluate": [],
    }[kind]
    evaluated = [(run.config, file) for run, file in started.evaluated]
    assert evaluated == ([(CONFIG, weights), (other, weights)] if kind == "evaluate" else [])


@pytest.mark.parametrize(("launch", "code"), [(Idle(config=CONFIG), 0), (Train(config=CONFIG), 4)])
async def test_the_exit_code_is_that_of_the_run_it_was_launched_with(started, tmp_path, launch, code):
    app = CifarApp(launch, checkpoints=tmp_path)
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        if isinstance(launch, Idle):
            await pilot.press("t")
        await until(pilot, lambda: app.own_run)
        app.own_run._emit(PhaseChanged(phase=Phase.FAILED, message="a failure"))
        app.own_run._emit(RunEnded(exit_code=4, error="a failure"))
        await until(pilot, lambda: app._end_handled)
        await pilot.press("q")
    assert app.return_value == code


async def test_a_run_that_is_active_is_not_replaced_by_another(app, started, monkeypatch, tmp_path):
    from cifar_tui.app.views.runs import RunChoice

    notes = []
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("t")
        await until(pilot, lambda: app.own_run)
        monkeypatch.setattr(app, "notify", lambda text, **_: notes.append(text))
        run = app.own_run
        app._on_run_chosen(RunChoice(action="open", folder=tmp_path))
        assert app.own_run is run
        assert notes == ["A run is active. Stop it (s) or detach (d) first."]
