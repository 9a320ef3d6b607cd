"""`cifar-tui train --gpus N --headless` outlives its terminal, as one process does."""

import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cifar_tui.engine.events import LossPoint, Resumed, TrainingFinished
from cifar_tui.runs.control.client import send_request
from cifar_tui.runs.control.protocol import Request
from cifar_tui.runs.disk.run_lock import owner_of
from cifar_tui.terminal.signals import SIGNAL_DEBOUNCE_SECONDS
from tests.cli.command import COMMAND, wait_until
from tests.programs import ExecutedProgram
from tests.torchrun import (
    environment,
    events_in,
    is_running,
    job_of,
    kill_job,
    kill_rank,
    parent_of,
    ranks_of,
    the_run,
)


@pytest.fixture
def checkpoints(tmp_path):
    return tmp_path / "checkpoints"


def read(program):
    """What the program has printed on its terminal since the last time."""
    printed = b""
    while select.select([program.descriptor], [], [], 0)[0]:
        try:
            printed += os.read(program.descriptor, 65536)
        except OSError:  # it has ended
            break
    return printed


@pytest.fixture
def job(tmp_path, checkpoints, image_folder):
    """A job of two processes in a pseudo-terminal, which trains."""
    settings = ["--set=batch_size=4", "--set=chart_every=6", "--set=eval_every=40", "--epochs=50000"]
    command = [*COMMAND, "train", "--gpus=2", "--headless", "--device=cpu", f"--data={image_folder}"]
    program = ExecutedProgram(
        [*command, *settings], cwd=tmp_path, environment=environment() | {"TERM": "xterm"}
    )

    def trains():
        read(program)  # else it would wait for its reader
        return events_in(checkpoints, LossPoint)

    try:
        wait_until(trains)
        yield program
    finally:
        kill_job(program.pid)


def test_a_job_whose_terminal_hangs_up_goes_on_into_the_log_of_its_run(job, checkpoints):
    run = the_run(checkpoints)
    torchrun = parent_of(owner_of(run).pid)
    os.close(job.descriptor)
    wait_until(lambda: (run / "run.log").exists() and "cifar-tui: epoch " in (run / "run.log").read_text())
    second = ranks_of(torchrun)[1]
    wait_until(lambda: Path(f"/proc/{second}/fd/2").readlink().name == "run.log")
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


def test_a_second_ctrl_c_ends_a_job_at_once_even_where_a_process_hangs(job, checkpoints):
    ranks = ranks_of(parent_of(owner_of(the_run(checkpoints)).pid))
    os.kill(ranks[1], signal.SIGSTOP)
    printed = bytearray()

    def says_how_to_quit():
        printed.extend(read(job))
        return b"cifar-tui: stopping and saving\xe2\x80\xa6 (ctrl+c to quit now, without saving)" in printed

    def ended():
        printed.extend(read(job))
        return job.poll() is not None

    os.write(job.descriptor, b"\x03")
    wait_until(says_how_to_quit)
    first = time.monotonic()
    wait_until(lambda: time.monotonic() - first > 2 * SIGNAL_DEBOUNCE_SECONDS)
    assert not ended(), "it waits for the process that hangs"
    os.write(job.descriptor, b"\x03")
    wait_until(ended)
    assert job.poll() == 128 + signal.SIGINT
    printed.extend(read(job))
    assert printed.rfind(b"\x1b[?25h") > printed.rfind(b"\x1b[?25l"), "the cursor is shown again"
    wait_until(lambda: not any(map(is_running, ranks.values())))


def test_ctrl_c_ends_a_job_that_loads(tmp_path, image_folder):
    command = [*COMMAND, "train", "--gpus=2", "--headless", "--device=cpu", f"--data={image_folder}"]
    program = ExecutedProgram(command, cwd=tmp_path, environment=environment() | {"TERM": "xterm"})
    printed = bytearray()

    def loads():
        printed.extend(read(program))
        return b"loading" in printed

    def ended():
        read(program)
        return program.poll() is not None

    try:
        wait_until(loads)
        processes = job_of(program.pid)
        os.write(program.descriptor, b"\x03")
        wait_until(ended)
    finally:
        kill_job(program.pid)
    assert program.poll() == 128 + signal.SIGINT
    wait_until(lambda: not any(map(is_running, processes)))


def test_a_signal_that_announces_a_limit_may_come_again_while_a_job_saves(job, checkpoints):
    ranks = ranks_of(parent_of(owner_of(the_run(checkpoints)).pid))
    os.kill(ranks[1], signal.SIGSTOP)  # the first one waits for it before it saves
    first = time.monotonic()

    def repeated():
        read(job)
        os.kill(job.pid, signal.SIGUSR1)
        return time.monotonic() - first > 2 * SIGNAL_DEBOUNCE_SECONDS

    wait_until(repeated)
    os.kill(job.pid, signal.SIGTERM)
    os.kill(ranks[1], signal.SIGCONT)
    wait_until(lambda: read(job) is None or job.poll() is not None)
    assert job.poll() == 128 + signal.SIGUSR1
    assert not events_in(checkpoints, TrainingFinished)[-1].completed


def test_runs_that_cannot_be_read_do_not_end_a_process_whose_terminal_hung_up(tmp_path):
    """As on a network disk that fails for a moment: the next look may succeed."""
    (tmp_path / "checkpoints").write_text("no folder")
    ours, terminal = os.openpty()
    code = (
        "from cifar_tui.cli.rank import *; input(); leave_lost_terminal(Path('checkpoints'), ''); print('on')"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=terminal,
        start_new_session=True,
    )
    os.close(terminal)
    os.close(ours)
    assert process.communicate(b"\n", timeout=60)[0] == b"on\n"
