"""`cifar-tui train --gpus N --headless` outlives its terminal, and ends for somebody who cannot wait."""

import os
import select
import signal
import subprocess
import time

import pytest

from cifar_tui.engine.events import LossPoint, Resumed
from cifar_tui.runs.control.client import send_request
from cifar_tui.runs.control.protocol import Request
from cifar_tui.runs.disk.run_lock import owner_of
from tests.cli.command import COMMAND, wait_until
from tests.programs import ExecutedProgram
from tests.torchrun import environment, events_in, kill_rank, parent_of, ranks_of, the_run, write_slow_net


@pytest.fixture
def checkpoints(tmp_path):
    return tmp_path / "checkpoints"


@pytest.fixture
def job(tmp_path, checkpoints, image_folder):
    """A job of two processes in a pseudo-terminal, which trains."""
    settings = ["--set=batch_size=4", "--set=chart_every=6", "--set=eval_every=40", "--epochs=50000"]
    command = [*COMMAND, "train", "--gpus=2", "--headless", "--device=cpu", f"--data={image_folder}"]
    program = ExecutedProgram(
        [*command, *settings], cwd=tmp_path, environment=environment() | {"TERM": "xterm"}
    )

    def trains():
        if select.select([program.descriptor], [], [], 0)[0]:
            os.read(program.descriptor, 65536)
        return events_in(checkpoints, LossPoint)

    wait_until(trains)
    torchrun = parent_of(owner_of(the_run(checkpoints)).pid)
    yield program
    if program.poll() is None:
        program.kill()
        os.kill(torchrun, signal.SIGTERM)


def test_a_job_whose_terminal_hangs_up_goes_on_into_the_log_of_its_run(job, checkpoints):
    run = the_run(checkpoints)
    torchrun = parent_of(owner_of(run).pid)
    os.close(job.descriptor)
    wait_until(lambda: (run / "run.log").exists() and "cifar-tui: epoch " in (run / "run.log").read_text())
    kill_rank(torchrun, 0)
    wait_until(lambda: events_in(checkpoints, Resumed))
    send_request(run, Request.STOP)
    wait_until(lambda: job.poll() is not None)
    assert job.poll() == 0
    log = (run / "run.log").read_text()
    assert "rank 1 lost rank 0" in log, "what the second process printed"
    before, restarting, after = log.partition("cifar-tui: restarting all processes (1 of 3)\n")
    assert restarting
    assert before.endswith("cifar-tui: rank 0 was ended by signal 9\n")
    assert "(stopped)" in after
    assert "Traceback" not in log


def test_a_second_interrupt_ends_a_job_that_takes_long_to_save(tmp_path, checkpoints, image_folder):
    write_slow_net(tmp_path / "net.py", seconds=300)
    command = [*COMMAND, "train", "--gpus=2", "--headless", "--device=cpu", f"--data={image_folder}"]
    command += ["--epochs=50000", "--set=batch_size=4", "--set=eval_every=0", "--set=model=net.py:Net"]
    job = subprocess.Popen(command, cwd=tmp_path, env=environment(), stderr=subprocess.DEVNULL)
    wait_until(lambda: events_in(checkpoints, LossPoint))
    torchrun = parent_of(owner_of(the_run(checkpoints)).pid)
    (tmp_path / "slow").touch()
    try:
        job.send_signal(signal.SIGINT)
        wait_until(lambda: not (tmp_path / "slow").exists())  # it saves
        again = time.monotonic()
        while job.poll() is None:
            assert time.monotonic() < again + 60, "it does not end"
            job.send_signal(signal.SIGINT)
            time.sleep(0.5)
    finally:
        job.kill()
        processes = ranks_of(torchrun).values()
        for process in processes:
            os.kill(process, signal.SIGKILL)
    assert not processes
    assert job.returncode == 128 + signal.SIGINT
