"""A pause waits for two launches at most."""

from contextlib import suppress

import torch

from cifar_tui.engine.steps.in_flight import InFlightLimit, limit_in_flight


class Mark:
    def __init__(self, log, number):
        self.log, self.number = log, number

    def synchronize(self):
        self.log.append(f"wait for {self.number}")


def test_a_launch_waits_until_only_one_earlier_launch_is_in_flight():
    log, marks = [], iter(range(1, 9))
    limit = InFlightLimit(lambda: Mark(log, next(marks)))
    for number in range(1, 5):
        with limit:
            log.append(f"launch {number}")
    assert log == ["launch 1", "launch 2", "wait for 1", "launch 3", "wait for 2", "launch 4"]


def test_a_launch_that_fails_is_not_in_flight():
    limit = InFlightLimit(lambda: Mark([], 0))
    for _ in range(5):
        with suppress(ZeroDivisionError), limit:
            raise ZeroDivisionError
    assert not limit._in_flight


def test_only_a_gpu_has_launches_in_flight():
    assert isinstance(limit_in_flight(torch.device("cuda", 0)), InFlightLimit)
    with limit_in_flight(torch.device("cpu")):
        pass
