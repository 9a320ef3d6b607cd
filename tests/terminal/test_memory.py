"""Freed memory is used again: the system has no new pages to fill."""

import platform
import resource
import subprocess
import sys

import pytest

STEPS, BYTES = 40, 48 * 2**20
NO_HUGE_PAGES = 41  # PR_SET_THP_DISABLE of prctl(2)
PAGES = STEPS * BYTES // resource.getpagesize()

TRAIN = f"""
import ctypes, resource, threading
ctypes.CDLL(None).prctl({NO_HUGE_PAGES}, 1, 0, 0, 0)  # else a fault may bring five hundred pages
from cifar_tui.terminal.memory import keep_freed_memory
{{call}}
import torch

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def step():
    torch.ones({BYTES // 4})

def work():
    for _ in range({STEPS}):
        step()
    before = faults()
    for _ in range({STEPS}):
        step()
    print(faults() - before)

thread = threading.Thread(target=work)
thread.start()
thread.join()
"""


def faults(call):
    done = subprocess.run([sys.executable, "-c", TRAIN.format(call=call)], check=True, capture_output=True)
    return int(done.stdout)


pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")


def test_a_large_tensor_that_is_made_again_and_again_takes_no_new_pages():
    assert faults("") > PAGES / 2, "so it is by default"
    assert faults("keep_freed_memory()") < PAGES / 100


def test_another_c_library_is_left_alone():
    other = "import os; os.confstr = lambda name: 'musl 1.2'\nkeep_freed_memory()"
    assert faults(other) > PAGES / 2
