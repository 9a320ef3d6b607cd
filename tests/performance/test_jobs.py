"""Jobs of torchrun's that are killed, steered and cut off at random moments, for minutes."""

import itertools
import os
import random
import signal
import socket
import subprocess
import time

import pytest
import torch

from cifar_tui.engine.events import (
    LossPoint,
    Phase,
    PhaseChanged,
    RanksMeasured,
    Resumed,
    TrainingFinished,
)
from cifar_tui.runs.control.client import send_request
from cifar_tui.runs.control.protocol import Request
from cifar_tui.runs.disk.run_lock import owner_of
from tests.cli.command import COMMAND, wait_until
from tests.engine.distributed.jobs import train_together
from tests.torchrun import OUTPUT, TORCHRUN, environment, events_in, ranks_of, start_job, the_run

SETTINGS = {"batch_size": 4, "chart_every": 6, "eval_every": 20, "checkpoint_every_epochs": 20}
KILLS, REQUESTS = 10, 50


def arguments(tmp_path, images, **settings):
    pairs = [f"--set={name}={value}" for name, value in (SETTINGS | settings).items()]
    return ["--device=cpu", f"--data={images}", f"--data-dir={tmp_path / 'data'}", *pairs]


def assert_equals_uninterrupted(tmp_path, checkpoints, images, size, epochs):
    whole = train_together(size, tmp_path / "whole", images, epochs=epochs, **SETTINGS)
    weights = torch.load(the_run(checkpoints) / "cifar_net.pth", weights_only=True)
    assert all(torch.equal(weights[name], tensor) for name, tensor in whole["weights"].items())


SLOW_NET = """\
import time
from pathlib import Path
from torch import nn


def wait_once(*_):
    slow = Path("slow")
    if slow.exists():
        slow.unlink()
        time.sleep(SECONDS)


class Net(nn.Module):
    def __init__(self, num_classes=10):
        super().__init__()
        self.fc = nn.Linear(3 * 32 * 32, num_classes)
        self.register_state_dict_pre_hook(wait_once)

    def forward(self, x):
        return self.fc(x.flatten(1))
"""
SLOW_SECONDS = 40
"""More than torchrun's own 30 s."""


def is_listening(port):
    with socket.socket() as connection:
        return connection.connect_ex(("localhost", port)) == 0


@pytest.fixture
def checkpoints(tmp_path):
    return tmp_path / "checkpoints"


def last_line(run):
    return (run / "events.jsonl").read_bytes().rstrip().rpartition(b"\n")[2]


MOMENTS = {
    "loading": lambda run: True,
    "training": lambda run: True,
    "evaluating": lambda run: b'"evaluating"' in last_line(run),
    "saving": lambda run: any(run.glob(".last.pt.*.tmp")),
}


def test_ten_kills_at_random_moments_change_nothing(tmp_path, checkpoints, image_folder):
    chance, epochs = random.Random(1), 1500
    settings = arguments(tmp_path, image_folder, epochs=epochs, eval_every=1, checkpoint_every_epochs=1)
    job = start_job(2, *settings, cwd=tmp_path, restarts=KILLS)
    try:
        moments = list(itertools.islice(itertools.cycle(MOMENTS), KILLS))
        for moment in moments:
            wait_until(lambda: len(ranks_of(job.pid)) == 2)
            if moment != "loading":
                now = time.time()
                wait_until(lambda now=now: any(p.time > now for p in events_in(checkpoints, LossPoint)[-1:]))
            time.sleep(chance.uniform(0, 3))
            victim = ranks_of(job.pid)[chance.randrange(2)]
            wait_until(lambda moment=moment: MOMENTS[moment](the_run(checkpoints)))
            os.kill(victim, signal.SIGKILL)
            wait_until(lambda victim=victim: victim not in ranks_of(job.pid).values())
        job.wait(300)
    finally:
        job.terminate()
    assert job.returncode == 0, (tmp_path / OUTPUT).read_text()
    resumes = events_in(checkpoints, Resumed)
    assert len(resumes) >= KILLS - moments.count("loading")
    print(f"resumed {len(resumes)} times, from steps {[event.step for event in resumes]}")
    assert_equals_uninterrupted(tmp_path, checkpoints, image_folder, 2, epochs)


def test_fifty_requests_at_random_moments_keep_all_processes_at_the_same_step(
    tmp_path, checkpoints, image_folder
):
    chance = random.Random(2)
    job = start_job(3, *arguments(tmp_path, image_folder, epochs=50_000), cwd=tmp_path)
    try:
        wait_until(lambda: events_in(checkpoints, LossPoint))
        run = the_run(checkpoints)
        for number in range(REQUESTS):
            request = chance.choice([Request.PAUSE, Request.SAVE, Request.EVALUATE])
            send_request(run, request)
            if request is Request.PAUSE:
                wait_until(lambda: events_in(checkpoints, PhaseChanged)[-1].phase is Phase.PAUSED)
                send_request(run, Request.RESUME)
            before = events_in(checkpoints, LossPoint)[-1].step
            wait_until(lambda before=before: events_in(checkpoints, LossPoint)[-1].step > before)
            time.sleep(chance.uniform(0, 0.1))
            if number == REQUESTS // 2:
                job.send_signal(signal.SIGTERM)
                job.wait(60)
                job = start_job(3, "--resume=latest", cwd=tmp_path)
                wait_until(lambda: len(events_in(checkpoints, Resumed)) == 1)
        send_request(run, Request.STOP)
        assert job.wait(60) == 0
        epochs = torch.load(run / "last.pt", weights_only=True)["epoch"] + 1
        job = start_job(3, "--resume=latest", f"--epochs={epochs}", cwd=tmp_path)
        assert job.wait(120) == 0, (tmp_path / OUTPUT).read_text()
    finally:
        job.terminate()
    print(f"{epochs} epochs")
    assert_equals_uninterrupted(tmp_path, checkpoints, image_folder, 3, epochs)


def test_a_job_that_loses_one_of_its_hosts_goes_on_without_it(tmp_path, checkpoints, image_folder):
    """Two agents of torchrun, as on two hosts, with one process each.

    torchrun waits 30 s for a second host, and again for another one in its place.
    """
    with socket.create_server(("localhost", 0)) as server:
        port = server.getsockname()[1]
    command = [*TORCHRUN[:-1], "--nnodes=1:2", "--nproc-per-node=1", "--rdzv-backend=c10d", "--rdzv-id=two"]
    command += [f"--rdzv-endpoint=localhost:{port}", "--max-restarts=3", "--rdzv-conf=last_call_timeout=30"]
    command += ["-m", "cifar_tui", "train", "--headless", *arguments(tmp_path, image_folder, epochs=50_000)]
    agents = []
    try:
        for number in range(2):
            with (tmp_path / f"host {number}").open("wb") as output:
                options = {"cwd": tmp_path, "stdout": output, "stderr": output}
                agents.append(subprocess.Popen(command, env=environment(), **options))
            wait_until(lambda: is_listening(port))  # the first one is host of the rendezvous
        wait_until(lambda: any(len(e.ranks) == 2 for e in events_in(checkpoints, RanksMeasured)), seconds=120)
        before = len(events_in(checkpoints, Resumed))
        victim = agents[1]
        for process in (*ranks_of(victim.pid).values(), victim.pid):
            os.kill(process, signal.SIGKILL)
        wait_until(lambda: len(events_in(checkpoints, Resumed)) > before, seconds=120)
        step = events_in(checkpoints, Resumed)[-1].step
        wait_until(lambda: events_in(checkpoints, LossPoint)[-1].step > step)
        send_request(the_run(checkpoints), Request.STOP)
        assert agents[0].wait(60) == 0
    finally:
        for agent in agents:
            agent.kill()


def test_a_job_that_is_stopped_has_the_time_that_its_save_takes(tmp_path, checkpoints, image_folder):
    (tmp_path / "net.py").write_text(SLOW_NET.replace("SECONDS", str(SLOW_SECONDS)))
    settings = arguments(tmp_path, image_folder, epochs=50_000, model="net.py:Net", eval_every=0)
    command = [*COMMAND, "train", "--gpus=2", "--headless", *settings]
    job = subprocess.Popen(command, cwd=tmp_path, env=environment(), stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: events_in(checkpoints, LossPoint))
        (tmp_path / "slow").touch()
        stopped = time.monotonic()
        job.send_signal(signal.SIGTERM)
        assert job.wait(300) == 128 + signal.SIGTERM
        print(f"saved and ended {time.monotonic() - stopped:.0f} s after the signal")
        assert time.monotonic() - stopped > SLOW_SECONDS
    finally:
        job.terminate()
    finished = events_in(checkpoints, TrainingFinished)[-1]
    assert torch.load(the_run(checkpoints) / "last.pt", weights_only=True)["step"] == finished.step > 0
    assert not owner_of(the_run(checkpoints)).crashed
