"""How the dashboard starts a run, in each of the ways it can be launched."""

import asyncio
import os
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from textual.widgets._toast import Toast

from cifar_tui.app.app import CifarApp
from cifar_tui.app.dialogs.questions import QuitDialog
from cifar_tui.app.dialogs.run_questions import ResumeDialog
from cifar_tui.app.launch import Attach, Evaluate, Idle, Resume, Train
from cifar_tui.app.run import exit_message
from cifar_tui.app.views.runs import RunChoice, RunsScreen
from cifar_tui.app.widgets.header import RunHeader
from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.events import CheckpointSaved, Phase, PhaseChanged, RunEnded
from cifar_tui.runs.attached import AttachedRun
from cifar_tui.runs.control.protocol import Request
from cifar_tui.runs.disk.config import with_absolute_folders
from cifar_tui.runs.disk.run_lock import Owner, RunLock
from cifar_tui.runs.disk.store import write_config
from cifar_tui.runs.live import LiveRun
from tests.app.panes.pane_app import until
from tests.runs.made_events import STARTED, evaluated, finished, record

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


async def test_a_new_run_clears_what_was_said_of_an_earlier_one(app, started):
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        app.notify("'my_net.py', line 3: it broke", timeout=600)
        await until(pilot, lambda: app.screen.query(Toast))
        await pilot.press("t")
        await until(pilot, lambda: started.trained)
        await until(pilot, lambda: not app.screen.query(Toast))


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


@pytest.mark.usefixtures("started")
async def test_q_asks_nothing_of_a_run_that_is_done_and_waits_for_its_thread(app):
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("t")
        await until(pilot, lambda: app.own_run)
        app.own_run._emit(PhaseChanged(phase=Phase.DONE))
        assert app.own_run.live
        await pilot.press("q")
        await until(pilot, lambda: app.leaving)
        assert not isinstance(app.screen, QuitDialog)
        assert app.is_running
        app.own_run._emit(RunEnded(exit_code=0))
        await until(pilot, lambda: not app.is_running)
    assert app.return_value == 0


@pytest.fixture
def other_run(tmp_path):
    """A finished run of two epochs in the checkpoints folder."""
    folder = tmp_path / "checkpoints" / "20260101-100000"
    folder.mkdir(parents=True)
    write_config(folder, TrainConfig(data="synthetic"))
    over = finished(epoch=2, step=200)
    saved = CheckpointSaved(path="", step=200, reason="end")
    ended = PhaseChanged(phase=Phase.DONE), RunEnded(exit_code=0)
    record(folder, replace(STARTED, run=folder.name), over, saved, evaluated(200, 60, final=True), *ended)
    return folder


async def test_another_run_is_opened_read_only_while_one_trains_and_escape_goes_back(
    app, started, other_run, monkeypatch
):
    notes, requests = [], []
    monkeypatch.setattr(app, "notify", lambda text, **_: notes.append(text))
    monkeypatch.setattr(LiveRun, "request", lambda _, request: requests.append(request))
    async with app.run_test(size=(120, 40)) as pilot:
        header = app.dashboard.query_one(RunHeader)
        await pilot.press("t")
        await until(pilot, lambda: app.own_run)
        own = app.own_run
        own._name = "mine"
        app._on_run_chosen(RunChoice(action="resume", folder=other_run))
        assert notes == ["A run is active. Stop it (s) or detach (d) first."]
        app._on_run_chosen(RunChoice(action="open", folder=other_run))
        assert app.own_run is own
        said = f"viewing {other_run.name}, read-only · esc back to mine"
        await until(pilot, lambda: said in header.plain)
        assert app.dashboard.settings.locked
        notes.clear()
        await pilot.press("space", "s", "e", "c", "t", "u", "d")
        assert notes == ["Viewing another run: press esc to go back first."] * 7
        assert requests == []
        assert app.is_running
        await pilot.press("q")
        await until(pilot, lambda: isinstance(app.screen, QuitDialog))
        await pilot.press("escape", "escape")
        await until(pilot, lambda: app.presenter.run is own)
        await until(pilot, lambda: "viewing" not in header.plain)
        await pilot.press("s")
        assert requests == [Request.STOP], "the keys steer the run of this process again"

        app._on_run_chosen(RunChoice(action="open", folder=other_run))
        own._emit(PhaseChanged(phase=Phase.FAILED, message="no room"))
        own._emit(RunEnded(exit_code=4, error="no room"))
        await until(pilot, lambda: "mine has ended. Press esc to see it." in notes)
        await pilot.press("escape")
        await until(pilot, lambda: "no room" in notes)


async def test_e_evaluates_what_an_opened_run_has_saved(app, started, other_run):
    async with app.run_test(size=(120, 40)) as pilot:
        app._on_run_chosen(RunChoice(action="open", folder=other_run))
        await until(pilot, lambda: app.presenter.run and app.presenter.run.loaded)
        await pilot.press("e")
        await until(pilot, lambda: started.evaluated)
        ((run, folder),) = started.evaluated
        assert (run.config, folder) == (TrainConfig(data="synthetic"), other_run)
        assert app.presenter.run is app.own_run is run
        assert not app.viewing


async def test_u_in_the_list_asks_nothing_while_a_run_is_active(app, started, other_run, monkeypatch):
    notes = []
    monkeypatch.setattr(RunsScreen, "notify", lambda _, text, **__: notes.append(text))
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("t")
        await until(pilot, lambda: app.own_run)
        await pilot.press("r")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen) and app.screen._current())
        await pilot.press("u")
        await until(pilot, lambda: notes)
        assert notes == ["A run is active. Go back to it (esc) and stop it (s) first."]
        assert isinstance(app.screen, RunsScreen)


async def test_u_takes_more_epochs_from_the_form_and_names_what_stays(app, started, other_run):
    (other_run / "last.pt").touch()
    (other_run / "report.json").touch()
    async with app.run_test(size=(120, 40)) as pilot:
        app._on_run_chosen(RunChoice(action="open", folder=other_run))
        await until(pilot, lambda: app.presenter.run and app.presenter.run.loaded)
        await pilot.press("u")
        assert app.screen is app.dashboard, "it is not said what happened to a run that is over"
        assert started.trained == [], "nothing is left to train"
        app.dashboard.settings.set("epochs", 4)
        app.dashboard.settings.set("momentum", 0.5)
        await pilot.press("u")
        await until(pilot, lambda: isinstance(app.screen, ResumeDialog) and app.focused)
        await pilot.press("u")
        await until(pilot, lambda: started.trained)
        (run,) = started.trained
        expected = with_absolute_folders(TrainConfig(data="synthetic", epochs=4))
        assert (run.config, run.folder) == (expected, other_run)


async def test_a_run_of_another_process_is_followed_until_the_dashboard_is_left(app, other_run):
    before = threading.enumerate()
    async with app.run_test(size=(120, 40)) as pilot:
        app.start(Attach(folder=other_run, config=TrainConfig()))
        await until(pilot, lambda: app.presenter.run is not None)
        begun = [thread for thread in threading.enumerate() if thread not in before]
        (follower,) = (thread for thread in begun if thread.name == "cifar-tui-follow")
    follower.join(60)
    assert not follower.is_alive()


def test_leaving_a_run_of_another_process_says_how_to_come_back(tmp_path, other_run):
    run = AttachedRun(other_run)
    app = SimpleNamespace(
        own_run=None,
        presenter=SimpleNamespace(run=run),
        detached=False,
        left_at_once=False,
        checkpoints=Path("checkpoints"),
    )
    run._owner = Owner(live=True, crashed=False, pid=1)
    hint = f"is still running. Reattach with: cifar-tui attach {other_run.name}"
    assert hint in exit_message(app)
    run._state.apply(PhaseChanged(phase=Phase.PAUSED))
    assert f"run {other_run.name} is paused. Reattach with: " in exit_message(app)
    run._owner = Owner(live=False, crashed=False)
    assert hint not in exit_message(app)


def test_leaving_a_run_that_still_trains_at_once_says_that_it_was_not_saved(tmp_path):
    run = LiveRun(TrainConfig(), checkpoints=tmp_path, resume=tmp_path / "a")
    run._emit(PhaseChanged(phase=Phase.TRAINING))
    app = SimpleNamespace(own_run=run, presenter=None, detached=False, left_at_once=True)
    assert exit_message(app) == f"run a in {tmp_path}/a: quit before it was saved"


async def test_a_dashboard_without_a_run_says_which_one_is_active(app, other_run, monkeypatch):
    notes = []
    monkeypatch.setattr(app, "notify", lambda text, **_: notes.append(text))
    lock = RunLock(other_run)
    lock.acquire()
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: notes)
    lock.release()
    assert notes == [f"Run {other_run.name} is active in the background. Press r to list and open it."]


async def test_m_maximises_a_pane_and_shows_all_again_as_the_footer_says(app):
    async with app.run_test(size=(120, 40)) as pilot:
        app.dashboard.forget_run()  # another run is about to be shown

        def keys():
            return {binding.binding.description for binding in app.screen.active_bindings.values()}

        await pilot.press("2", "m")
        assert app.dashboard.is_maximised
        assert "All panes" in keys()
        assert "Maximise" not in keys()
        await pilot.press("m")
        assert not app.dashboard.is_maximised
        assert "Maximise" in keys()


async def test_signals_request_one_stop_and_the_dashboard_exits_when_the_run_has_stopped(
    app, started, monkeypatch
):
    notes, requests = [], []
    monkeypatch.setattr(app, "notify", lambda text, **_: notes.append(text))
    monkeypatch.setattr(LiveRun, "request", lambda _, request: requests.append(request))
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("t")
        await until(pilot, lambda: app.own_run)
        for number in (signal.SIGXCPU, signal.SIGXCPU, signal.SIGTERM, signal.SIGTERM):
            app.on_signal(number)
        await until(pilot, lambda: notes)
        app.own_run._emit(PhaseChanged(phase=Phase.DONE))
        app.own_run._emit(RunEnded(exit_code=0))
        await until(pilot, lambda: not app.is_running)
    assert requests == [Request.STOP], "a second one gives up a save that is tried again"
    assert notes == ["Stopping… (ctrl+c to quit now)"]
    assert app.return_value == 128 + signal.SIGXCPU


def test_a_signal_after_the_screen_stops_the_run_and_ends_it_at_once_only_where_it_is_repeated(
    app, started, monkeypatch
):
    exits, requests = [], []
    monkeypatch.setattr(os, "_exit", exits.append)
    monkeypatch.setattr(LiveRun, "request", lambda _, request: requests.append(request))

    async def train_and_detach():
        async with app.run_test(size=(120, 40)) as pilot:
            await pilot.press("t")
            await until(pilot, lambda: app.own_run)
            app._leave_running()
            await until(pilot, lambda: not app.is_running)

    asyncio.run(train_and_detach())
    now = time.monotonic()
    for later in (0, 0.5):
        monkeypatch.setattr(time, "monotonic", lambda later=later: now + later)
        app.on_signal(signal.SIGTERM)
    assert (requests, exits) == ([Request.STOP], [])
    monkeypatch.setattr(time, "monotonic", lambda: now + 5)
    app.on_signal(signal.SIGTERM)
    assert (requests, exits) == ([Request.STOP], [128 + signal.SIGTERM])
