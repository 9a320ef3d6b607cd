"""Trainings that take turns, and their speed in their own turns."""

import itertools
import subprocess
import sys
import time

import pytest

from cifar_tui.bench.training import Training
from cifar_tui.bench.turns import steps_per_second, take_turns
from cifar_tui.engine.errors import RunFailedError

COUNTS = """
import time
while True:
    print(time.time(), flush=True)
    time.sleep(0.002)
"""


class Counting(Training):
    """A process that counts, as a training."""

    def wait(self, seconds):
        time.sleep(seconds)


@pytest.fixture
def start_counting(tmp_path):
    """Start a process that writes down when it runs; return it and the file."""
    processes = []

    def start(name):
        path = tmp_path / name
        with path.open("w") as file:
            command = [sys.executable, "-c", COUNTS]
            processes.append(subprocess.Popen(command, stdout=file, process_group=0))
        while not path.read_text():
            time.sleep(0.01)
        return processes[-1], path

    yield start
    for process in processes:
        process.kill()
        process.wait()


def test_one_runs_at_a_time_and_all_run_afterwards(start_counting):
    counting = [start_counting(name) for name in ("first", "second", "third")]
    trainings = [Counting(process.pid, path.parent) for process, path in counting]
    spans = take_turns(trainings, turns=3, seconds=0.1)
    assert [len(own) for own in spans] == [3, 3, 3]
    flat = sorted((span, number) for number, own in enumerate(spans) for span in own)
    assert [number for _, number in flat] == [0, 1, 2, 1, 2, 0, 2, 0, 1]
    pauses = [later[0] - earlier[1] for (earlier, _), (later, _) in itertools.pairwise(flat)]
    assert min(pauses) >= 0.1, "a GPU finishes its queue before the next one runs"
    ended = flat[-1][0][1]
    for (_, path), own in zip(counting, spans, strict=True):
        while float((moments := path.read_text().split())[-1]) < ended + 0.01:
            time.sleep(0.01)
        during = [moment for moment in map(float, moments[:-1]) if own[0][0] < moment < ended]
        outside = [moment for moment in during if not any(began <= moment <= end for began, end in own)]
        assert len(during) > 10
        assert len(outside) <= len(own), "one line may be under way when its process is suspended"


def test_all_run_after_one_has_failed(start_counting):
    (first, _), (second, path) = start_counting("first"), start_counting("second")

    class Failing(Counting):
        def wait(self, seconds):
            first.kill()
            first.wait()
            raise RunFailedError("it ended")

    trainings = [Failing(first.pid, path.parent), Counting(second.pid, path.parent)]
    with pytest.raises(RunFailedError, match="it ended"):
        take_turns(trainings, turns=1, seconds=0.1)
    known = len(path.read_text())
    while len(path.read_text()) == known:
        time.sleep(0.01)


def test_speed_counts_only_the_spans():
    spans = [(100.0, 102.0), (110.0, 112.0)]
    steps = [(99.0, 5), (100.5, 10), (101.5, 20), (110.5, 30), (111.5, 40), (113.0, 90)]
    assert steps_per_second(spans, steps, on_gpu=False) == 30 / (1.5 + 1.5)


def test_steps_that_a_gpu_makes_between_turns_do_not_count():
    spans = [(100.0, 102.0), (110.0, 112.0)]
    first = [(100.5, 10), (101.0, 15), (101.5, 20)]
    second = [(110.5, 90), (111.0, 95), (111.5, 100)]
    assert steps_per_second(spans, first + second, on_gpu=True) == 20 / (1.0 + 1.0)
    assert steps_per_second(spans, first + second[1:], on_gpu=True) == 90 / (1.5 + 1.5), "too few points"
    assert steps_per_second(spans, first + second, on_gpu=False) == 90 / (1.5 + 1.5), (
        "a suspended CPU process makes no steps"
    )


def test_too_few_steps_are_an_error():
    with pytest.raises(RunFailedError, match="too few"):
        steps_per_second([(100.0, 102.0)], [(99.0, 5), (101.0, 6), (103.0, 7)], on_gpu=False)
    with pytest.raises(RunFailedError, match="did not increase"):
        steps_per_second([(100.0, 102.0)], [(100.5, 5), (101.0, 5)], on_gpu=False)
