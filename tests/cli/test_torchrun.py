"""`cifar-tui train` in processes that torchrun starts: killed, restarted, steered, stopped."""

import os
import platform
import re
import signal
from pathlib import Path

import pytest
import torch

from cifar_tui.cli.torchrun import rank_environment, run_to_attach_to
from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.distributed.launch import Launch
from cifar_tui.engine.events import (
    Alert,
    CheckpointSaved,
    EpochFinished,
    Evaluated,
    LossPoint,
    Phase,
    PhaseChanged,
    RanksMeasured,
    Resumed,
    RunEnded,
    TrainingFinished,
)
from cifar_tui.runs.control.client import send_request
from cifar_tui.runs.control.protocol import Request
from cifar_tui.runs.disk.job import write_job
from cifar_tui.runs.disk.run_lock import owner_of
from cifar_tui.runs.disk.store import create_run_folder
from tests.cli.command import run_process, wait_until
from tests.engine.distributed.jobs import train_together
from tests.runs.made_events import STARTED, record
from tests.torchrun import (
    OUTPUT,
    environment,
    events_in,
    kill_job,
    kill_rank,
    parent_of,
    ranks_of,
    start_job,
    the_run,
)

SETTINGS = {"batch_size": 4, "chart_every": 6, "eval_every": 40, "checkpoint_every_epochs": 40}


FINALIZED_NET = """\
import os
import sys
from torch import nn


class Witness:
    def __init__(self):
        os.write(2, f"an object lives in rank {os.environ['RANK']}\\n".encode())

    def __del__(self, write=os.write):
        write(2, b"an object is finalized\\n")


class Net(nn.Module):
    def __init__(self, num_classes=10):
        super().__init__()
        self.fc = nn.Linear(3 * 32 * 32, num_classes)
        if not hasattr(sys, "witness"):
            sys.witness = Witness()

    def forward(self, x):
        return self.fc(x.flatten(1))
"""


UNREACHABLE_STORE_NET = """\
import socket
from contextlib import suppress
from torch import distributed, nn


class Net(nn.Module):
    def __init__(self, num_classes=10):
        super().__init__()
        self.fc = nn.Linear(3 * 32 * 32, num_classes)
        with socket.create_server(("0.0.0.0", 0)) as taken, suppress(distributed.DistError):
            port = taken.getsockname()[1]
            distributed.TCPStore("127.0.0.1", port, is_master=True, use_libuv=False)

    def forward(self, x):
        return self.fc(x.flatten(1))
"""


def arguments(tmp_path, images, **settings):
    pairs = [f"--set={name}={value}" for name, value in (SETTINGS | settings).items()]
    return ["--device=cpu", f"--data={images}", f"--data-dir={tmp_path / 'data'}", *pairs]


def weights_of(run):
    return torch.load(run / "cifar_net.pth", weights_only=True)


@pytest.fixture
def checkpoints(tmp_path):
    return tmp_path / "checkpoints"


def test_a_job_whose_processes_are_killed_goes_on_from_its_checkpoint(tmp_path, checkpoints, image_folder):
    job = start_job(2, *arguments(tmp_path, image_folder, epochs=200), cwd=tmp_path, restarts=2)
    try:
        for restart, rank in enumerate((1, 0)):
            wait_until(lambda saved=restart: len(events_in(checkpoints, CheckpointSaved)) > 1 + saved)
            kill_rank(job.pid, rank)
            wait_until(lambda resumed=restart: len(events_in(checkpoints, Resumed)) > resumed)
        job.wait(60)
    finally:
        kill_job(job.pid)
    output = (tmp_path / OUTPUT).read_text()
    assert job.returncode == 0, output
    assert "rank 0 lost rank 1" in output
    assert "rank 1 lost rank 0" in output
    uninterrupted = train_together(2, tmp_path / "whole", image_folder, epochs=200, **SETTINGS)
    weights = weights_of(the_run(checkpoints))
    assert all(torch.equal(weights[name], tensor) for name, tensor in uninterrupted["weights"].items())
    # the log without what the resumes supersede is that of one run
    epochs: list[EpochFinished] = []
    for event in events_in(checkpoints, (EpochFinished, Resumed)):
        if isinstance(event, Resumed):
            epochs = [epoch for epoch in epochs if epoch.step <= event.step]
        else:
            epochs.append(event)
    assert [epoch.epoch for epoch in epochs] == list(range(1, 201))
    assert [ended.exit_code for ended in events_in(checkpoints, RunEnded)] == [4, 0], "one was killed"


def test_the_run_of_a_job_can_be_attached_to_once_it_has_a_log(checkpoints):
    launch = Launch(rank=0, size=2, local_rank=0, local_size=2, job="mine", restarts=0)
    folder = create_run_folder(checkpoints, TrainConfig())
    write_job(folder, launch)
    assert run_to_attach_to(checkpoints, "mine") is None
    record(folder, STARTED)
    assert run_to_attach_to(checkpoints, "mine") == folder
    assert run_to_attach_to(checkpoints, "another") is None


def test_a_job_started_with_gpus_is_steered_stopped_and_resumed_by_more_processes(
    tmp_path, checkpoints, image_folder
):
    settings = arguments(tmp_path, image_folder, epochs=50_000)
    started = run_process("train", "--gpus=2", "--detach", *settings, cwd=tmp_path, env=environment())
    assert started.returncode == 0, started.stderr
    run = the_run(checkpoints)
    torchrun = parent_of(owner_of(run).pid)
    try:
        assert started.stdout == f"{run.name}\n"
        given = Path(f"/proc/{torchrun}/environ").read_text().split("\0")
        assert "TORCH_ELASTIC_SHUTDOWN_TIMEOUT=600" in given, "a slow save needs more than torchrun's 30 s"
        wait_until(lambda: events_in(checkpoints, RanksMeasured))
        ranks = events_in(checkpoints, RanksMeasured)[0].ranks
        assert [(rank.host, rank.device) for rank in ranks] == [(platform.node(), "cpu")] * 2
        assert all(rank.images_per_second > 0 <= rank.waited < 1 for rank in ranks)
        kill_rank(torchrun, 1)
        wait_until(lambda: events_in(checkpoints, Resumed))
        send_request(run, Request.PAUSE)
        wait_until(lambda: events_in(checkpoints, PhaseChanged)[-1].phase is Phase.PAUSED)
        before = len(events_in(checkpoints, Evaluated))
        send_request(run, Request.EVALUATE)
        wait_until(lambda: len(events_in(checkpoints, Evaluated)) > before)
        steps = events_in(checkpoints, LossPoint)[-1].step
        send_request(run, Request.RESUME)
        wait_until(lambda: events_in(checkpoints, LossPoint)[-1].step > steps)
        send_request(run, Request.STOP)
        wait_until(lambda: events_in(checkpoints, RunEnded))
        wait_until(lambda: not ranks_of(torchrun))
    finally:
        kill_job(torchrun)
    log = (run / "run.log").read_text()
    assert "cifar-tui: rank 1 was ended by signal 9\ncifar-tui: restarting all processes (1 of 3)\n" in log
    finished = events_in(checkpoints, TrainingFinished)[-1]
    assert not finished.completed
    assert "Traceback" not in log
    job = start_job(3, "--resume=latest", cwd=tmp_path)
    try:
        wait_until(lambda: events_in(checkpoints, LossPoint)[-1].step > finished.step)
        job.send_signal(signal.SIGTERM)
        job.wait(60)
    finally:
        kill_job(job.pid)
    assert events_in(checkpoints, Resumed)[-1].step == finished.step
    alerts = [alert.text for alert in events_in(checkpoints, Alert)]
    assert any("trained by 3 processes instead of 2 processes" in text for text in alerts)
    assert "(stopped)" in (tmp_path / OUTPUT).read_text()
    state = torch.load(run / "last.pt", weights_only=True)
    assert state["step"] == events_in(checkpoints, TrainingFinished)[-1].step > finished.step


@pytest.mark.parametrize(
    ("setting", "code", "sentence"),
    [
        ("--set=model=nothing", 2, "model 'nothing' must be one of "),
        ("--set=batch_size=1", 2, "batch_size 1 leaves nothing for some of 2 processes; "),
        ("--data=/nothing", 3, "no such folder: '/nothing'; "),
        ("--set=learning_rate=100", 4, "the loss is not finite at step "),
    ],
    ids=["model", "batch", "before the run", "in the run"],
)
def test_gpus_says_once_what_a_restart_does_not_mend(tmp_path, image_folder, setting, code, sentence):
    settings = arguments(tmp_path, image_folder, epochs=50)
    ended = run_process(
        "train", "--gpus=2", "--headless", *settings, setting, cwd=tmp_path, env=environment()
    )
    assert ended.returncode == code
    assert ended.stderr.count(f"cifar-tui: {sentence}") == 1
    assert ended.stderr.splitlines()[-1].startswith(f"cifar-tui: {sentence}")
    assert "Traceback" not in ended.stderr
    assert "restarting" not in ended.stderr


@pytest.mark.parametrize("starter", ["gpus", "torchrun"])
def test_a_job_prints_nothing_but_sentences_of_this_program(tmp_path, image_folder, starter):
    settings = arguments(tmp_path, image_folder, epochs=2)
    if starter == "gpus":
        job = run_process("train", "--gpus=2", "--headless", *settings, cwd=tmp_path, env=environment())
        code, printed = job.returncode, job.stderr
    else:
        job = start_job(2, *settings, "--json", cwd=tmp_path)
        try:
            code = job.wait(60)
        finally:
            kill_job(job.pid)
        printed = (tmp_path / OUTPUT).read_text()
        printed = "".join(line for line in printed.splitlines(keepends=True) if not line.startswith("{"))
    assert code == 0, printed
    own = re.compile(r"cifar-tui: |Finished Training|(GroundTruth|Predicted|Accuracy|Test accuracy)\b")
    assert [line for line in printed.splitlines() if not own.match(line)] == []


def test_a_job_prints_errors_of_native_code(tmp_path, image_folder):
    (tmp_path / "net.py").write_text(UNREACHABLE_STORE_NET)
    settings = arguments(tmp_path, image_folder, epochs=1, model="net.py:Net")
    ended = run_process("train", "--gpus=2", "--headless", *settings, cwd=tmp_path, env=environment())
    assert ended.returncode == 0, ended.stderr
    native = [line for line in ended.stderr.splitlines() if not line.startswith("cifar-tui: ")]
    assert len(native) >= 2, "one of each process"
    assert all("The server socket has failed to listen" in line for line in native)


def test_the_processes_of_a_job_end_without_finalizing_the_interpreter(tmp_path, image_folder):
    """Threads of Gloo's would run on while it is finalized, and abort the process now and then."""
    (tmp_path / "net.py").write_text(FINALIZED_NET)
    settings = arguments(tmp_path, image_folder, epochs=1, model="net.py:Net")
    ended = run_process("train", "--gpus=2", "--headless", *settings, cwd=tmp_path, env=environment())
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr.count("an object lives in rank") == 2
    assert "an object is finalized" not in ended.stderr
    assert "Test accuracy" in ended.stdout, "what was printed last is not lost"


def test_a_job_in_the_background_that_does_not_begin_says_why_and_leaves_nothing(tmp_path, checkpoints):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    options = {"cwd": tmp_path, "env": environment() | {"TMPDIR": str(temporary)}}
    started = run_process("train", "--gpus=2", "--detach", "--device=cpu", "--data=/nothing", **options)
    assert started.returncode == 3
    assert started.stderr.splitlines()[1].startswith("cifar-tui: no such folder: '/nothing'; ")
    assert list(checkpoints.iterdir()) == list(temporary.iterdir()) == []


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("--nothing", "unknown option --nothing"),
        ("--data=/nothing", "no such folder: '/nothing'; "),
        ("--set=learning_rate=100", "the loss is not finite at step "),
    ],
    ids=["usage", "before the run", "in the run"],
)
def test_torchrun_prints_the_sentence_as_the_reason_of_the_failure(tmp_path, image_folder, setting, sentence):
    settings = arguments(tmp_path, image_folder, epochs=50)
    job = start_job(2, *settings, setting, cwd=tmp_path, restarts=1)
    try:
        assert job.wait(120) != 0
    finally:
        kill_job(job.pid)
    output = (tmp_path / OUTPUT).read_text()
    assert output.count(f"cifar-tui: {sentence}") == 2, "once for each attempt"
    _, _, cause = output.partition("Root Cause")
    assert f"traceback : {sentence}" in cause


@pytest.mark.parametrize(("count", "threads"), [(1, "6"), (2, "3"), (4, "1"), (8, "1")])
def test_the_processes_share_the_cores_that_a_batch_system_gave(monkeypatch, count, threads):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(40, 46)))
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert rank_environment(count)["OMP_NUM_THREADS"] == threads
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    assert rank_environment(count)["OMP_NUM_THREADS"] == "5"


def test_a_process_of_a_job_has_no_screen(cli, monkeypatch):
    for name, value in {"RANK": 0, "WORLD_SIZE": 2, "LOCAL_RANK": 0, "LOCAL_WORLD_SIZE": 2}.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "job")
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "0")
    result = cli.run("train")
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert "add --headless" in result.stderr
