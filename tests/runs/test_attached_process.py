"""`AttachedRun`: a run that another process trains, steered and looked at from here."""

import os
import signal
import subprocess
import sys

import pytest

from cifar_tui.engine.events import Phase
from tests.runs.control.helpers import texts, wait_until

TRAIN = [sys.executable, "-m", "cifar_tui", "train", "--headless", "--device", "cpu", "--epochs", "100000"]
RARELY = ["--set", "eval_every=0", "--set", "checkpoint_every_epochs=0"]


@pytest.fixture
def live_process(tmp_path, image_folder):
    """A training in a process of its own, that goes on until it is stopped: (process, folder)."""
    process = subprocess.Popen(
        [*TRAIN, "--data", str(image_folder), *RARELY],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_until(lambda: list(tmp_path.glob("checkpoints/*/events.jsonl")))
    (folder,) = (tmp_path / "checkpoints").iterdir()
    yield process, folder
    process.kill()
    process.wait()


def test_several_look_on_at_a_live_run_and_each_steers_it(attach, live_process):
    process, folder = live_process
    first, second = attach(folder), attach(folder)
    assert first.owner.pid == process.pid
    wait_until(lambda: first.snapshot().step and second.snapshot().step)
    assert first.live
    first.pause()
    wait_until(lambda: first.snapshot().phase is second.snapshot().phase is Phase.PAUSED)
    step = second.snapshot().step
    assert any("(paused)" in text for text in texts(second)), "a pause saves"
    second.pause_or_resume()
    wait_until(lambda: first.snapshot().step > step and first.snapshot().phase is Phase.TRAINING)
    second.save()
    wait_until(lambda: any("(asked for)" in text for text in texts(first)))
    assert first.snapshot().evaluated is None
    first.evaluate()
    wait_until(lambda: first.snapshot().evaluated and second.snapshot().evaluated)
    first.stop()
    assert process.wait(60) == 0
    for run in (first, second):
        wait_until(lambda run=run: not run.live)
        assert run.snapshot().phase is Phase.DONE
        assert run.snapshot().message.startswith("stopped and saved at step")
        assert texts(run, "alert") == []
    assert first.curves() == second.curves()
    second.pause()
    wait_until(lambda: texts(second, "alert"))
    assert texts(first, "alert") == [], "it concerns who asked"


def test_who_looks_on_while_the_process_is_killed_is_told(attach, live_process):
    process, folder = live_process
    run = attach(folder)
    wait_until(lambda: run.snapshot().step > 0)
    process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
    assert run.live, "a silent process is none that died"
    process.kill()
    process.wait()
    wait_until(lambda: run.snapshot().phase is Phase.CRASHED)
    wait_until(lambda: texts(run, "alert"))
    assert texts(run, "alert") == ["the process that trained this run died"]
    assert not run.live
