"""`LiveRun`: a run in a thread of its own, from the start to every kind of end."""

import json
import threading
import time

import pytest
import torch

from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.events import Evaluated, Phase, TrainingFinished
from cifar_tui.runs.control.client import send_request
from cifar_tui.runs.control.protocol import Request
from cifar_tui.runs.disk.event_log import read_events
from cifar_tui.runs.live import LiveRun
from cifar_tui.runs.state import PendingRequest, RunState


def wait_until(condition, seconds=60):
    """Wait for `condition`, and fail when it does not come about."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "the condition did not come about"
        time.sleep(0.01)


@pytest.fixture
def make_run(tmp_path, image_folder):
    runs = []

    def make(**settings):
        config = TrainConfig(
            **{"data": str(image_folder), "data_dir": str(tmp_path / "data"), "device": "cpu", **settings}
        )
        run = LiveRun(config, checkpoints=tmp_path / "checkpoints")
        runs.append(run)
        return run

    yield make
    for run in runs:
        run.request(Request.STOP)
        assert run.wait(60)


def test_a_whole_run_leaves_its_folder(make_run):
    run = make_run()
    run.start_training()
    assert run.wait(60)
    snapshot = run.snapshot()
    assert (snapshot.phase, snapshot.ended.exit_code) == (Phase.DONE, 0)
    names = {path.name for path in run.folder.iterdir()}
    assert names == {
        "config.toml",
        "events.jsonl",
        "summary.json",
        "samples.npz",
        "last.pt",
        "cifar_net.pth",
        "report.json",
        "lock",
    }
    assert (run.folder / "lock").read_bytes() == b"", "nobody owns it"
    assert json.loads((run.folder / "report.json").read_text())["test"]["total"] == 12


def test_the_event_log_rebuilds_what_the_screen_showed(make_run):
    run = make_run()
    run.start_training()
    assert run.wait(60)
    again = RunState()
    for event in read_events(run.folder):
        again.apply(event)
    live, rebuilt = run.snapshot(), again.snapshot()
    for name in (
        "phase",
        "data",
        "started",
        "step",
        "loss",
        "samples",
        "evaluated",
        "finished",
        "ended",
        "log_end",
    ):
        assert getattr(rebuilt, name) == getattr(live, name), name
    assert again.curves() == run.curves()
    assert again.log_since(0) == run.log_since(0)


def test_a_paused_run_is_live_until_it_is_stopped(make_run):
    run = make_run(epochs=100_000)
    run.start_training()
    wait_until(lambda: run.snapshot().step > 0)
    run.request(Request.PAUSE)
    wait_until(lambda: run.snapshot().phase is Phase.PAUSED)
    assert run.live
    run.request(Request.STOP)
    assert run.wait(60)
    finished = [event for event in read_events(run.folder) if isinstance(event, TrainingFinished)]
    assert [event.completed for event in finished] == [False]
    assert run.snapshot().message.startswith("stopped and saved at step")
    assert torch.load(run.folder / "last.pt", weights_only=True)["step"] == finished[0].step


def test_what_is_asked_of_a_run_that_must_end_a_step_first_is_shown_at_once(make_run, monkeypatch):
    from cifar_tui.engine.steps.net_steps import NetSteps

    step, begun, may_end = NetSteps.train_step, threading.Event(), threading.Event()

    def long_step(*arguments):
        begun.set()
        assert may_end.wait(60)
        return step(*arguments)

    monkeypatch.setattr(NetSteps, "train_step", long_step)
    run = make_run(epochs=100_000, backend="eager")
    run.start_training()
    assert begun.wait(60)
    version = run.snapshot().version
    for request, asked in (("pause", PendingRequest.PAUSE), ("resume", None), ("stop", PendingRequest.STOP)):
        getattr(run, request)()
        assert (run.snapshot().phase, run.snapshot().asked) == (Phase.TRAINING, asked)
    assert run.snapshot().version == version, "no event tells of it"
    may_end.set()
    assert run.wait(60)
    assert run.snapshot().asked is None


def test_one_request_holds_a_run_and_lets_it_go_on(make_run):
    run = make_run(epochs=100_000)
    run.start_training()
    wait_until(lambda: run.snapshot().step > 0)
    for phase in (Phase.PAUSED, Phase.TRAINING, Phase.PAUSED):
        send_request(run.folder, "pause_or_resume")
        wait_until(lambda phase=phase: run.snapshot().phase is phase)


def test_data_that_is_not_there_ends_with_3_and_no_folder(make_run, tmp_path):
    run = make_run(data=str(tmp_path / "none"))
    run.start_training()
    assert run.wait(60)
    snapshot = run.snapshot()
    assert (snapshot.phase, snapshot.ended.exit_code) == (Phase.FAILED, 3)
    assert "none" in snapshot.ended.error
    assert list((tmp_path / "checkpoints").iterdir()) == []


def test_a_place_that_cannot_be_written_ends_with_2_before_anything_is_loaded(make_run, tmp_path):
    (tmp_path / "checkpoints").write_text("a file")
    run = make_run()
    run.start_training()
    assert run.wait(60)
    assert run.snapshot().ended.exit_code == 2
    assert run.snapshot().data is None


def test_a_defect_of_the_program_ends_the_run_with_a_word_and_a_traceback_in_its_log(make_run, monkeypatch):
    from cifar_tui.engine.steps.net_steps import NetSteps

    def fail(*_):
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr(NetSteps, "train_step", fail)
    run = make_run()
    run.start_training()
    assert run.wait(60)
    ended = run.snapshot().ended
    assert ended.exit_code == 4
    assert ended.error == (
        "an error in the program itself, ZeroDivisionError: a defect; "
        f"the details are in {run.folder / 'run.log'}"
    )
    assert "Traceback" in (run.folder / "run.log").read_text()


def test_a_run_that_diverges_pauses_and_keeps_its_last_checkpoint(make_run):
    run = make_run(learning_rate=100.0, epochs=1000, chart_every=1)
    run.start_training()
    wait_until(lambda: run.snapshot().phase is Phase.PAUSED)
    assert any("not finite at step" in line.text for line in run.log_since(0) if line.kind == "alert")
    run.request(Request.STOP)
    assert run.wait(60)
    ended = run.snapshot().ended
    assert ended.exit_code == 4
    assert "the weights are not finite" in ended.error
    assert list(read_events(run.folder))[-1] == ended


def test_a_disk_that_fails_under_a_defect_leaves_a_word_of_both(make_run, monkeypatch):
    from cifar_tui.engine.steps.net_steps import NetSteps

    run = make_run()

    def fail(*_):
        (run.folder / "run.log").mkdir()
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr(NetSteps, "train_step", fail)
    run.start_training()
    assert run.wait(60)
    assert "ZeroDivisionError" in run.snapshot().ended.error
    assert any("Traceback" in line.text for line in run.log_since(0))
    assert "run.log" in run.snapshot().alert.text


def test_an_event_log_that_cannot_be_made_ends_the_run_with_4(make_run, monkeypatch):
    def refuse(_folder):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("cifar_tui.runs.disk.run_writer.EventLog", refuse)
    run = make_run()
    run.start_training()
    assert run.wait(60)
    assert run.snapshot().ended.exit_code == 4
    assert "No space left" in run.snapshot().ended.error


def test_samples_show_the_truth_first_and_then_what_the_net_takes_them_for(make_run):
    run = make_run()
    assert run.sample_batch(0) is None
    run.start_training()
    assert run.wait(60)
    batch = run.sample_batch(0)
    assert (batch.number, batch.count, batch.step) == (0, 3, 12)
    assert [sample.ground_truth for sample in batch.samples] == ["blue", "green", "red", "blue"]
    assert all(sample.image.shape == (32, 32, 3) for sample in batch.samples)
    assert batch.samples[0].image.mean(axis=(0, 1)).argmax() == 2, "the blue picture is blue"
    predicted = run.session.report.predicted.tolist()
    names = run.session.report.class_names
    assert [sample.predicted for sample in batch.samples] == [names[k] for k in predicted[:4]]
    assert run.sample_batch(-1).number == 2
    assert run.sample_batch(3).number == 0


def test_the_saved_weights_can_be_evaluated_again_after_the_end(make_run):
    run = make_run()
    run.start_training()
    assert run.wait(60)
    first = run.snapshot().evaluated
    run.request(Request.EVALUATE)
    assert run.wait(60)
    evaluated = [event for event in read_events(run.folder) if isinstance(event, Evaluated)]
    assert [event.correct for event in evaluated[-2:]] == [first.correct] * 2
    assert run.snapshot().phase is Phase.DONE


def test_an_evaluation_of_a_stopped_run_is_of_what_it_saved_and_writes_its_report(make_run):
    run = make_run(epochs=100_000)
    run.start_training()
    wait_until(lambda: run.snapshot().step > 0)
    run.request(Request.STOP)
    assert run.wait(60)
    assert not (run.folder / "report.json").exists()
    run.request(Request.EVALUATE)
    assert run.wait(60)
    saved = torch.load(run.folder / "last.pt", weights_only=True)["step"]
    assert run.snapshot().evaluated.step == saved
    assert json.loads((run.folder / "report.json").read_text())["step"] == saved


def test_a_file_of_weights_can_be_evaluated_without_a_training(make_run):
    trained = make_run()
    trained.start_training()
    assert trained.wait(60)
    run = make_run()
    run.start_evaluation(trained.folder / "cifar_net.pth")
    assert run.wait(60)
    assert run.snapshot().evaluated.correct == trained.snapshot().evaluated.correct
    assert run.folder is None
