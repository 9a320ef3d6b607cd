"""`summary.json`: a projection of the run's state, rebuilt from the event log if missing or damaged."""

import dataclasses
import json

import pytest

from cifar_tui.engine.events import (
    DataLoaded,
    Event,
    Phase,
    PhaseChanged,
    Resumed,
    RunEnded,
    Validated,
)
from cifar_tui.engine.layout import EVENTS_FILE, SUMMARY_FILE
from cifar_tui.runs.disk.summary import RunSummary, read_summary, summarize, write_summary
from tests.runs.made_events import STARTED, at, epoch_finished, evaluated, finished, folded, point, record


def beginning() -> list[Event]:
    return [
        PhaseChanged(phase=Phase.LOADING),
        DataLoaded(title="shapes", synthetic=True, class_names=("a",), train_images=1, test_images=1),
        at(1000, STARTED),
        PhaseChanged(phase=Phase.TRAINING),
        *(point(step, loss=3.0 - step / 100) for step in (50, 100)),
        epoch_finished(1),
        evaluated(100, 60),
        point(150, loss=1.5, epoch=2),
        evaluated(150, 50),
    ]


def end() -> list[Event]:
    return [finished(), PhaseChanged(phase=Phase.DONE), at(2000, RunEnded(exit_code=0))]


def resumed(step) -> list[Event]:
    return [at(1500, STARTED), Resumed(step=step, epoch=2, batch=step - 100, train_seconds=step / 100)]


def summary_of(*events):
    return summarize(folded(*events).snapshot())


def test_a_finished_run_in_a_few_figures():
    assert summary_of(*beginning(), *end()) == RunSummary(
        phase=Phase.DONE,
        data_title="shapes",
        epoch=3,
        step=300,
        total_steps=300,
        loss=pytest.approx(1.5, abs=0.01),  # smoothed
        best_accuracy=0.6,
        last_accuracy=0.5,
        train_seconds=3.0,
        updated=2000.0,
        started=1000.0,
        completed=True,
    )


def test_a_run_of_which_nothing_is_known():
    assert summary_of() == RunSummary()


def test_an_error_lasts_until_training_starts_again():
    failed = [*beginning(), PhaseChanged(phase=Phase.FAILED), RunEnded(exit_code=4, error="out of memory")]
    assert summary_of(*failed).error == "out of memory"
    assert summary_of(*failed, *resumed(100)).error == ""


def test_a_resumed_run_keeps_its_start_and_its_best_accuracy():
    summary = summary_of(*beginning(), *resumed(100), *end())
    assert (summary.started, summary.best_accuracy) == (1000.0, 0.6)
    assert summary.loss == pytest.approx(1.5, abs=0.01)


def test_a_resume_drops_the_evaluations_after_its_checkpoint():
    summary = summary_of(*beginning(), evaluated(200, 90), *resumed(120))
    assert (summary.step, summary.best_accuracy, summary.last_accuracy) == (120, 0.6, 0.6)


def test_a_finished_run_that_trains_on_is_not_completed():
    assert not summary_of(*beginning(), *end(), *resumed(300)).completed


def test_a_loss_that_is_not_finite_is_unknown():
    assert summary_of(STARTED, point(50, loss=float("nan"))).loss is None


def test_a_summary_is_read_as_it_was_written(tmp_path):
    for events in ([], beginning(), beginning() + end()):
        summary = summary_of(*events)
        write_summary(tmp_path, summary)
        assert read_summary(tmp_path) == summary
    assert [path.name for path in tmp_path.iterdir()] == [SUMMARY_FILE]


@pytest.mark.parametrize("events", [beginning(), beginning() + end()], ids=["crashed", "done"])
def test_a_missing_summary_is_rebuilt_from_the_event_log(tmp_path, events):
    record(tmp_path, *events)
    written = read_summary(tmp_path)
    (tmp_path / SUMMARY_FILE).unlink()
    assert read_summary(tmp_path) == written == summary_of(*events)


def test_the_whole_log_counts_in_a_rebuild(tmp_path):
    many = [point(step, loss=step / 1000) for step in range(200, 2000)]
    record(tmp_path, *beginning(), *many[:900], evaluated(1100, 99), *many[900:], evaluated(2000, 55))
    (tmp_path / SUMMARY_FILE).unlink()
    summary = read_summary(tmp_path)
    assert (summary.data_title, summary.step) == ("shapes", 1999)
    assert summary.loss == pytest.approx(1.9, abs=0.01), "smoothed over the last twentieth of the steps"
    assert (summary.best_accuracy, summary.last_accuracy) == (0.99, 0.55)


def test_a_torn_log_counts_up_to_the_tear(tmp_path):
    record(tmp_path, *beginning(), *end())
    (tmp_path / SUMMARY_FILE).unlink()
    path = tmp_path / EVENTS_FILE
    path.write_bytes(path.read_bytes()[:-20])
    summary = read_summary(tmp_path)
    assert summary.phase is Phase.DONE
    assert summary.updated != 2000.0, "the last line is torn"


SOUND = json.dumps(dataclasses.asdict(RunSummary()))


@pytest.mark.parametrize(
    "content",
    [
        "",
        "null",
        "[]",
        "a picture",
        SOUND[: len(SOUND) // 2],
        '{"phase": "done"}',
        json.dumps({"later": 1} | json.loads(SOUND)),
        SOUND.replace('"idle"', '"asleep"'),
        SOUND.replace('"step": 0', '"step": "0"'),
        SOUND.replace('"step": 0', '"step": true'),
        SOUND.replace('"train_seconds": 0.0', '"train_seconds": 1' + 400 * "0"),
        SOUND.replace('"train_seconds": 0.0', '"train_seconds": Infinity'),
        SOUND.replace('"train_seconds": 0.0', '"train_seconds": null'),
        SOUND.replace('"updated": 0.0', '"updated": NaN'),
        SOUND.replace('"started": null', '"started": -1.0'),
        SOUND.replace('"best_accuracy": null', '"best_accuracy": 1e400'),
        SOUND.replace('"step": 0', '"step": -1'),
        SOUND.replace('"error": ""', '"error": null'),
        "[" * 100_000,
    ],
    ids=lambda content: repr(content[:40]),
)
def test_a_damaged_summary_is_rebuilt(tmp_path, content):
    (tmp_path / SUMMARY_FILE).write_text(content)
    assert read_summary(tmp_path) is None
    (tmp_path / SUMMARY_FILE).unlink()
    events = beginning()
    record(tmp_path, *events)
    (tmp_path / SUMMARY_FILE).write_text(content)
    assert read_summary(tmp_path) == summary_of(*events)


def test_a_folder_in_place_of_the_summary_is_none(tmp_path):
    (tmp_path / SUMMARY_FILE).mkdir()
    assert read_summary(tmp_path) is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b'{"schema": 1}\n',
        b"\xff\xfe\x00 a picture\n" * 50,
        b'{"schema": 1}\n{"event":"RunEnded"}\n{"event":"Never"}\n[1]\n{"event":[]}\n"event"\n7\n',
        (
            b'{"schema": 1}\n{"event":"TrainingFinished","time":"x","completed":1,"epoch":"y","step":0,'
            b'"train_seconds":1.0,"images":1,"final_loss":1.0}\n'
        ),
        b'{"schema": 1}\n' + b"[" * 100_000,
    ],
    ids=lambda content: repr(content[:40]),
)
def test_without_a_summary_and_with_no_sound_event_it_is_none(tmp_path, content):
    (tmp_path / EVENTS_FILE).write_bytes(content)
    assert read_summary(tmp_path) is None


def test_an_event_without_sound_figures_is_not_in_a_rebuilt_summary(tmp_path):
    record(tmp_path, *beginning(), Resumed(step=-1, epoch=1, batch=0, train_seconds=0.0))
    (tmp_path / SUMMARY_FILE).unlink()
    rebuilt = read_summary(tmp_path)
    record(tmp_path, *beginning())
    assert rebuilt is not None
    assert rebuilt.step >= 0


def test_damaged_lines_are_skipped_in_a_rebuild(tmp_path):
    record(tmp_path, *beginning(), *end())
    written = read_summary(tmp_path)
    (tmp_path / SUMMARY_FILE).unlink()
    path = tmp_path / EVENTS_FILE
    lines = path.read_text().splitlines()
    lines[3:3] = ["{torn", '{"event":"Evaluated","time":1.0}', lines[8].replace("100", "null"), "[]"]
    path.write_text("\n".join(lines) + "\n")
    assert read_summary(tmp_path) == written


def validated(epoch, correct):
    return Validated(epoch=epoch, step=100 * epoch, correct=correct, total=100, loss=1.0, best=True)


def test_the_validation_accuracy_is_that_of_the_latest_epoch_which_is_not_trained_again():
    events = [*beginning(), validated(1, 60), validated(2, 50)]
    assert summary_of(*beginning()).val_accuracy is None
    assert summary_of(*events).val_accuracy == 0.5
    assert summary_of(*events, *resumed(150)).val_accuracy is None
    assert summary_of(*events, *resumed(200)).val_accuracy == 0.5


def test_the_summary_of_a_version_without_validation_accuracy_is_read(tmp_path):
    summary = summary_of(*beginning(), validated(1, 60))
    write_summary(tmp_path, summary)
    assert read_summary(tmp_path) == summary
    values = json.loads((tmp_path / SUMMARY_FILE).read_text())
    del values["val_accuracy"]
    (tmp_path / SUMMARY_FILE).write_text(json.dumps(values))
    assert read_summary(tmp_path) == dataclasses.replace(summary, val_accuracy=None)
