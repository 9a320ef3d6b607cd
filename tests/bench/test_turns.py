"""Trainings that take turns, and their speed in their own turns."""

import itertools
import subprocess
import sys
import time

import pytest

from cifar_tui.bench.turns import Contestant, rate, take_turns
from cifar_tui.engine.errors import RunFailedError

COUNTS = """
import time
while True:
    print(time.time(), flush=True)
    time.sleep(0.002)
"""


@pytest.fixture
def start_counting(tmp_path):
    """Start a process that writes down the moments at which it goes on; it and the file."""
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


def test_only_one_goes_on_at_a_time_and_all_of_them_afterwards(start_counting):
    counting = [start_counting(name) for name in ("first", "second", "third")]
    contestants = [Contestant(group=process.pid, pass_time=time.sleep) for process, _ in counting]
    spans = take_turns(contestants, turns=3, seconds=0.1)
    assert [len(own) for own in spans] == [3, 3, 3]
    flat = sorted((span, number) for number, own in enumerate(spans) for span in own)
    assert [number for _, number in flat] == [0, 1, 2, 1, 2, 0, 2, 0, 1]
    pauses = [later[0] - earlier[1] for (earlier, _), (later, _) in itertools.pairwise(flat)]
    assert min(pauses) >= 0.1, "what a GPU has queued runs out before the next one goes on"
    ended = flat[-1][0][1]
    for (_, path), own in zip(counting, spans, strict=True):
        while float((moments := path.read_text().split())[-1]) < ended + 0.01:
            time.sleep(0.01)
        during = [moment for moment in map(float, moments[:-1]) if own[0][0] < moment < ended]
        outside = [moment for moment in during if not any(began <= moment <= end for began, end in own)]
        assert len(during) > 10
        assert len(outside) <= len(own), "a line may have been under way when its process was halted"


def test_all_go_on_where_one_of_them_fails(start_counting):
    (first, _), (second, path) = start_counting("first"), start_counting("second")

    def fail(seconds):
        first.kill()
        first.wait()
        raise RunFailedError("it ended")

    contestants = [
        Contestant(group=first.pid, pass_time=fail),
        Contestant(group=second.pid, pass_time=time.sleep),
    ]
    with pytest.raises(RunFailedError, match="it ended"):
        take_turns(contestants, turns=1, seconds=0.1)
    known = len(path.read_text())
    while len(path.read_text()) == known:
        time.sleep(0.01)


def test_a_rate_is_of_the_time_in_which_the_training_went_on():
    spans = [(100.0, 102.0), (110.0, 112.0)]
    steps = [(99.0, 5), (100.5, 10), (101.5, 20), (110.5, 30), (111.5, 40), (113.0, 90)]
    assert rate(spans, steps, device="cpu") == 30 / (1.5 + 1.5)


def test_what_a_gpu_did_between_the_turns_does_not_count_where_enough_is_known_of_each():
    spans = [(100.0, 102.0), (110.0, 112.0)]
    first = [(100.5, 10), (101.0, 15), (101.5, 20)]
    second = [(110.5, 90), (111.0, 95), (111.5, 100)]
    assert rate(spans, first + second, device="cuda:0 H100") == 20 / (1.0 + 1.0)
    assert rate(spans, first + second[1:], device="cuda:0 H100") == 90 / (1.5 + 1.5), "too little is known"
    assert rate(spans, first + second, device="cpu") == 90 / (1.5 + 1.5), "a halted CPU makes no step"


def test_a_training_that_cannot_be_measured_is_an_error():
    with pytest.raises(RunFailedError, match="too few"):
        rate([(100.0, 102.0)], [(99.0, 5), (101.0, 6), (103.0, 7)], device="cpu")
    with pytest.raises(RunFailedError, match="do not go on"):
        rate([(100.0, 102.0)], [(100.5, 5), (101.0, 5)], device="cpu")
