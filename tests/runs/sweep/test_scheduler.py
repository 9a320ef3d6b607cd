"""The scheduler of a sweep: what it takes over, whom it judges, and what it notes."""

import json
import os
import resource
import shutil
import signal

import pytest

from cifar_tui.engine.errors import ConfigError
from cifar_tui.engine.events import Phase, PhaseChanged, RunEnded, Validated
from cifar_tui.engine.layout import EVENTS_FILE, LOCK_FILE
from cifar_tui.runs.disk.event_log import EventLog
from cifar_tui.runs.disk.membership import Membership
from cifar_tui.runs.disk.run_lock import RunLock
from cifar_tui.runs.disk.store import create_run_folder
from cifar_tui.runs.sweep.scheduler import SweepScheduler, stop_sweep
from cifar_tui.runs.sweep.store import (
    Outcome,
    create_sweep,
    output_file,
    read_outcomes,
    sweeps_folder,
    write_outcomes,
)
from tests.runs.made_events import STARTED, finished, record
from tests.runs.sweep.made_sweeps import made_plan


class Process:
    """The process of a run, which ends when the test says so."""

    def __init__(self):
        self.code = None
        self.stopped = False

    def exit_code(self):
        return self.code

    def stop(self):
        self.stopped = True


class MadeWorkers:
    """Workers that note what is started on them."""

    def __init__(self, count):
        self.count = count
        self.started = {}
        self.places = {}

    def start(self, number, worker):
        self.started[number] = Process()
        self.places[number] = worker
        return self.started[number]


@pytest.fixture
def workers():
    return MadeWorkers(4)


@pytest.fixture
def said():
    return []


@pytest.fixture
def take_over(tmp_path, workers, said):
    """Takes over a sweep with a plan, which is created if it is new."""
    schedulers = []

    def take_over(plan, **options):
        folder = sweeps_folder(tmp_path) / plan.name
        if not folder.exists():
            create_sweep(folder, plan)
        schedulers.append(SweepScheduler(folder, plan, workers, say=said.append, **options))
        schedulers[-1].take_over()
        return schedulers[-1]

    yield take_over
    for scheduler in schedulers:
        scheduler.release()


@pytest.fixture
def run_of(tmp_path):
    """Makes the folder of a run of a plan, with validation accuracies in per cent after epochs 1, 2, …"""

    def run_of(plan, number, *accuracies):
        member = Membership(sweep=plan.name, number=number)
        folder = create_run_folder(
            tmp_path, plan.config(number), name=plan.run_name(number), membership=member
        )
        log = EventLog(folder)
        for epoch, correct in enumerate(accuracies, start=1):
            log.append(Validated(epoch=epoch, step=epoch, correct=correct, total=100, loss=1.0, best=False))
        log.close()
        return folder

    return run_of


def test_a_run_that_the_user_has_resumed_is_followed_and_not_started_twice(take_over, workers, run_of, said):
    plan = made_plan(seeds=(0,))
    sweep = take_over(plan)
    sweep.release()
    lock = RunLock(run_of(plan, 1))
    lock.acquire()
    sweep = take_over(plan)
    for _ in range(2):
        sweep.step()
        assert sweep.at_work == 2
        assert set(workers.started) == {2}
    workers.started[2].code = 0
    sweep.step()
    assert not sweep.ended, "one is still at work"
    lock.release()
    sweep.step()
    assert sweep.ended
    assert [text.split(" (")[0] for text in said] == ["run rates-2", "run rates-1"]


def test_a_run_whose_host_turns_out_to_be_lost_is_resumed_once(take_over, workers, run_of, said):
    """Of an owner on another host only the age of its lock tells that it is dead, a minute later."""
    plan = made_plan(seeds=(0,))
    take_over(plan).release()
    lock = run_of(plan, 1) / LOCK_FILE
    lock.write_text(json.dumps({"pid": 1, "host": "lost"}))
    sweep = take_over(plan)
    sweep.step()
    assert set(workers.started) == {2}
    os.utime(lock, (0, 0))
    sweep.step()
    assert set(workers.started) == {1, 2}
    assert said[-1].endswith(": crashed")
    for process in workers.started.values():
        process.code = -signal.SIGKILL
    sweep.step()
    assert sweep.ended, "what it has started itself is not started again"


def test_a_run_whose_host_turns_out_to_be_lost_is_the_next_one(take_over, workers, run_of):
    """What it has trained is of use first when the time of the job ends."""
    plan = made_plan(rates=(0.1, 0.2, 0.3), seeds=(0,))
    workers.count = 1
    take_over(plan).release()
    lock = run_of(plan, 1) / LOCK_FILE
    lock.write_text(json.dumps({"pid": 1, "host": "lost"}))
    sweep = take_over(plan)
    sweep.step()
    assert not workers.started
    os.utime(lock, (0, 0))
    sweep.step()
    assert set(workers.started) == {1}


def test_a_worker_that_is_free_gets_the_next_run(take_over, workers):
    workers.count = 2
    sweep = take_over(made_plan())
    sweep.step()
    assert workers.places == {1: 0, 2: 1}
    workers.started[2].code = 0
    sweep.step()
    sweep.step()
    assert workers.places == {1: 0, 2: 1, 3: 1}


def test_runs_that_the_user_has_resumed_count_as_at_work(take_over, workers, run_of):
    workers.count = 2
    plan = made_plan()
    take_over(plan).release()
    locks = [RunLock(run_of(plan, number)) for number in (1, 2)]
    for lock in locks:
        lock.acquire()
    sweep = take_over(plan)
    sweep.step()
    assert workers.started == {}
    locks[0].release()
    sweep.step()
    sweep.step()
    assert set(workers.started) == {3}
    locks[1].release()


def test_a_run_that_has_started_again_is_judged_by_what_it_does_now(take_over, workers, run_of):
    plan = made_plan(rates=(0.1, 0.2, 0.3), seeds=(0,), eta=3, val_size=100, epochs=9)
    sweep = take_over(plan)
    sweep.step()
    first = run_of(plan, 3, 10)
    sweep.step()
    shutil.rmtree(first)
    first.mkdir()  # so that its name, the time, is not free
    for number, accuracy in ((1, 50), (2, 40), (3, 90)):
        run_of(plan, number, accuracy)
    sweep.step()
    assert [number for number, process in workers.started.items() if process.stopped] == [1, 2]


def test_a_sweep_on_another_machine_is_stopped_there(take_over, tmp_path):
    sweep = take_over(made_plan())
    sweep.release()
    (sweep.folder / "lock").write_text('{"pid": 12, "host": "elsewhere"}')
    with pytest.raises(ConfigError, match="rates is running on elsewhere; stop it there with: kill 12"):
        stop_sweep(sweep.folder)


def test_one_process_at_a_time_works_on_a_sweep(take_over, tmp_path):
    take_over(made_plan())
    with pytest.raises(
        ConfigError, match=f"'rates' is already running in process {os.getpid()} on "
    ) as error:
        take_over(made_plan())
    assert str(error.value).endswith(f"see it with: cifar-tui sweep --show rates --checkpoints {tmp_path}")


def test_hopeless_runs_are_stopped_but_none_that_has_trained_its_last_epoch(take_over, workers, run_of, said):
    plan = made_plan(rates=(0.1, 0.2, 0.3, 0.4), seeds=(0,), eta=3, val_size=100, epochs=3)
    sweep = take_over(plan)
    sweep.step()
    for number, accuracies in enumerate([(50, 60), (40, 50), (10, 20), (10, 20, 30)], start=1):
        run_of(plan, number, *accuracies)
    sweep.step()
    sweep.step()
    assert [number for number, process in workers.started.items() if process.stopped] == [3]
    assert read_outcomes(sweep.folder) == {3: Outcome(hopeless_at=1)}
    assert said == ["run rates-3 (lr 0.3, seed 0): hopeless after epoch 1, stopping it"]


def test_a_hopeless_run_is_not_started_again(take_over, workers):
    plan = made_plan(rates=(0.1, 0.2), seeds=(0,), eta=3, val_size=100, epochs=3)
    sweep = take_over(plan)
    sweep.release()
    write_outcomes(sweep.folder, {2: Outcome(hopeless_at=1)})
    sweep = take_over(plan)
    sweep.step()
    assert sorted(workers.started) == [1]


def test_failed_runs_stay_so_and_a_retry_that_is_interrupted_has_not_failed(take_over, workers, run_of):
    plan = made_plan(rates=(0.1,), seeds=(0,))
    sweep = take_over(plan)
    sweep.release()
    write_outcomes(sweep.folder, {1: Outcome(error="no such image")})
    sweep = take_over(plan)
    sweep.step()
    assert (sweep.ended, workers.started) == (True, {})
    sweep.release()
    sweep = take_over(plan, retry_failed=True)
    sweep.step()
    assert set(workers.started) == {1}
    sweep.release()
    assert read_outcomes(sweep.folder) == {}
    assert take_over(plan).members()[1].status == "waiting"


def test_a_run_that_fails_without_a_folder_is_noted_with_the_last_it_has_printed(take_over, workers, said):
    sweep = take_over(made_plan(rates=(0.1,), seeds=(0,)))
    sweep.step()
    output_file(sweep.folder, 1).write_text(
        "loading\n" * 20_000 + "cifar-tui: loading: images\ncifar-tui: no such file\n\n"
    )
    workers.started[1].code = 3
    sweep.step()
    assert read_outcomes(sweep.folder) == {1: Outcome(error="no such file")}
    assert said == ["run rates-1 (lr 0.1, seed 0): failed: no such file"]


def test_a_disk_that_is_full_stops_no_sweep(take_over, workers, said):
    workers.count = 1
    sweep = take_over(made_plan(rates=(0.1,), seeds=(0, 1)))
    sweep.step()
    output_file(sweep.folder, 1).write_text("cifar-tui: no such file\n")
    workers.started[1].code = 3
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        sweep.step()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert sorted(workers.started) == [1, 2]
    assert "outcomes.json': File too large; free disk space" in said[0]
    assert sweep.members()[1].error == "no such file"
    assert read_outcomes(sweep.folder) == {}
    workers.started[2].code = 3
    sweep.step()
    assert sorted(read_outcomes(sweep.folder)) == [1, 2]


def test_a_run_that_was_stopped_before_it_had_a_folder_has_not_failed(take_over, workers, said):
    sweep = take_over(made_plan(rates=(0.1,), seeds=(0,)))
    sweep.step()
    workers.started[1].code = 128 + signal.SIGTERM
    sweep.step()
    assert read_outcomes(sweep.folder) == {}
    assert said == ["run rates-1 (lr 0.1, seed 0): interrupted before it had a folder"]


@pytest.mark.parametrize(
    ("number", "words"), [(signal.SIGKILL, "killed by SIGKILL"), (35, "killed by signal 35")]
)
def test_a_run_that_a_signal_kills_is_named(take_over, workers, said, number, words):
    sweep = take_over(made_plan(rates=(0.1,), seeds=(0,)))
    sweep.step()
    workers.started[1].code = -number
    sweep.step()
    assert said == [f"run rates-1 (lr 0.1, seed 0): interrupted before it had a folder, {words}"]


def test_no_runs_are_started_after_a_stop_and_those_at_work_are_stopped(take_over, workers):
    workers.count = 2
    sweep = take_over(made_plan())
    sweep.step()
    sweep.stop()
    workers.started[1].code = 0
    sweep.step()
    assert sorted(workers.started) == [1, 2]
    assert workers.started[2].stopped
    assert not sweep.ended
    workers.started[2].code = 0
    sweep.step()
    assert sweep.ended


def test_a_run_that_is_done_is_read_once_and_missed_if_its_folder_is_removed(take_over, workers, run_of):
    sweep = take_over(made_plan(rates=(0.1,), seeds=(0,)))
    sweep.step()
    folder = run_of(sweep.plan, 1)
    record(folder, STARTED, finished(), PhaseChanged(phase=Phase.DONE), RunEnded(exit_code=0))
    workers.started[1].code = 0
    sweep.step()
    assert sweep.members()[1].status == "done"
    (folder / EVENTS_FILE).unlink()
    assert sweep.members()[1].status == "done"
    shutil.rmtree(folder)
    assert sweep.members()[1].status == "waiting"
