"""Processes of one run answer requests at the same step."""

import threading

import torch

from cifar_tui.engine.control import RunControl
from cifar_tui.engine.distributed.control import AgreedControl
from cifar_tui.engine.distributed.launch import launched
from cifar_tui.engine.distributed.ranks import joined
from tests.ranks import run_ranks

CPU = torch.device("cpu")


def answers(control):
    return {
        "stop": control.stop_requested,
        "paused": control.paused,
        "pending": control.pending,
        "save": control.take("save"),
        "evaluate": control.take("evaluate"),
    }


def request_in_turn():
    """What all see after each request: to the first, to the second, to none."""
    seen = []
    with joined(launched()) as ranks:
        ranks.begin(CPU, timeout_minutes=1)
        own = RunControl()
        control = AgreedControl(own, ranks)
        for rank, name in ((0, "save"), (1, "evaluate"), (None, ""), (1, "stop")):
            if ranks.rank == rank:
                control.request(name)
            before = control.pending
            control.agree()
            seen.append((before, answers(control)))
    return seen


def test_what_any_process_is_asked_for_all_do_and_none_before_the_others():
    nothing = {"stop": False, "paused": False, "pending": False, "save": False, "evaluate": False}
    expected = [
        (False, {**nothing, "pending": True, "save": True}),
        (False, {**nothing, "pending": True, "evaluate": True}),
        (False, nothing),
        (False, {**nothing, "pending": True, "stop": True}),
    ]
    assert run_ranks(2, request_in_turn) == [expected, expected]


def pause_and_resume():
    waits = 0
    with joined(launched()) as ranks:
        ranks.begin(CPU, timeout_minutes=1)
        own = RunControl()
        control = AgreedControl(own, ranks)
        if ranks.is_first:
            own.request("pause")
        control.agree()
        was_paused = control.paused
        while not control.wait_while_paused(0.05):
            waits += 1
            if waits == 3 and ranks.is_first:
                threading.Timer(0.01, own.request, ["resume"]).start()
        return was_paused, waits, control.paused, control.pending


def test_a_pause_ends_in_all_processes_at_once():
    first, second = run_ranks(2, pause_and_resume)
    assert first == second
    was_paused, waits, paused, pending = first
    assert was_paused
    assert waits >= 3
    assert not paused
    assert not pending
