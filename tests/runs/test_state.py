"""`RunState` folds events into what a screen shows."""

from dataclasses import replace

import pytest

from cifar_tui.engine.events import (
    Alert,
    CheckpointSaved,
    DataLoaded,
    EpochFinished,
    EvaluationProgress,
    LoadingProgress,
    LossWindow,
    Message,
    Phase,
    PhaseChanged,
    Resumed,
    RunEnded,
    SamplesPredicted,
    StepsDone,
    Validated,
)
from cifar_tui.runs.curves import MOST_EVALUATIONS, with_evaluation
from cifar_tui.runs.log_line import log_line
from cifar_tui.runs.state import LOG_LINES, PendingRequest, RunState, stopped_early, with_pending
from tests.runs.made_events import STARTED as MADE_STARTED
from tests.runs.made_events import evaluated, finished, folded, point

STARTED = replace(MADE_STARTED, steps_per_epoch=1000, total_steps=2000)


@pytest.mark.parametrize(
    ("request_", "shown_in"),
    [
        (PendingRequest.PAUSE, {Phase.TRAINING, Phase.EVALUATING}),
        (PendingRequest.STOP, {Phase.LOADING, Phase.TRAINING, Phase.EVALUATING}),
    ],
)
def test_a_request_is_pending_while_something_has_to_end_first(request_, shown_in):
    for phase in Phase:
        snapshot = folded(STARTED, PhaseChanged(phase=phase)).snapshot()
        assert with_pending(snapshot, request_).pending == (request_ if phase in shown_in else None)
        assert with_pending(snapshot, None) is snapshot


def test_a_training_that_is_over_does_not_say_that_it_will_pause():
    snapshot = folded(STARTED, finished(), PhaseChanged(phase=Phase.EVALUATING)).snapshot()
    assert with_pending(snapshot, PendingRequest.PAUSE).pending is None
    assert with_pending(snapshot, PendingRequest.STOP).pending is PendingRequest.STOP


def test_nothing_is_known_at_first():
    snapshot = RunState().snapshot()
    assert snapshot.phase is Phase.IDLE
    assert snapshot.loss is None
    assert snapshot.version == 0


def test_every_event_makes_a_new_version():
    state = folded(PhaseChanged(phase=Phase.LOADING), Message(text="a"))
    assert state.snapshot().version == 2


def test_a_point_moves_the_counters_and_the_curves():
    snapshot = folded(STARTED, point(500, train_seconds=2.0, loss=1.25)).snapshot()
    assert (snapshot.step, snapshot.epoch, snapshot.batch, snapshot.loss) == (500, 1, 500, 1.25)
    assert snapshot.curves_version == 1


def test_the_time_left_is_estimated_from_the_steps_made():
    snapshot = folded(STARTED, point(500, train_seconds=2.0)).snapshot()
    assert snapshot.seconds_left == pytest.approx(6.0)


def test_the_speed_is_of_the_last_few_seconds():
    state = folded(STARTED)
    seconds = 0.0
    for number in range(1, 101):
        seconds += 2.0 if number <= 50 else 0.5  # for 50 steps of 4 images
        if number % 7:  # the log of a long run leaves out points
            state.apply(point(50 * number, train_seconds=seconds, images=200))
    assert state.snapshot().images_per_second == pytest.approx(400)


def test_loading_gives_way_to_the_data():
    data = DataLoaded(title="x", synthetic=False, class_names=("a", "b"), train_images=5, test_images=2)
    state = folded(LoadingProgress(stage="decoding", done=1, total=7, unit="images"))
    assert state.snapshot().loading is not None
    state.apply(data)
    assert state.snapshot().loading is None
    assert state.snapshot().data == data


def test_an_evaluation_becomes_a_point_of_the_test_accuracy():
    event = evaluated(1000, 75)
    state = folded(STARTED, EvaluationProgress(done=2, total=100, correct=1, batch=1, batches=2), event)
    assert state.curves().test_accuracy == ((1000, 0.75),)
    assert state.snapshot().evaluating is None
    assert state.snapshot().evaluated == event


def test_the_best_and_the_last_test_accuracy_are_kept_and_rolled_back_by_a_resume():
    state = folded(STARTED, evaluated(500, 60), evaluated(1000, 75), evaluated(1500, 70))
    assert (state.snapshot().best_accuracy, state.snapshot().last_accuracy) == (0.75, 0.7)
    state.apply(Resumed(step=700, epoch=1, batch=700, train_seconds=1.0))
    assert (state.snapshot().best_accuracy, state.snapshot().last_accuracy) == (0.6, 0.6)
    assert state.snapshot().evaluated is None


def test_the_best_test_accuracy_is_that_of_the_first_epoch_that_reached_it():
    first, second, third = (STARTED.steps_per_epoch * epoch for epoch in (1, 2, 3))
    state = folded(STARTED, evaluated(first, 60), evaluated(second, 75), evaluated(third, 75))
    assert state.snapshot().best_epoch == 2
    state.apply(Resumed(step=first + 1, epoch=2, batch=1, train_seconds=1.0))
    assert state.snapshot().best_epoch == 1
    assert folded(STARTED).snapshot().best_epoch is None


def test_the_curves_have_rate_and_time_and_a_resume_cuts_them_all():
    state = folded(STARTED, *(point(step, learning_rate=step / 1000) for step in (50, 100, 150)))
    curves = state.curves()
    assert curves.learning_rate == ((50, 0.05), (100, 0.1), (150, 0.15))
    assert curves.train_seconds == ((50, 0.5), (100, 1.0), (150, 1.5))
    assert curves.steps_per_epoch == STARTED.steps_per_epoch
    state.apply(Resumed(step=100, epoch=1, batch=100, train_seconds=1.0))
    curves = state.curves()
    assert {series[-1][0] for series in (curves.loss, curves.learning_rate, curves.train_seconds)} == {100}


def test_the_curves_of_a_long_run_have_its_latest_rate_and_time():
    started = replace(STARTED, total_steps=1_000_000)
    curves = folded(started, *(point(step) for step in range(1, 2001))).curves()
    assert len(curves.loss) == 2000
    assert 2 < len(curves.train_seconds) < 10
    assert curves.train_seconds[-1] == (2000, 20.0)
    assert curves.learning_rate[-1] == (2000, 0.1)


@pytest.mark.parametrize(
    ("events", "status"),
    [
        ([finished(completed=True), PhaseChanged(phase=Phase.DONE)], "done"),
        ([finished(completed=False), PhaseChanged(phase=Phase.DONE)], "stopped"),
        ([PhaseChanged(phase=Phase.DONE, message="stopped")], "stopped"),
        ([PhaseChanged(phase=Phase.DONE, message="evaluated x.pth")], "done"),
        ([PhaseChanged(phase=Phase.PAUSED)], "paused"),
    ],
)
def test_a_stopped_run_is_not_called_done(events, status):
    assert folded(*events).snapshot().status == status


def test_figures_without_any_image_harm_nothing():
    snapshot = folded(STARTED, evaluated(1, 0, total=0), point(50, steps=0)).snapshot()
    assert (snapshot.best_accuracy, snapshot.images_per_second) == (None, None)


def test_the_end_has_the_exact_step_and_time():
    last = finished(completed=False, epoch=2, step=1008, train_seconds=1.5)
    latest = point(1000, train_seconds=1.0)  # of the epoch before
    snapshot = folded(STARTED, latest, last, RunEnded(exit_code=0)).snapshot()
    assert (snapshot.step, snapshot.epoch, snapshot.batch, snapshot.train_seconds) == (1008, 2, 8, 1.5)
    assert snapshot.seconds_left is None
    assert snapshot.ended is not None


@pytest.mark.parametrize(
    ("event", "text", "kind"),
    [
        (LossWindow(epoch=1, batch=2000, step=2000, loss=2.21), "[1,  2000] loss: 2.210", "printed"),
        (Message(text="Finished Training", printed=True), "Finished Training", "printed"),
        (Message(text="a word"), "a word", "message"),
        (Alert(text="careful"), "careful", "alert"),
        (RunEnded(exit_code=4, error="it broke"), "it broke", "error"),
        (
            CheckpointSaved(path="x/last.pt", step=1, reason="requested"),
            "saved x/last.pt (requested)",
            "message",
        ),
        (
            EpochFinished(epoch=2, step=9, loss=1.5, accuracy=0.4567, train_seconds=3.25),
            "epoch 2: mean loss 1.500, mean training accuracy 45.7 %, 3.2 s of training so far",
            "message",
        ),
        (evaluated(1500, 42), "test accuracy at step 1,500: 42.00 %", "message"),
        (
            Validated(epoch=2, step=9, correct=1, total=4, loss=1.5, best=True),
            "epoch 2: validation accuracy 25.00 %, loss 1.500 (best so far)",
            "message",
        ),
        (
            DataLoaded(title="X", synthetic=False, class_names=("a", "b"), train_images=5000, test_images=9),
            "loaded X: 5,000 training images, 9 test images, 2 classes",
            "message",
        ),
        (
            Resumed(step=1500, epoch=1, batch=1500, train_seconds=1.0),
            "resumed from step 1,500",
            "message",
        ),
    ],
)
def test_what_stands_in_the_log(event, text, kind):
    line = log_line(event)
    assert (line.text, line.kind, line.time) == (text, kind, event.time)


def test_events_without_a_line():
    assert log_line(RunEnded(exit_code=0)) is None
    assert log_line(PhaseChanged(phase=Phase.DONE)) is None


def test_the_log_is_read_from_where_the_reader_stopped():
    state = folded(*(Message(text=str(k)) for k in range(5)))
    assert [line.text for line in state.log_since(3)] == ["3", "4"]
    assert state.log_since(5) == []
    assert len(state.log_since(0)) == 5


def test_lines_that_a_resume_takes_out_do_not_move_the_reader():
    state = RunState()
    for step in (2, 4):
        state.apply(LossWindow(epoch=1, batch=step, loss=1.0, step=step), earlier=True)
    read = state.snapshot().log_end
    state.apply(Resumed(step=2, epoch=1, batch=2, train_seconds=1.0))
    (resumed,) = state.log_since(read)
    state.apply(LossWindow(epoch=1, batch=4, loss=0.5, step=4))
    (again,) = state.log_since(resumed.number + 1)
    assert "resumed" in resumed.text
    assert again.text.endswith("loss: 0.500")
    assert [(line.number, line.earlier) for line in state.log_since(0)] == [(0, True), (2, False), (3, False)]


def test_the_log_in_memory_is_bounded_and_keeps_the_latest():
    state = folded(*(Message(text=str(k)) for k in range(LOG_LINES + 10)))
    lines = state.log_since(0)
    assert len(lines) == LOG_LINES
    assert lines[-1].text == str(LOG_LINES + 9)
    assert state.snapshot().log_end == LOG_LINES + 10


def test_a_run_that_was_stopped_is_not_one_that_is_done():
    done = PhaseChanged(phase=Phase.DONE)
    early = finished(completed=False, step=500)
    assert stopped_early(folded(STARTED, early, done).snapshot()) == "stopped at step 500 of 2,000"
    assert stopped_early(folded(STARTED, finished(step=2000), done).snapshot()) == ""
    assert stopped_early(folded(STARTED, early).snapshot()) == "", "it still saves"
    cancelled = folded(replace(done, message="stopped"))
    assert stopped_early(cancelled.snapshot()) == "stopped", "while it loaded"
    evaluated_file = folded(replace(done, message="evaluated net.pth"))
    assert stopped_early(evaluated_file.snapshot()) == ""


def test_a_run_that_stopped_early_is_done_and_says_why():
    why = "stopped early after epoch 1: no better validation accuracy for 1 epoch"
    snapshot = folded(
        STARTED, finished(step=500, early_stop=why), PhaseChanged(phase=Phase.DONE, message=why)
    ).snapshot()
    assert (snapshot.status, snapshot.closing_message, stopped_early(snapshot)) == ("done", why, "")
    assert folded(STARTED, finished(step=2000)).snapshot().closing_message == ""


def test_steps_without_a_chart_point_move_the_counters_and_not_the_curves():
    done = StepsDone(step=60, epoch=1, batch=60, train_seconds=0.6)
    state = folded(STARTED, point(50, loss=1.0), done)
    snapshot = state.snapshot()
    assert (snapshot.step, snapshot.batch, snapshot.train_seconds) == (60, 60, 0.6)
    assert snapshot.seconds_left == pytest.approx((STARTED.total_steps - 60) * 0.6 / 60)
    assert (snapshot.loss, len(state.curves().loss)) == (1.0, 1)


@pytest.mark.parametrize(
    ("classes", "kept"), [(("a", "b", "c"), True), (("a", "b"), False), (("x", "y", "z"), False)]
)
def test_predictions_and_accuracies_on_other_images_are_forgotten(classes, kept):
    first = DataLoaded(title="d", synthetic=False, class_names=("a", "b", "c"), train_images=9, test_images=2)
    predicted = SamplesPredicted(step=50, predicted=(2, 0), confidences=(0.5, 0.5))
    state = folded(
        first, STARTED, point(50), predicted, evaluated(50, 60), replace(first, class_names=classes)
    )
    snapshot = state.snapshot()
    assert (snapshot.samples is not None) is (snapshot.evaluated is not None) is kept
    assert (snapshot.best_accuracy, snapshot.last_accuracy) == ((0.6, 0.6) if kept else (None, None))
    assert (len(state.curves().test_accuracy), len(snapshot.evaluations)) == ((1, 1) if kept else (0, 0))


def test_the_evaluations_are_kept_by_step_and_those_after_a_resume_are_taken_back():
    state = RunState()
    for step in (10, 20, 20, 30):
        state.apply(evaluated(step, step))
    assert [past.step for past in state.snapshot().evaluations] == [10, 20, 30]
    state.apply(Resumed(step=20, epoch=1, batch=20, train_seconds=1.0))
    assert [past.step for past in state.snapshot().evaluations] == [10, 20]


def test_of_many_evaluations_the_older_ones_are_thinned_out():
    past = ()
    for step in range(1, 2000):
        past = with_evaluation(past, evaluated(step, 1))
    steps = [one.step for one in past]
    assert len(steps) <= MOST_EVALUATIONS
    assert steps == sorted(steps)
    assert steps[-64:] == list(range(1936, 2000))
    assert steps[0] < 200
