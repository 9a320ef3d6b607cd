"""`AttachedRun`: what it shows of a log, and what happened while nobody watched."""

import json
import os
import shutil
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from cifar_tui.engine.errors import ConfigError
from cifar_tui.engine.events import (
    LossWindow,
    Message,
    Phase,
    PhaseChanged,
    Resumed,
    RunEnded,
    TrainingFinished,
    event_to_dict,
)
from cifar_tui.runs.attached import AttachedRun
from cifar_tui.runs.disk.run_lock import RunLock
from cifar_tui.runs.recap import mark_seen
from tests.runs.control.helpers import log, texts, wait_until
from tests.runs.made_events import STARTED, at, epoch_finished, evaluated, point


def die(folder):
    """Leave a lock as a killed process does."""
    process = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True)
    (folder / "lock").write_text(json.dumps({"pid": int(process.stdout), "host": os.uname().nodename}))


# A run that has ended


def test_a_finished_run_looks_as_it_did_in_its_own_process(attach, finished_run):
    run = attach(finished_run.folder)
    uncounted = {"version": 0, "curves_version": 0}
    assert replace(run.snapshot(), **uncounted) == replace(finished_run.snapshot(), **uncounted)
    assert run.snapshot().phase is Phase.DONE
    assert run.curves() == finished_run.curves()
    assert run.curves().loss
    assert run.log_since(0) == finished_run.log_since(0)
    assert run.config == finished_run.config
    assert not run.live


def test_a_failed_run_is_failed_and_not_crashed(attach, folder):
    log(folder, PhaseChanged(phase=Phase.FAILED, message="no room"), RunEnded(exit_code=4, error="no room"))
    snapshot = attach(folder).snapshot()
    assert (snapshot.phase, snapshot.message) == (Phase.FAILED, "no room")


def test_a_run_whose_process_died_is_crashed_and_says_where(attach, folder):
    log(folder, STARTED, PhaseChanged(phase=Phase.TRAINING), point(1250))
    die(folder)
    run = attach(folder)
    snapshot = run.snapshot()
    assert snapshot.phase is Phase.CRASHED
    assert "died after step 1,250" in snapshot.message
    assert "resume" not in snapshot.message, "there is no checkpoint"
    (folder / "last.pt").touch()
    assert "the run can be resumed" in run.snapshot().message
    assert not run.can_evaluate_saved
    assert snapshot.seconds_left is None
    assert not run.live
    assert run.ownership == ""


def test_a_run_that_another_process_resumes_is_never_called_crashed(attach, folder):
    log(folder, STARTED, point(50), PhaseChanged(phase=Phase.DONE))
    run = attach(folder)
    lock = RunLock(folder)
    lock.acquire()
    log(folder, PhaseChanged(phase=Phase.LOADING))
    phases = set()

    def loading_and_live():
        phases.add(run.snapshot().phase)
        return Phase.LOADING in phases and run.live

    wait_until(loading_and_live)
    assert phases <= {Phase.DONE, Phase.LOADING}
    wait_until(lambda: "another process has taken over this run" in texts(run))
    lock.release()


def test_what_another_process_logs_before_it_is_noticed_is_shown_once_and_in_order(
    attach, folder, monkeypatch
):
    monkeypatch.setattr("cifar_tui.runs.attached._OWNER_SECONDS", 60.0)
    log(folder, PhaseChanged(phase=Phase.DONE))
    run = attach(folder)
    lock = RunLock(folder)
    lock.acquire()
    lines = [json.dumps(event_to_dict(Message(text=text))) + "\n" for text in "abc"]
    with (folder / "events.jsonl").open("a") as file:
        file.write("".join(lines))
    wait_until(lambda: {"a", "b", "c"} <= set(texts(run)), seconds=5)
    assert texts(run) == ["another process has taken over this run", "a", "b", "c"]
    lock.release()


def test_a_run_with_an_empty_log_shows_nothing(attach, folder):
    (folder / "events.jsonl").write_bytes(b"")
    run = attach(folder)
    assert run.log_since(0) == []
    assert run.curves().loss == ()
    assert run.sample_batch(0) is None
    assert run.recap == []


@pytest.mark.parametrize("missing", ["everything", "events.jsonl", "config.toml"])
def test_a_folder_that_is_no_run_is_refused_in_a_sentence(folder, missing):
    path = folder / "none" if missing == "everything" else folder
    if path is folder:
        (folder / missing).unlink()
    with pytest.raises(ConfigError) as refused:
        AttachedRun(path)
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("put", [lambda path: path.symlink_to("theirs"), os.mkfifo, Path.mkdir])
def test_a_log_that_is_no_file_of_the_run_is_refused_in_a_sentence(folder, put):
    (folder / "events.jsonl").rename(folder / "theirs")
    put(folder / "events.jsonl")
    with pytest.raises(ConfigError, match=r"\(events\.jsonl is missing or no regular file\)"):
        AttachedRun(folder)


def test_settings_that_cannot_be_read_are_refused_in_a_sentence(folder):
    (folder / "config.toml").write_text("epochs = ")
    with pytest.raises(ConfigError, match=r"config\.toml' is not a TOML file"):
        AttachedRun(folder)


DAMAGED = [
    b"a picture",
    b'{"event":"LossPoint"}',
    b"[" * 100_000,
    json.dumps(
        {"event": "LossPoint", "time": 1.0, "step": "many", "steps": 1, "epoch": 1, "batch": 1, "loss": 1.0}
        | {"accuracy": 1.0, "learning_rate": 1.0, "images": 1}
        | {"train_seconds": "a while"}
    ).encode(),
    json.dumps(event_to_dict(point(1)) | {"step": 10**400}).encode(),
    b'{"event":"Evaluated","step":1,"final":true,"correct":0,"total":0,"loss":1,"per_class":[]}',
]


@pytest.mark.parametrize("damaged", DAMAGED, ids=lambda content: repr(content[:32]))
def test_a_damaged_line_does_not_hide_the_rest(attach, folder, damaged):
    log(folder, Message(text="before"))
    with (folder / "events.jsonl").open("ab") as file:
        file.write(damaged + b"\n")
    log(folder, Message(text="after"), PhaseChanged(phase=Phase.DONE))
    run = attach(folder)
    assert texts(run) == ["before", "after"]


def test_a_log_that_vanishes_is_reported_once(attach, folder):
    log(folder, PhaseChanged(phase=Phase.DONE))
    run = attach(folder)
    (folder / "events.jsonl").unlink()
    wait_until(lambda: texts(run, "alert"))
    assert texts(run, "alert") == [
        f"cannot read the event log in '{folder}': No such file or directory; make the folder readable"
    ]


def test_a_log_that_is_missing_while_the_run_is_live_is_tried_again(attach, folder):
    lock = RunLock(folder)
    lock.acquire()
    log(folder, Message(text="before"))
    run = attach(folder)
    assert run.live
    removed = (folder / "events.jsonl").rename(folder / "removed")
    run._read()
    removed.rename(folder / "events.jsonl")  # its process writes all of it again
    log(folder, Message(text="after"))
    wait_until(lambda: texts(run) == ["before", "after"], seconds=10)
    lock.release()


def test_attaching_imports_no_torch():
    code = "import sys, cifar_tui.runs.attached; print({'torch', 'textual', 'numpy'} & set(sys.modules))"
    root = Path(__file__).resolve().parents[2]
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=root, check=True
    )
    assert result.stdout.strip() == "set()"


# Steps that are trained again


AGAIN = [
    STARTED,
    *(point(step, loss=1.0) for step in (50, 100)),
    epoch_finished(1),
    *(point(step, loss=1.0) for step in (150, 200)),
    LossWindow(epoch=2, batch=100, step=200, loss=1.0),
    evaluated(200, 50),
    epoch_finished(2),
]
RESUMED = [
    STARTED,
    Resumed(step=100, epoch=1, batch=100, train_seconds=1.0),
    point(150, loss=3.0),
]


def assert_one_curve(run):
    assert run.curves().loss == ((50, 1.0), (100, 1.0), (150, 3.0))
    assert run.curves().test_accuracy == ()
    lines = texts(run)
    assert sum(text.startswith("epoch 1:") for text in lines) == 1
    assert not any(text.startswith(("epoch 2:", "[2,", "test accuracy")) for text in lines)
    assert lines[-1] == "resumed from step 100"
    assert (run.snapshot().step, run.snapshot().evaluated) == (150, None)


def test_what_a_resumed_run_trains_again_is_shown_once(attach, folder):
    log(folder, *AGAIN)
    log(folder, *RESUMED)
    assert_one_curve(attach(folder))


def test_what_is_trained_again_while_somebody_watches_is_shown_once(attach, folder):
    log(folder, *AGAIN)
    run = attach(folder)
    before = run.snapshot()
    assert len(run.curves().loss) == 4
    log(folder, *RESUMED)
    wait_until(lambda: run.snapshot().step == 150)
    assert_one_curve(run)
    assert run.snapshot().log_retracted > before.log_retracted
    assert run.snapshot().log_end == len(run.log_since(0)) + run.snapshot().log_retracted


# Coming and going


def test_a_closed_run_is_followed_no_longer_and_continues(attach, folder):
    lock = RunLock(folder)
    lock.acquire()
    log(folder, PhaseChanged(phase=Phase.TRAINING))
    wait_until(lambda: not followers())
    run = attach(folder)
    assert len(followers()) == 1
    run.close()
    wait_until(lambda: not followers())
    other = attach(folder)
    log(folder, Message(text="a"))
    wait_until(lambda: texts(other) == ["a"])
    assert texts(run) == []
    assert other.live
    lock.release()


def followers():
    return [thread for thread in threading.enumerate() if thread.name == "cifar-tui-follow"]


def test_the_recap_tells_what_happened_since_the_run_was_last_viewed(attach, folder):
    log(folder, at(1, STARTED), at(10, point(100)), at(10, PhaseChanged(phase=Phase.TRAINING)))
    mark_seen(folder)
    os.utime(folder / "seen", (20, 20))
    log(
        folder,
        at(30, point(300)),
        at(
            31,
            TrainingFinished(
                completed=True, epoch=3, step=300, train_seconds=3.0, images=1200, final_loss=2.0
            ),
        ),
        at(32, PhaseChanged(phase=Phase.DONE)),
        at(33, RunEnded(exit_code=0)),
    )
    since, *rest = attach(folder).recap
    assert since.startswith("Last viewed ")
    assert rest == ["Trained 200 steps · loss 2.000 → 2.000", "Status: done"]


def test_the_recap_of_a_run_whose_process_died_says_so(attach, folder):
    log(folder, at(1, STARTED), at(1, PhaseChanged(phase=Phase.TRAINING)), at(10, point(100)))
    die(folder)
    assert attach(folder).recap[-1].startswith("Status: crashed (the process died after step 100")


def test_a_run_is_followed_where_its_folder_is_moved(attach, folder):
    run = attach(folder)
    moved = folder.rename(folder.with_name("mine"))
    log(moved, Message(text="later"))
    wait_until(lambda: "later" in texts(run))
    assert run.folder == moved


def test_a_run_whose_folder_is_removed_says_so_once_and_is_followed_when_it_is_made_again(attach, folder):
    run = attach(folder)
    shutil.rmtree(folder)
    wait_until(lambda: texts(run, "alert"))
    folder.mkdir()
    log(folder, Message(text="again"))
    wait_until(lambda: "again" in texts(run))
    assert texts(run, "alert") == [f"the run's folder '{folder}' was removed"]
