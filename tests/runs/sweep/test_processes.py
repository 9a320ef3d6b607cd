"""The processes of a sweep: how cores are divided, and what another process sees of them."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cifar_tui.runs.sweep.machine import shares_of_machine, visible_gpus
from cifar_tui.runs.sweep.processes import (
    AdoptedProcess,
    LocalWorkers,
    Share,
    divide_cores,
    is_at_work,
    worker_of,
)
from tests.cli.command import wait_until
from tests.runs.sweep.made_sweeps import made_plan

SLEEP = "import time; time.sleep(60)"

STOPPED_TWICE = """
import os, signal, time
from cifar_tui.terminal.signals import SIGNAL_DEBOUNCE_SECONDS, STOP_SIGNALS, StopSignals
received, count = StopSignals(), 0
def stop(number, frame):
    global count
    count += 1
    if received.receive(number):
        os._exit(1)
for number in STOP_SIGNALS:
    signal.signal(number, stop)
print("ready", flush=True)
while not count:
    time.sleep(0.01)
time.sleep(SIGNAL_DEBOUNCE_SECONDS)
print("late", flush=True)
while count < 2:
    time.sleep(0.01)
"""
"""Ends with 1 if a second signal, a while after the first one, asks it to end without saving."""


@pytest.mark.parametrize(
    ("cores", "workers", "shares"),
    [
        ([0, 1, 2, 3], 2, [(0, 1), (2, 3)]),
        ([0, 1, 2, 5, 7], 2, [(0, 1, 2), (5, 7)]),
        ([4, 5], 3, [(4,), (5,), (4,)]),
        ([1], 1, [(1,)]),
    ],
)
def test_workers_divide_the_cores(cores, workers, shares):
    assert divide_cores(cores, workers) == shares


def test_on_a_cpu_each_worker_has_its_cores_and_one_alone_has_all(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {2, 3, 6, 7})
    assert shares_of_machine(made_plan(device="cpu"), 2) == [Share(cores=(2, 3)), Share(cores=(6, 7))]
    assert shares_of_machine(made_plan(device="cpu"), 0) == [Share()]


@pytest.mark.parametrize(
    ("visible", "workers", "gpus"),
    [
        (None, 0, ["0", "1", "2"]),
        (None, 2, ["0", "1"]),
        (None, 5, ["0", "1", "2", "0", "1"]),
        ("4,6,GPU-abc", 0, ["4", "6", "GPU-abc"]),
    ],
)
def test_each_run_has_a_gpu_of_those_that_the_batch_system_gave(monkeypatch, visible, workers, gpus):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 3)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert shares_of_machine(made_plan(device="auto"), workers) == [Share(gpu=gpu) for gpu in gpus]
    assert shares_of_machine(made_plan(device="cuda:1"), 0) == [Share()]


def test_each_run_has_a_slice_of_a_gpu_though_a_process_sees_one_alone(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-89c850dc-38e3,MIG-f2b5fbbd-850e")
    shares = shares_of_machine(made_plan(device="auto"), 0)
    assert shares == [Share(gpu="MIG-89c850dc-38e3"), Share(gpu="MIG-f2b5fbbd-850e")]


def test_without_gpus_there_are_none_to_divide(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert visible_gpus() == []


def test_a_process_is_seen_at_work_until_it_ends_whoever_started_it(tmp_path):
    command = [sys.executable, "-c", SLEEP]
    workers = LocalWorkers(tmp_path, lambda number, cores: command, [Share(), Share()])
    assert not is_at_work(tmp_path, 3)
    process = workers.start(3, 1)
    adopted = AdoptedProcess(lambda: is_at_work(tmp_path, 3), lambda: None)
    assert is_at_work(tmp_path, 3)
    assert worker_of(tmp_path, 3) == 1
    assert (process.exit_code(), adopted.exit_code()) == (None, None)
    process.stop()
    wait_until(lambda: process.exit_code() is not None)
    assert process.exit_code() == -signal.SIGUSR1
    assert adopted.exit_code() == 0
    assert not is_at_work(tmp_path, 3)


def test_a_stop_after_the_signal_of_a_batch_system_lets_a_run_save(tmp_path):
    """Slurm signals all processes of a job; a second SIGTERM a second later asks to end without saving."""
    workers = LocalWorkers(tmp_path, lambda number, cores: [sys.executable, "-c", STOPPED_TWICE], [Share()])
    process = workers.start(1, 0)
    wait_until(lambda: (tmp_path / "1.log").read_text() == "ready\n")
    os.kill(int(next(iter(_holders(tmp_path / "1.lock")))), signal.SIGTERM)
    wait_until(lambda: "late" in (tmp_path / "1.log").read_text())
    process.stop()
    wait_until(lambda: process.exit_code() is not None)
    assert process.exit_code() == 0


def test_the_process_of_a_run_outlives_the_one_that_started_it(tmp_path):
    code = f"""
import sys
from pathlib import Path
from cifar_tui.runs.sweep.processes import start_process
start_process([sys.executable, "-c", {SLEEP!r}], {{}}, Path({str(tmp_path)!r}), 1, 0)
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    assert is_at_work(tmp_path, 1)
    with pytest.raises(BlockingIOError):
        LocalWorkers(tmp_path, lambda number, cores: ["true"], [Share()]).start(1, 0)
    pid = next(int(line) for line in _holders(tmp_path / "1.lock"))
    assert os.getsid(pid) == pid, "the end of a terminal does not reach it"
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not is_at_work(tmp_path, 1))


def _holders(path):
    inode = path.stat().st_ino
    for process in os.listdir("/proc"):
        if process.isdecimal():
            try:
                files = [file.stat() for file in Path(f"/proc/{process}/fd").iterdir()]
            except OSError:
                continue
            if any(file.st_ino == inode for file in files):
                yield process


def test_a_worker_gets_its_gpu_and_its_cores(tmp_path):
    code = "import os, sys; print(os.environ['CUDA_VISIBLE_DEVICES'], *sys.argv[1:])"
    workers = LocalWorkers(
        tmp_path,
        lambda number, cores: [sys.executable, "-c", code, str(number), *map(str, cores)],
        [Share(gpu="5", cores=(1, 2))],
    )
    process = workers.start(7, 0)
    wait_until(lambda: process.exit_code() is not None)
    assert (tmp_path / "7.log").read_text().split() == ["5", "7", "1", "2"]
