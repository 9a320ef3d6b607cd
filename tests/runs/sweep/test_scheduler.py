"""The scheduler of a sweep: what it takes over, whom it judges, and what it notes."""

import os
import signal

import pytest

from cifar_tui.engine.errors import ConfigError
from cifar_tui.engine.events import Validated
from cifar_tui.runs.disk.event_log import EventLog
from cifar_tui.runs.disk.membership import Membership
from cifar_tui.runs.disk.run_lock import RunLock
from cifar_tui.runs.disk.store import create_run_folder
from cifar_tui.runs.sweep.scheduler import SweepScheduler
from cifar_tui.runs.sweep.store import (
    Outcome,
    create_sweep,
    output_file,
    read_outcomes,
    sweeps_folder,
    write_outcomes,
)
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

    def start(self, number, worker):
        self.started[number] = Process()
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
