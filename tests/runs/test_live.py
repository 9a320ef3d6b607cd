"""`LiveRun`: a run in a thread of this process, from its start to its end."""

import json
import threading

import pytest
import torch

from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.events import Evaluated, Phase, TrainingFinished
from cifar_tui.runs.control.client import RequestRefusedError, send_request
from cifar_tui.runs.control.protocol import Request
from cifar_tui.runs.disk.event_log import read_events
from cifar_tui.runs.live import LiveRun
from cifar_tui.runs.state import PendingRequest, RunState
from tests.runs.control.helpers import wait_until


@pytest.fixture(scope="module")
def trained(tmp_path_factory, shared_image_folder):
    """A run that has ended, for tests that change nothing but evaluate it again."""
    folder = tmp_path_factory.mktemp("trained")
    config = TrainConfig(data=str(shared_image_folder), data_dir=str(folder / "data"), device="cpu")
    run = LiveRun(config, checkpoints=folder / "checkpoints")
    assert run.sample_batch(0) is None
    run.start_training()
    assert run.wait(60)
    return run


def test_a_run_leaves_its_files(trained):
    snapshot = trained.snapshot()
    assert (snapshot.phase, snapshot.ended.exit_code) == (Phase.DONE, 0)
    assert {path.name for path in trained.folder.iterdir()} == {
        "config.toml",
        "events.jsonl",
        "summary.json",
        "samples.bin",
        "predictions.npz",
        "test_files.json",
        "last.pt",
        "cifar_net.pth",
        "report.json",
        "lock",
    }
    assert (trained.folder / "lock").read_bytes() == b"", "nobody owns it"
    assert json.loads((trained.folder / "report.json").read_text())["test"]["total"] == 12


def test_the_event_log_rebuilds_what_the_screen_showed(trained):
    again = RunState()
    for event in read_events(trained.folder):
        again.apply(event)
    live, rebuilt = trained.snapshot(), again.snapshot()
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
    assert again.curves() == trained.curves()
    assert again.log_since(0) == trained.log_since(0)


def test_samples_show_the_true_and_the_predicted_class(trained):
    batch = trained.sample_batch(0)
    assert (batch.number, batch.count, batch.step) == (0, 3, 12)
    assert [sample.ground_truth for sample in batch.samples] == ["blue", "green", "red", "blue"]
    assert all(sample.image.shape == (32, 32, 3) for sample in batch.samples)
    assert batch.samples[0].image.mean(axis=(0, 1)).argmax() == 2, "the blue picture is blue"
    report = trained.session.report
    predicted = [report.class_names[k] for k in report.predicted[:4].tolist()]
    assert [sample.predicted for sample in batch.samples] == predicted
    assert [sample.confidence for sample in batch.samples] == report.confidences[:4].tolist()
    assert trained.sample_batch(-1).number == 2
    assert trained.sample_batch(3).number == 0


def test_the_saved_weights_can_be_evaluated_again_after_the_end(trained):
    first = trained.snapshot().evaluated
    assert trained.can_evaluate_saved
    trained.request(Request.EVALUATE)
    assert not trained.can_evaluate_saved, "it is being done"
    assert trained.wait(60)
    evaluated = [event for event in read_events(trained.folder) if isinstance(event, Evaluated)]
    assert [event.correct for event in evaluated[-2:]] == [first.correct] * 2
    assert trained.snapshot().phase is Phase.DONE


def test_a_file_of_weights_can_be_evaluated_without_a_training(trained, make_run):
    run = make_run()
    run.start_evaluation(trained.folder / "cifar_net.pth")
    assert run.wait(60)
    assert run.snapshot().evaluated.correct == trained.snapshot().evaluated.correct
    assert run.sample_batch(0).step is None, "a file of weights does not tell"
    assert run.folder is None


def test_an_ended_run_is_evaluated_with_its_curves_and_its_folder_stays_as_it_is(trained):
    def files():
        return {file.name: file.read_bytes() for file in trained.folder.iterdir()}

    before = files()
    run = LiveRun(trained.config, checkpoints=trained.folder.parent, resume=trained.folder)
    run.start_run_evaluation()
    assert run.wait(60)
    snapshot = run.snapshot()
    assert (snapshot.phase, snapshot.message) == (Phase.DONE, "evaluated the saved weights")
    assert snapshot.evaluated.correct == trained.snapshot().evaluated.correct
    assert len(run.curves().loss) == len(trained.curves().loss) > 0
    assert run.sample_batch(0).step == 12
    assert files() == before


def test_a_paused_run_is_live_until_it_is_stopped_and_what_it_saved_can_be_evaluated(make_run):
    run = make_run(epochs=100_000)
    run.start_training()
    wait_until(lambda: run.snapshot().step > 0)
    for phase in (Phase.PAUSED, Phase.TRAINING):
        send_request(run.folder, Request.TOGGLE_PAUSE)
        wait_until(lambda phase=phase: run.snapshot().phase is phase)
    run.request(Request.PAUSE)
    wait_until(lambda: run.snapshot().phase is Phase.PAUSED)
    assert run.live
    run.request(Request.STOP)
    assert run.wait(60)
    (finished,) = (event for event in read_events(run.folder) if isinstance(event, TrainingFinished))
    assert not finished.completed
    assert run.snapshot().message.startswith("stopped and saved at step")
    assert torch.load(run.folder / "last.pt", weights_only=True)["step"] == finished.step
    assert not (run.folder / "report.json").exists()
    run.request(Request.EVALUATE)
    assert run.wait(60)
    assert run.snapshot().evaluated.step == finished.step
    assert json.loads((run.folder / "report.json").read_text())["step"] == finished.step


def test_a_request_that_waits_for_the_end_of_a_step_is_shown_at_once(make_run, at_first_point):
    begun, may_end = threading.Event(), threading.Event()
    run = make_run(epochs=100_000)
    at_first_point(run, lambda: (begun.set(), may_end.wait(60)))
    run.start_training()
    assert begun.wait(60)
    version = run.snapshot().version
    for request, pending in (
        (Request.PAUSE, PendingRequest.PAUSE),
        (Request.RESUME, None),
        (Request.STOP, PendingRequest.STOP),
    ):
        run.request(request)
        assert (run.snapshot().phase, run.snapshot().pending) == (Phase.TRAINING, pending)
    assert run.snapshot().version == version, "there is no event for it"
    may_end.set()
    assert run.wait(60)
    assert run.snapshot().pending is None


def test_another_process_is_refused_what_a_run_cannot_do_now(make_run, monkeypatch):
    run, reason = make_run(), []
    emit = run._emit

    def ask_when_training_is_over(event):
        emit(event)
        if isinstance(event, TrainingFinished):
            with pytest.raises(RequestRefusedError) as refused:
                send_request(run.folder, Request.SAVE)
            reason.append(str(refused.value))

    monkeypatch.setattr(run, "_emit", ask_when_training_is_over)
    run.start_training()
    assert run.wait(60)
    assert reason == ["cannot save: training has ended"]
