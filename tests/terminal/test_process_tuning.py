"""Memory, garbage collection and thread switching of a process that trains."""

import gc
import platform
import resource
import subprocess
import sys
import weakref

import pytest

from cifar_tui.terminal.process_tuning import collect_everything, gc_frozen, tune_interpreter

STEPS, BYTES = 20, 48 * 2**20
NO_HUGE_PAGES = 41  # PR_SET_THP_DISABLE of prctl(2)
# before a fixture of all tests replaces them
THRESHOLDS, FREEZE, FREEZE_COUNT = gc.get_threshold(), gc.freeze, gc.get_freeze_count
PAGES = STEPS * BYTES // resource.getpagesize()

ALLOCATE = f"""
import ctypes, resource, threading
ctypes.CDLL(None).prctl({NO_HUGE_PAGES}, 1, 0, 0, 0)  # else one fault may map five hundred pages
from cifar_tui.terminal.process_tuning import keep_freed_memory
{{call}}
import numpy

def work():
    for step in range(2 * {STEPS}):
        if step == {STEPS}:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        numpy.empty({BYTES}, numpy.uint8).fill(1)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)

thread = threading.Thread(target=work)
thread.start()
thread.join()
"""


def faults(call):
    """Page faults of a thread that allocates the same large array again and again."""
    code = ALLOCATE.format(call=call)
    return int(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_freed_memory_is_used_again_with_glibc_and_left_alone_with_another_library():
    assert faults("") > PAGES / 2, "the default"
    assert faults("keep_freed_memory()") < PAGES / 100
    assert faults("import os; os.confstr = lambda name: 'musl 1.2'\nkeep_freed_memory()") > PAGES / 2


@pytest.fixture(autouse=True)
def interpreter_as_before(monkeypatch):
    thresholds, switch_seconds = gc.get_threshold(), sys.getswitchinterval()
    gc.set_threshold(*THRESHOLDS)
    gc.unfreeze()
    monkeypatch.setattr(gc, "freeze", FREEZE)
    monkeypatch.setattr(gc, "get_freeze_count", FREEZE_COUNT)
    yield
    gc.set_threshold(*thresholds)
    sys.setswitchinterval(switch_seconds)
    gc.freeze()
    assert gc.isenabled()


def test_threads_switch_more_often_and_garbage_is_collected_less_often():
    thresholds, switch_seconds = gc.get_threshold(), sys.getswitchinterval()
    tune_interpreter()
    assert all(now > before for now, before in zip(gc.get_threshold(), thresholds, strict=True))
    assert sys.getswitchinterval() < switch_seconds


class Cycle:
    def __init__(self):
        self.own = self


def test_what_is_allocated_in_the_block_is_excluded_from_collections():
    with gc_frozen():
        assert not gc.isenabled()
        made = Cycle()
    assert gc.isenabled()
    assert not any(known is made for known in gc.get_objects())


def test_the_collector_is_enabled_again_after_an_error_and_stays_disabled_where_it_was():
    with pytest.raises(ValueError, match="in the block"), gc_frozen():
        raise ValueError("in the block")
    assert gc.isenabled()
    gc.disable()
    with gc_frozen():
        pass
    assert not gc.isenabled()
    gc.enable()


def test_excluded_garbage_is_collected_on_demand():
    with gc_frozen():
        made = Cycle()
    gone = weakref.ref(made)
    del made
    gc.collect()
    assert gone() is not None
    collect_everything()
    assert gone() is None
    assert gc.get_freeze_count() == 0
