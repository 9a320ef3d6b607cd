"""When the dashboard draws: at fixed intervals, and at once for a key."""

import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from textual._compositor import ChopsUpdate

from cifar_tui.app.presenter import SLOW_FRAME_SECONDS, TICK_SECONDS, RunPresenter
from cifar_tui.app.widgets.header import RunHeader
from cifar_tui.app.widgets.line import Line
from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.events import LossPoint, Message, Phase, PhaseChanged
from cifar_tui.runs.control.protocol import Request
from cifar_tui.runs.curves import Curves
from cifar_tui.runs.live import LiveRun
from tests.app.panes.pane_app import settled, trained, until
from tests.runs.made_events import STARTED


def emit(run, events):
    for event in events:
        run._emit(event)


@pytest.fixture
def run():
    return LiveRun(TrainConfig(), checkpoints=Path())


def next_point(step):
    return [event for event in trained(step // 50) if isinstance(event, LossPoint)][-1]


async def test_figures_are_drawn_twice_a_second_log_and_samples_once_and_charts_every_two(
    app, run, monkeypatch
):
    monkeypatch.setattr(app.presenter, "start", lambda: None)  # this test ticks itself
    drawn = {}
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        app.presenter.follow(run)
        emit(run, trained(4))
        for step in (250, 300):  # the first frame lays the figures out: it counts from the next
            emit(run, [next_point(step)])
            for _ in range(4):
                app.presenter._on_tick()
            await settled(pilot)
        emit(run, [next_point(350), Message(text="a line")])
        batch, log = (app.dashboard.query_one(name, Line) for name in ("#batch", "#last-line"))
        before = batch.plain
        seen = {
            "figures": lambda: batch.plain != before,
            "texts": lambda: "a line" in log.plain,
            "charts": lambda: app.dashboard.training.charts._curves.loss == run.curves().loss,
        }
        for tick in range(1, 5):
            app.presenter._on_tick()
            drawn |= {name: TICK_SECONDS * tick for name in seen if name not in drawn and seen[name]()}
    assert drawn == {"figures": 0.5, "texts": 1, "charts": 2}


def test_it_ticks_twice_a_second():
    timers = []
    presenter = RunPresenter(SimpleNamespace(set_interval=lambda *timer: timers.append(timer)))
    presenter.start()
    assert timers == [(0.5, presenter._on_tick)]


async def test_the_name_of_a_run_is_no_markup(app, run):
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        app.presenter.follow(run)
        emit(run, [replace(STARTED, run="a[/b]c $title")])
        await until(pilot, lambda: "a[/b]c $title" in app.dashboard.query_one(RunHeader).plain)
        run._name = "my [/b] $run"
        await until(pilot, lambda: "my [/b] $run" in app.dashboard.query_one(RunHeader).plain)


async def test_a_key_of_the_charts_draws_them_at_once_from_the_latest_point(app, run):
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        app.presenter.follow(run)
        for count, key in enumerate(["l", "z", "plus", "minus", "a"], start=4):
            emit(run, trained(4) if count == 4 else [next_point(50 * count)])
            await pilot.press(key)
            assert app.dashboard.training.charts._curves.loss == run.curves().loss


async def test_nothing_is_drawn_while_nothing_changes(app, run, monkeypatch):
    drawn = []
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        emit(run, [*trained(4), PhaseChanged(phase=Phase.PAUSED)])
        app.presenter.follow(run)
        app.presenter.show()
        app.presenter.show_curves()
        training = app.dashboard.training
        monkeypatch.setattr(training, "show", drawn.append)
        monkeypatch.setattr(training, "show_curves", drawn.append)
        app.presenter.show()
        app.presenter.show_curves()
        assert drawn == []


async def test_the_curves_of_another_run_are_gone_when_a_new_one_is_followed(app, run):
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        app.dashboard.training.show_curves(Curves(loss=[(1, 2.0), (2, 1.0)]))
        app.presenter.follow(run)
        assert app.dashboard.training.charts._curves == Curves()


async def test_the_effect_of_a_request_is_drawn_until_it_is_complete(app, run, monkeypatch):
    shown = []
    phases = iter([Phase.TRAINING, Phase.SAVING])
    # the run answers before the request returns
    monkeypatch.setattr(run, "request", lambda _: run._emit(PhaseChanged(phase=next(phases))))
    run._emit(PhaseChanged(phase=Phase.PAUSED))
    async with app.run_test(size=(120, 40)) as pilot:
        app.presenter.follow(run)
        monkeypatch.setattr(app.presenter, "show", lambda **_: None)  # the timer
        monkeypatch.setattr(app.dashboard, "show_run", lambda run: shown.append(run.snapshot().phase))
        app.presenter.request(Request.TOGGLE_PAUSE)
        await until(pilot, lambda: shown == [Phase.TRAINING])
        app.presenter.request(Request.SAVE)
        await until(pilot, lambda: shown == [Phase.TRAINING, Phase.SAVING])
        run._emit(PhaseChanged(phase=Phase.PAUSED))
        await until(pilot, lambda: shown == [Phase.TRAINING, Phase.SAVING, Phase.PAUSED])


async def test_a_request_that_waits_for_a_step_is_shown_as_pending(app, run):
    run._emit(PhaseChanged(phase=Phase.TRAINING))
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        app.presenter.follow(run)
        app.presenter.show()
        line = app.dashboard.query_one("#state", Line)
        for request, said in ((Request.PAUSE, "‖ pausing · ▶ training"), (Request.RESUME, "▶ training")):
            app.presenter.request(request)
            await until(pilot, lambda said=said: line.plain.strip() == said)


async def test_on_a_slow_link_the_timers_draw_nothing_and_the_next_frame_says_so(app, run, monkeypatch):
    behind = True
    monkeypatch.setattr(type(app), "link_behind", property(lambda _: behind))
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        app.presenter.follow(run)
        emit(run, trained(4))
        before = app.presenter._frame_at
        await pilot.pause(SLOW_FRAME_SECONDS + TICK_SECONDS)
        assert app.presenter._frame_at == before
        assert not app.dashboard.training.charts._curves.loss
        header = app.dashboard.header
        behind = False
        await until(pilot, lambda: re.match(r"slow connection: redrawn every \d+ s · ", header.plain))
        await until(pilot, lambda: app.dashboard.training.charts._curves.loss == run.curves().loss)
        await until(pilot, lambda: not header.plain.startswith("slow connection"))


async def test_what_keys_change_while_the_terminal_is_behind_is_painted_when_it_has_caught_up(
    app, run, monkeypatch
):
    behind, frames = False, []
    monkeypatch.setattr(type(app), "link_behind", property(lambda _: behind))
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        app.presenter.follow(run)
        emit(run, trained(4))
        await until(pilot, lambda: app.dashboard.training.charts._curves.loss)
        monkeypatch.setattr(app, "_display", lambda _, update: update and frames.append(update))
        behind = True
        for key in ("l", "z", "plus", "minus"):
            await pilot.press(key)
            await pilot.pause(0.05)
        assert not frames
        behind = False
        await until(pilot, lambda: frames)


async def test_below_a_dialog_only_what_changed_is_painted(app, run, monkeypatch):
    frames = []
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        app.presenter.follow(run)
        emit(run, trained(4))
        await until(pilot, lambda: app.dashboard.training.charts._curves.loss == run.curves().loss)
        await pilot.press("question_mark")
        await pilot.pause(2 * TICK_SECONDS)
        monkeypatch.setattr(app, "_display", lambda _, update: update and frames.append(update))
        emit(run, [next_point(250)])
        await until(pilot, lambda: app.dashboard.training.charts._curves.loss == run.curves().loss)
        await until(pilot, lambda: frames)
        assert all(isinstance(frame, ChopsUpdate) for frame in frames), "else the whole screen is drawn"
