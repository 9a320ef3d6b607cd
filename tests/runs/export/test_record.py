"""What an export reads of a run: the steps that count, once."""

import math
from dataclasses import replace

import pytest

from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.errors import ConfigError
from cifar_tui.engine.events import DataLoaded, Resumed, Validated
from cifar_tui.runs.disk.event_log import EventLog
from cifar_tui.runs.disk.store import write_config
from cifar_tui.runs.export.record import read_record
from tests.runs.export.made_runs import made_run
from tests.runs.made_events import STARTED, epoch_finished, evaluated, point, record


def validated(epoch):
    return Validated(epoch=epoch, step=100 * epoch, correct=1, total=4, loss=1.0, best=True)


def steps(events):
    return [event.step for event in events]


@pytest.fixture
def folder(tmp_path):
    write_config(tmp_path, TrainConfig(epochs=3))
    return tmp_path


def test_steps_that_a_resume_trains_again_are_not_repeated(folder):
    before = [STARTED, point(50), point(100), epoch_finished(1), validated(1), evaluated(100, 40)]
    before += [point(150), point(200), epoch_finished(2), validated(2), evaluated(200, 45)]
    again = [STARTED, Resumed(step=100, epoch=1, batch=100, train_seconds=1.0)]
    again += [point(150, loss=7.0), epoch_finished(2, loss=7.0), validated(2), evaluated(200, 77)]
    record(folder, *before, *again)

    made = read_record(folder)

    assert steps(made.points) == [50, 100, 150]
    assert made.points[-1].loss == 7.0
    assert steps(made.epochs) == steps(made.validations) == steps(made.evaluations) == [100, 200]
    assert (made.epochs[-1].loss, made.evaluations[-1].correct) == (7.0, 77)


def test_evaluations_on_test_images_that_a_resume_has_exchanged_do_not_count(folder):
    data = DataLoaded(title="x", synthetic=False, class_names=("a",), train_images=9, test_images=100)
    record(folder, data, STARTED, point(50), evaluated(100, 40))
    record(folder, data, STARTED, Resumed(step=100, epoch=1, batch=100, train_seconds=1.0), point(150))
    assert steps(read_record(folder).evaluations) == [100]
    record(folder, replace(data, test_images=200), STARTED, evaluated(200, 50))
    made = read_record(folder)
    assert (steps(made.points), steps(made.evaluations)) == ([50, 150], [200])


def test_what_a_run_had_before_a_resume_is_the_beginning_of_what_it_has_after_it(folder):
    record(folder, STARTED, point(50), point(100), evaluated(100, 40))
    before = read_record(folder)
    record(folder, Resumed(step=100, epoch=1, batch=100, train_seconds=1.0), point(150), evaluated(200, 50))
    after = read_record(folder)
    assert list(after.points[:2]) == list(before.points)
    assert list(after.evaluations[:1]) == list(before.evaluations)
    assert (steps(after.points), steps(after.evaluations)) == ([50, 100, 150], [100, 200])


def test_points_that_are_not_finite_are_kept_and_counted(folder):
    record(folder, STARTED, point(50), point(100, loss=math.nan), point(150, loss=math.inf))
    made = read_record(folder)
    assert steps(made.points) == [50, 100, 150]
    assert made.not_finite == 2


def test_points_of_a_log_that_somebody_has_changed_are_in_order(folder):
    record(folder, STARTED, point(50), point(100), point(100, loss=7.0), point(60), point(150))
    made = read_record(folder)
    assert [(event.step, event.loss) for event in made.points] == [(50, 2.0), (100, 2.0), (150, 2.0)]


def test_a_run_of_which_nothing_is_logged_yet_is_empty(folder):
    EventLog(folder).close()
    made = read_record(folder)
    assert (made.points, made.evaluations, made.data, made.results) == ([], [], None, None)
    assert made.steps_per_epoch == 0


def test_a_run_without_an_event_log_is_an_error_in_a_sentence(folder):
    with pytest.raises(ConfigError, match=rf"cannot read the event log of run '{folder.name}': No such file"):
        read_record(folder)


def test_a_finished_run_has_its_predictions_and_the_evaluation_that_made_them(tmp_path):
    made = read_record(made_run(tmp_path / "run", name="mine"))
    assert made.label == "mine"
    assert made.evaluated is made.evaluations[-1]
    assert made.results.confusion.sum() == made.evaluated.total
    assert made.results.confusion.diagonal().sum() == made.evaluated.correct
    assert [event.step for event in made.results.history] == [50, 100]
    assert replace(made.run, folder=None).title == "mine"
