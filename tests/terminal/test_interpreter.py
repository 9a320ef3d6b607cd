"""The interpreter that a screen and a training share."""

import gc
import sys

import pytest

from cifar_tui.terminal.interpreter import tune_interpreter


@pytest.fixture(autouse=True)
def interpreter_as_it_was():
    thresholds, switch_seconds = gc.get_threshold(), sys.getswitchinterval()
    yield
    gc.set_threshold(*thresholds)
    sys.setswitchinterval(switch_seconds)


def test_the_collector_looks_more_rarely():
    before = gc.get_threshold()
    tune_interpreter()
    assert all(rarely > usual for rarely, usual in zip(gc.get_threshold(), before, strict=True))


def test_screen_and_training_take_turns_more_often():
    before = sys.getswitchinterval()
    tune_interpreter()
    assert sys.getswitchinterval() < before
