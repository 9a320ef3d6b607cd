"""`AttachedRun`: a run that another process trains, watched and steered from here."""

import os
import signal
import subprocess
import sys

import pytest

from cifar_tui.engine.events import Phase
from cifar_tui.runs.control.protocol import Request
from tests.runs.control.helpers import texts, wait_until

TRAIN = [sys.executable, "-m", "cifar_tui", "train", "--headless", "--device", "cpu", "--epochs", "100000"]
SETTINGS = ["eval_every=0", "checkpoint_every_epochs=0", "backend=eager"]


@pytest.fixture
def live_process(tmp_path, image_folder):
    """A training in another process that runs until it is stopped: (process, folder)."""
    process = subprocess.Popen(
        [*TRAIN, "--data", str(image_folder), *(f"--set={setting}" for setting in SETTINGS)],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_until(lambda: list(tmp_path.glob("checkpoints/*/events.jsonl")))
    (folder,) = (tmp_path / "checkpoints").iterdir()
    yield process, folder
    process.kill()
    process.wait()


def test_several_watch_a_live_run_and_each_steers_it(attach, live_process):
    process, folder = live_process
    first, second = attach(folder), attach(folder)
    assert first.ownership == f"attached to process {process.pid}"
    wait_until(lambda: first.snapshot().step and second.snapshot().step)
    assert first.live
    first.request(Request.PAUSE)
    wait_until(lambda: first.snapshot().phase is second.snapshot().phase is Phase.PAUSED)
    step = second.snapshot().step
    assert any("(paused)" in text for text in texts(second)), "a pause saves"
    second.request(Request.TOGGLE_PAUSE)
    wait_until(lambda: first.snapshot().step > step and first.snapshot().phase is Phase.TRAINING)
    second.request(Request.SAVE)
    wait_until(lambda: any("(requested)" in text for text in texts(first)))
    assert first.snapshot().evaluated is None
    first.request(Request.EVALUATE)
    wait_until(lambda: first.snapshot().evaluated and second.snapshot().evaluated)
    first.request(Request.STOP)
    assert process.wait(60) == 0
    for run in (first, second):
        wait_until(lambda run=run: not run.live)
        assert run.snapshot().phase is Phase.DONE
        assert run.snapshot().message.startswith("stopped and saved at step")
        assert texts(run, "alert") == []
    assert first.curves() == second.curves()
    second.request(Request.PAUSE)
    wait_until(lambda: texts(second, "alert"))
    assert texts(first, "alert") == [], "it concerns only the one that asked"


def test_a_process_that_is_killed_is_noticed(attach, live_process):
    process, folder = live_process
    run = attach(folder)
    wait_until(lambda: run.snapshot().step > 0)
    process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
    assert run.live, "a suspended process has not died"
    process.kill()
    process.wait()
    wait_until(lambda: run.snapshot().phase is Phase.CRASHED)
    wait_until(lambda: texts(run, "alert"))
    assert texts(run, "alert") == ["the training process died"]
    assert not run.live
