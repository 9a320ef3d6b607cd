"""`summary.json`: kept while a run works, read by a list of runs, rebuilt from the event log."""

import dataclasses
import json

import pytest

from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.events import (
    CheckpointSaved,
    ClassAccuracy,
    DataLoaded,
    EpochFinished,
    Evaluated,
    Event,
    LossPoint,
    Message,
    Phase,
    PhaseChanged,
    Resumed,
    RunEnded,
    TrainingFinished,
    TrainingStarted,
)
from cifar_tui.runs import summary as summary_module
from cifar_tui.runs.disk.event_log import EventLog
from cifar_tui.runs.disk.summary import SUMMARY_FILE, RunSummary, SummaryWriter, read_summary, rebuild_summary

CONFIG = TrainConfig(data="synthetic", epochs=3)


def point(step, loss=1.5, **changes):
    values = {"steps": 50, "epoch": 1, "batch": step, "loss_min": 1.0, "loss_max": 2.0, "accuracy": 0.4}
    values |= {"learning_rate": 0.1, "images": 200, "train_seconds": step / 100}
    return LossPoint(step=step, loss=loss, **values | changes)


def evaluated(step, correct):
    classes = (ClassAccuracy(name="a", correct=correct, total=100),)
    return Evaluated(
        step=step, final=False, correct=correct, total=100, loss=1.0, seconds=1.0, per_class=classes
    )


def started(config=CONFIG, *, time=1000.0):
    return TrainingStarted(
        run="run",
        config=dataclasses.asdict(config),
        device="cpu",
        parameters=1,
        steps_per_epoch=100,
        total_steps=100 * config.epochs,
        torch_version="2",
        time=time,
    )


def beginning() -> list[Event]:
    return [
        PhaseChanged(phase=Phase.LOADING),
        DataLoaded(title="shapes", synthetic=True, class_names=("a",), train_images=1, test_images=1),
        started(),
        PhaseChanged(phase=Phase.TRAINING),
        *(point(step, loss=3.0 - step / 100) for step in (50, 100)),
        EpochFinished(epoch=1, step=100, loss=2.5, accuracy=0.3, train_seconds=1.0),
        evaluated(100, 60),
        point(150, loss=1.5, epoch=2),
        evaluated(150, 50),
    ]


def end(*, completed=True) -> list[Event]:
    return [
        TrainingFinished(
            completed=completed, epoch=3, step=300, train_seconds=3.0, images=1200, final_loss=1.0
        ),
        PhaseChanged(phase=Phase.DONE),
        RunEnded(exit_code=0, time=2000.0),
    ]


@pytest.fixture
def work(tmp_path):
    """Lets a process own the run for a while: it logs and sums up `events`, and dies."""

    def work(events, config=CONFIG):
        log = EventLog(tmp_path)
        writer = SummaryWriter(tmp_path, config)
        for event in events:
            log.append(event)
            writer.apply(event)
        log.close()
        return read_summary(tmp_path)

    return work


def test_a_run_that_is_over_is_told_in_a_few_figures(work):
    assert work(beginning() + end()) == RunSummary(
        phase="done",
        preset="tutorial",
        data="synthetic",
        data_title="shapes",
        epochs=3,
        epoch=3,
        step=300,
        total_steps=300,
        loss=1.5,
        best_accuracy=0.6,
        last_accuracy=0.5,
        train_seconds=3.0,
        updated=2000.0,
        started=1000.0,
        completed=True,
    )


def test_a_failure_is_told_and_forgotten_when_training_starts_again(work):
    failed = [PhaseChanged(phase=Phase.FAILED), RunEnded(exit_code=4, error="out of memory")]
    assert work(beginning() + failed).error == "out of memory"
    assert work([started(), PhaseChanged(phase=Phase.TRAINING)]).error == ""


def test_points_are_not_written_one_by_one_but_do_not_wait_for_an_epoch(tmp_path, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(summary_module.time, "monotonic", lambda: clock[0])
    writer = SummaryWriter(tmp_path, CONFIG)
    for event in (started(), PhaseChanged(phase=Phase.TRAINING), point(50), Message(text="a")):
        writer.apply(event)
    assert read_summary(tmp_path).step == 0
    clock[0] += 5
    writer.apply(point(100))
    assert read_summary(tmp_path).step == 100


@pytest.mark.parametrize(
    "event",
    [
        PhaseChanged(phase=Phase.PAUSED),
        EpochFinished(epoch=1, step=50, loss=2.5, accuracy=0.3, train_seconds=1.0),
        evaluated(50, 60),
        CheckpointSaved(path="last.pt", step=50, epoch=1, reason="asked for"),
        *end(),
    ],
    ids=lambda event: type(event).__name__,
)
def test_what_tells_something_is_written_at_once(tmp_path, event):
    writer = SummaryWriter(tmp_path, CONFIG)
    writer.apply(started())
    writer.apply(event)
    assert read_summary(tmp_path).updated == event.time
    assert [path.name for path in tmp_path.iterdir()] == [SUMMARY_FILE]


class LaterEvent(Event):
    """Of a version to come."""


def test_an_event_of_a_later_version_is_passed_over(tmp_path):
    writer = SummaryWriter(tmp_path, CONFIG)
    writer.apply(LaterEvent())
    writer.apply(PhaseChanged(phase=Phase.LOADING))
    assert read_summary(tmp_path).phase == "loading"


def test_a_disk_that_is_full_is_the_callers_and_leaves_the_old_summary(tmp_path, monkeypatch):
    writer = SummaryWriter(tmp_path, CONFIG)
    writer.apply(PhaseChanged(phase=Phase.LOADING))

    def refuse(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(summary_module.os, "replace", refuse)
        with pytest.raises(OSError, match="No space"):
            writer.apply(PhaseChanged(phase=Phase.TRAINING))
    assert read_summary(tmp_path).phase == "loading"
    assert [path.name for path in tmp_path.iterdir()] == [SUMMARY_FILE]
    writer.apply(PhaseChanged(phase=Phase.PAUSED))
    assert read_summary(tmp_path).phase == "paused"


def test_a_resumed_run_goes_on_with_its_figures(work):
    work(beginning())
    resumed = work([started(time=1500.0), Resumed(step=100, epoch=2, batch=0, train_seconds=1.0), *end()])
    assert (resumed.started, resumed.best_accuracy, resumed.loss) == (1000.0, 0.6, 1.5)


def test_what_was_evaluated_after_the_checkpoint_is_superseded_by_a_resume(work):
    work([*beginning(), evaluated(200, 90)])
    resumed = work(
        [
            started(),
            Resumed(step=120, epoch=2, batch=20, train_seconds=1.2),
            PhaseChanged(phase=Phase.TRAINING),
        ]
    )
    assert (resumed.step, resumed.best_accuracy, resumed.last_accuracy) == (120, 0.6, 0.6)


def test_a_run_that_is_resumed_for_more_epochs_is_told_with_them(work):
    work(beginning() + end())
    more = TrainConfig(data="synthetic", epochs=9)
    assert work([PhaseChanged(phase=Phase.LOADING)], more).epochs == 9
    assert work([started(more), PhaseChanged(phase=Phase.TRAINING)], more).completed is False


@pytest.mark.parametrize("events", [beginning(), beginning() + end()], ids=["crashed", "done"])
def test_the_event_log_rebuilds_the_summary(work, tmp_path, events):
    written = work([*events, PhaseChanged(phase=Phase.PAUSED)])
    (tmp_path / SUMMARY_FILE).unlink()
    assert rebuild_summary(tmp_path) == written


def test_the_loss_that_is_rebuilt_is_the_last_one_of_many(work, tmp_path):
    work([*beginning(), *(point(step, loss=step / 1000) for step in range(200, 300))])
    rebuilt = rebuild_summary(tmp_path)
    assert (rebuilt.step, rebuilt.loss) == (299, 0.299)


def test_of_a_huge_log_only_the_ends_are_read(work, tmp_path, monkeypatch):
    monkeypatch.setattr(summary_module, "_PART_OF_LOG", 4096)
    many = [Message(text="x" * 500) for _ in range(40)]
    work([*beginning(), *many, evaluated(200, 99), *many, evaluated(250, 55), *end()])
    rebuilt = rebuild_summary(tmp_path)
    assert (rebuilt.data_title, rebuilt.phase, rebuilt.last_accuracy) == ("shapes", "done", 0.55)
    assert rebuilt.best_accuracy == 0.6, "what stands in the middle is missed"


def test_a_loss_that_is_not_finite_is_none(work, tmp_path):
    told = work([*beginning(), point(200, loss=float("nan")), PhaseChanged(phase=Phase.PAUSED)])
    assert told.loss is None
    assert rebuild_summary(tmp_path) == told


def test_a_torn_log_is_rebuilt_up_to_the_tear(work, tmp_path):
    work(beginning() + end())
    path = tmp_path / "events.jsonl"
    path.write_bytes(path.read_bytes()[:-20])
    assert rebuild_summary(tmp_path).phase == "done"
    assert rebuild_summary(tmp_path).updated != 2000.0, "the last line is torn"


SOUND = json.dumps(dataclasses.asdict(RunSummary()))


@pytest.mark.parametrize(
    "content",
    [
        "",
        "null",
        "[]",
        "a picture",
        SOUND[: len(SOUND) // 2],
        '{"schema": 1}',
        SOUND.replace('"schema": 1', '"schema": 0'),
        SOUND.replace('"schema": 1', '"schema": true'),
        SOUND.replace('"idle"', '"asleep"'),
        SOUND.replace('"step": 0', '"step": "0"'),
        SOUND.replace('"step": 0', '"step": true'),
        SOUND.replace('"step": 0', '"step": -1'),
        SOUND.replace('"loss": null', '"loss": NaN'),
        SOUND.replace('"loss": null', '"loss": 1e999'),
        SOUND.replace('"train_seconds": 0.0', '"train_seconds": 1' + 400 * "0"),
        SOUND.replace('"error": ""', '"error": null'),
        "[" * 100_000,
        '{"schema": 1, "error": "' + 100_000 * "x" + '"}',
    ],
)
def test_what_is_no_summary_of_this_version_is_none(tmp_path, content):
    (tmp_path / SUMMARY_FILE).write_text(content)
    assert read_summary(tmp_path) is None


def test_a_sound_summary_is_read_whatever_else_stands_in_it(tmp_path):
    (tmp_path / SUMMARY_FILE).write_text(json.dumps({"later": 1} | json.loads(SOUND)))
    assert read_summary(tmp_path) == RunSummary()


def test_a_missing_summary_or_a_folder_in_its_place_is_none(tmp_path):
    assert read_summary(tmp_path) is None
    (tmp_path / SUMMARY_FILE).mkdir()
    assert read_summary(tmp_path) is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b'{"schema": 1}\n',
        b'{"schema": 0}\n{"event":"RunEnded","time":1.0,"exit_code":0,"error":""}\n',
        b'{"event":"RunEnded","time":1.0,"exit_code":0,"error":""}\n',
        b"\xff\xfe\x00 a picture\n" * 50,
        b'{"schema": 1}\n{"event":"RunEnded"}\n{"event":"Never"}\n[1]\n{"event":[]}\n"event"\n7\n',
        (
            b'{"schema": 1}\n{"event":"TrainingFinished","time":"x","completed":1,"epoch":"y","step":0,'
            b'"train_seconds":1.0,"images":1,"final_loss":1.0}\n'
        ),
        b'{"schema": 1}\n' + b"[" * 100_000,
    ],
)
def test_a_log_that_tells_nothing_is_none_and_no_harm_to_a_writer(tmp_path, content):
    (tmp_path / "events.jsonl").write_bytes(content)
    assert rebuild_summary(tmp_path) is None
    writer = SummaryWriter(tmp_path, CONFIG)
    writer.apply(Resumed(step=1, epoch=1, batch=1, train_seconds=1.0))
    writer.apply(PhaseChanged(phase=Phase.TRAINING))
    assert read_summary(tmp_path).step == 1


def test_damaged_lines_are_passed_over(work, tmp_path):
    written = work(beginning() + end())
    path = tmp_path / "events.jsonl"
    lines = path.read_text().splitlines()
    lines[3:3] = ["{torn", '{"event":"Evaluated","time":1.0}', lines[8].replace("100", "null"), "[]"]
    path.write_text("\n".join(lines) + "\n")
    assert rebuild_summary(tmp_path) == written
