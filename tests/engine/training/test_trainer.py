"""The trainer: what it says, and how it is steered between two steps."""

import math
import threading

import pytest
import torch

from cifar_tui.engine.data.dataset import normalize
from cifar_tui.engine.errors import RunFailedError
from cifar_tui.engine.events import (
    Alert,
    CheckpointSaved,
    EpochFinished,
    LossPoint,
    LossWindow,
    Message,
    Phase,
    PhaseChanged,
    SamplesPredicted,
)
from tests.engine.made_training import MadeTraining, first_images

pytestmark = pytest.mark.usefixtures("one_thread")


def test_a_run_tells_its_story_from_the_first_step_to_the_last(noise_dataset, tmp_path):
    run = MadeTraining(noise_dataset, tmp_path, epochs=2)
    finished = run.trainer.fit()
    assert finished.completed
    assert (finished.step, finished.epoch, finished.images) == (420, 2, 1680)
    assert [(e.epoch, e.batch, e.step) for e in run.of(LossWindow)] == [
        (1, 100, 100),
        (1, 200, 200),
        (2, 100, 310),
        (2, 200, 410),
    ]
    assert finished.final_loss == run.of(LossWindow)[-1].loss
    points = run.of(LossPoint)
    assert [p.step for p in points] == [50, 100, 150, 200, 210, 260, 310, 360, 410, 420]
    assert sum(p.images for p in points) == 1680
    assert [e.epoch for e in run.of(EpochFinished)] == [1, 2]
    assert "Finished Training" in [m.text for m in run.of(Message) if m.printed]
    assert run.phases() == [Phase.TRAINING, Phase.TRAINING, Phase.SAVING]
    assert [c.reason for c in run.of(CheckpointSaved)] == ["end of epoch 1", "end of training"]
    assert run.evaluated == [210], "the test set is evaluated after every epoch but the last"
    assert run.events[-1] == finished
    samples = run.of(SamplesPredicted)
    assert [s.step for s in samples] == [0, 100, 200, 210, 310, 410, 420], "at the start, windows and epochs"
    assert all(len(s.predicted) == len(s.confidences) == 8 for s in samples)
    assert all(0.1 <= confidence <= 1 for s in samples for confidence in s.confidences)


def test_the_mean_of_an_epoch_is_that_of_the_tutorial_over_all_its_batches(noise_dataset, tmp_path):
    run = MadeTraining(noise_dataset, tmp_path, chart_every=1)
    run.trainer.fit()
    losses = [p.loss for p in run.of(LossPoint)]
    (epoch,) = run.of(EpochFinished)
    assert epoch.loss == pytest.approx(sum(losses) / len(losses))
    assert epoch.accuracy == pytest.approx(sum(p.accuracy for p in run.of(LossPoint)) / len(losses))


@pytest.mark.parametrize("chart_every", [1, 4, 100])
def test_the_mean_of_an_epoch_counts_every_image_the_same(noise_dataset, tmp_path, chart_every):
    one_more = first_images(noise_dataset, 65)
    run = MadeTraining(one_more, tmp_path, batch_size=64, learning_rate=1e-9, chart_every=chart_every)
    run.trainer.fit()
    with torch.no_grad():
        logits = run.net(normalize(one_more.train.images))
    loss = torch.nn.functional.cross_entropy(logits, one_more.train.targets).item()
    (epoch,) = run.of(EpochFinished)
    assert epoch.loss == pytest.approx(loss, abs=1e-6)


def test_the_loss_that_the_tutorial_prints_counts_every_batch_the_same(noise_dataset, tmp_path):
    run = MadeTraining(
        first_images(noise_dataset, 65),
        tmp_path,
        batch_size=64,
        learning_rate=1e-9,
        chart_every=1,
        log_every=2,
    )
    run.trainer.fit()
    (window,) = run.of(LossWindow)
    assert window.loss == sum(point.loss for point in run.of(LossPoint)) / 2
    (epoch,) = run.of(EpochFinished)
    assert abs(epoch.loss - window.loss) > 1e-4


def test_a_last_batch_that_is_smaller_is_trained_too(noise_dataset, tmp_path):
    run = MadeTraining(noise_dataset, tmp_path, batch_size=100)
    finished = run.trainer.fit()
    assert finished.step == 9
    assert finished.images == 840
    assert finished.final_loss == run.of(EpochFinished)[0].loss, "no window of 100 batches was completed"


def test_a_pause_holds_between_two_steps_until_resumed(noise_dataset, tmp_path):
    paused = threading.Event()

    def pause_at_100(run, event):
        if isinstance(event, LossPoint) and event.step == 100:
            run.control.request("pause")
        if isinstance(event, PhaseChanged) and event.phase is Phase.PAUSED:
            paused.set()

    run = MadeTraining(noise_dataset, tmp_path, on_event=pause_at_100)
    thread = threading.Thread(target=run.trainer.fit)
    thread.start()
    assert paused.wait(30)
    held_at = run.trainer.step
    weights = [p.clone() for p in run.net.parameters()]
    assert held_at == 100
    assert thread.is_alive()
    assert all(torch.equal(a, b) for a, b in zip(weights, run.net.parameters(), strict=True))
    run.control.request("resume")
    thread.join(30)
    assert not thread.is_alive()
    assert run.trainer.step == 210
    phases = run.phases()
    assert phases[phases.index(Phase.PAUSED) - 1] is Phase.SAVING, "who pauses sees what it waits for"


def test_time_spent_paused_is_not_training_time(noise_dataset, tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("cifar_tui.engine.training.metrics.time.perf_counter", lambda: now[0])

    def pass_time(run, event):
        if isinstance(event, LossPoint):
            now[0] += 1.0
            if event.step == 100:
                run.control.request("pause")
        if isinstance(event, PhaseChanged) and event.phase is Phase.PAUSED:
            now[0] += 1000.0
            run.control.request("resume")

    run = MadeTraining(noise_dataset, tmp_path, on_event=pass_time)
    assert run.trainer.fit().train_seconds == pytest.approx(5.0)


def test_a_stop_saves_and_ends_before_the_next_step(noise_dataset, tmp_path):
    def stop_at_150(run, event):
        if isinstance(event, LossPoint) and event.step == 150:
            run.control.request("stop")

    run = MadeTraining(noise_dataset, tmp_path, on_event=stop_at_150, epochs=3)
    finished = run.trainer.fit()
    assert not finished.completed
    assert finished.step == 150
    assert run.of(CheckpointSaved)[-1].reason == "stopped"
    saved = torch.load(tmp_path / "last.pt", weights_only=True)
    assert (saved["step"], saved["epoch"], saved["batch"]) == (150, 1, 150)
    assert torch.equal(saved["model"]["fc3.bias"], run.net.fc3.bias)
    assert "Finished Training" not in [m.text for m in run.of(Message)]


def test_a_stop_ends_a_pause(noise_dataset, tmp_path):
    def pause_then_stop(run, event):
        if isinstance(event, LossPoint) and event.step == 50:
            run.control.request("pause")
        if isinstance(event, PhaseChanged) and event.phase is Phase.PAUSED:
            run.control.request("stop")

    run = MadeTraining(noise_dataset, tmp_path, on_event=pause_then_stop)
    assert run.trainer.fit().step == 50


def test_a_stop_at_the_very_last_step_is_a_finished_training(noise_dataset, tmp_path):
    def stop_at_the_end(run, event):
        if isinstance(event, LossPoint) and event.step == 210:
            run.control.request("stop")

    run = MadeTraining(noise_dataset, tmp_path, on_event=stop_at_the_end)
    assert run.trainer.fit().completed


def test_a_checkpoint_and_an_evaluation_can_be_asked_for_at_any_step(noise_dataset, tmp_path):
    def ask_at_50(run, event):
        if isinstance(event, LossPoint) and event.step == 50:
            run.control.request("save")
            run.control.request("evaluate")

    run = MadeTraining(noise_dataset, tmp_path, on_event=ask_at_50)
    assert run.trainer.fit().completed
    assert [(c.step, c.reason) for c in run.of(CheckpointSaved)] == [
        (50, "requested"),
        (210, "end of training"),
    ]
    assert run.evaluated == [50]


def test_a_save_that_fails_on_the_way_alerts_and_training_goes_on(noise_dataset, tmp_path):
    in_the_way = tmp_path / "last.pt"

    def put_something_in_the_way(run, event):
        if isinstance(event, LossPoint) and event.step == 100:
            in_the_way.mkdir()
            run.control.request("save")
        if isinstance(event, LossPoint) and event.step == 150:
            in_the_way.rmdir()

    run = MadeTraining(noise_dataset, tmp_path, on_event=put_something_in_the_way)
    assert run.trainer.fit().completed
    (alert,) = run.of(Alert)
    assert "cannot save" in alert.text


def diverge(run, event):
    if isinstance(event, LossPoint) and event.step == 50:
        with torch.no_grad():
            run.net.fc3.weight.fill_(math.inf)


def test_a_loss_that_is_not_finite_pauses_the_run_and_says_so(noise_dataset, tmp_path):
    def on_event(run, event):
        diverge(run, event)
        if isinstance(event, PhaseChanged) and event.phase is Phase.PAUSED:
            run.control.request("stop")

    run = MadeTraining(noise_dataset, tmp_path, on_event=on_event)
    with pytest.raises(RunFailedError, match="not saved at step 100: the weights are not finite"):
        run.trainer.fit()
    (paused,) = [event for event in run.of(PhaseChanged) if event.phase is Phase.PAUSED]
    assert "not finite at step 51" in paused.message
    assert "train again with a lower" in paused.message
    assert "not finite at step 51" in run.of(Alert)[0].text
    assert all(math.isfinite(p.loss) for p in run.of(LossPoint))


def test_a_pause_after_one_for_a_loss_that_is_not_finite_has_no_cause(noise_dataset, tmp_path):
    def on_event(run, event):
        diverge(run, event)
        if isinstance(event, PhaseChanged) and event.phase is Phase.PAUSED:
            run.control.request("resume" if event.message else "stop")
        elif isinstance(event, EpochFinished):
            run.control.request("pause")

    run = MadeTraining(noise_dataset, tmp_path, on_event=on_event)
    with pytest.raises(RunFailedError, match="not finite"):
        run.trainer.fit()
    messages = [event.message for event in run.of(PhaseChanged) if event.phase is Phase.PAUSED]
    assert [bool(message) for message in messages] == [True, False]


def test_weights_that_are_not_finite_never_replace_a_checkpoint(noise_dataset, tmp_path):
    def on_event(run, event):
        if isinstance(event, LossPoint) and event.step == 210:
            with torch.no_grad():
                run.net.fc3.bias[0] = math.nan
        if isinstance(event, PhaseChanged) and event.phase is Phase.PAUSED:
            run.control.request("save")
            run.control.request("resume")

    run = MadeTraining(noise_dataset, tmp_path, on_event=on_event, epochs=3)
    run.control.request("save")
    with pytest.raises(RunFailedError, match="not finite"):
        run.trainer.fit()
    assert run.phases().count(Phase.PAUSED) == 1, "who goes on knows it"
    assert [alert.text for alert in run.of(Alert) if "not saved" in alert.text]
    saved = torch.load(tmp_path / "last.pt", weights_only=True)
    assert saved["step"] < 210
    assert all(tensor.isfinite().all() for tensor in saved["model"].values())


@pytest.mark.parametrize("averaging", ["ema", "lookahead"])
def test_trained_weights_that_are_not_finite_are_not_saved_beside_a_finite_average(
    noise_dataset, tmp_path, averaging
):
    def break_trained_weights(run, event):
        if isinstance(event, PhaseChanged) and event.phase is Phase.SAVING:
            with torch.no_grad():
                run.setup.optimizer.param_groups[0]["params"][0].fill_(math.nan)

    run = MadeTraining(
        noise_dataset,
        tmp_path,
        on_event=break_trained_weights,
        batch_size=84,
        weight_averaging=averaging,
    )
    with pytest.raises(RunFailedError, match="not saved at step 10: the weights are not finite"):
        run.trainer.fit()
    assert all(tensor.isfinite().all() for tensor in run.net.state_dict().values())
    assert list(tmp_path.iterdir()) == []


def test_without_anybody_to_resume_it_fails_and_keeps_the_last_checkpoint(noise_dataset, tmp_path):
    run = MadeTraining(noise_dataset, tmp_path, on_event=diverge, interactive=False)
    with pytest.raises(RunFailedError, match="not finite at step 51"):
        run.trainer.fit()
    assert not (tmp_path / "last.pt").exists()
