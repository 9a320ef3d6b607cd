"""`cifar-tui sweep --ray`: the same sweep on a Ray of this machine."""

import importlib.util
import json
import os
import signal
import socket
import subprocess

import pytest

from cifar_tui.runs.sweep.ray_workers import ray_address
from cifar_tui.runs.sweep.store import read_outcomes
from tests.cli.command import COMMAND, assert_one_sentence, run_process, wait_until
from tests.cli.sweeps import BROKEN_NET, end_all, have_trained, runs_of, scheduler_of, states_of

HAS_RAY = importlib.util.find_spec("ray") is not None
needs_ray = pytest.mark.skipif(not HAS_RAY, reason="Ray is not installed")


@pytest.fixture
def checkpoints(tmp_path):
    yield tmp_path / "checkpoints"
    if (tmp_path / "checkpoints").exists():
        end_all(tmp_path / "checkpoints")


@needs_ray
@pytest.mark.first
def test_twelve_runs_of_which_two_fail_are_killed_in_the_middle_and_resumed_on_ray(
    tmp_path, image_folder, checkpoints
):
    """Issue 18, 5."""
    folder = checkpoints / "sweeps" / "mine"
    (tmp_path / "broken.py").write_text(BROKEN_NET)
    nets = f"model=net,{tmp_path / 'broken.py'}:Broken"
    arguments = ["--data", image_folder, "--device", "cpu", "--set", "backend=eager", "--set", "eval_every=0"]
    arguments += ["--set", nets, "--set", "batch_size=3,4,5", "--seeds", "0-1", "--epochs", 20]
    arguments += ["--workers", 2, "--name", "mine", "--ray", "local"]
    command = [*COMMAND, "sweep", *map(str, arguments)]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
        wait_until(lambda: folder.exists() and "done" in states_of(checkpoints, "mine").values(), 120)
        os.kill(scheduler_of(folder), signal.SIGKILL)
    before = {number: run for number, run in runs_of(checkpoints, "mine").items() if run.state == "done"}
    assert before
    resumed = run_process("sweep", "--resume", "mine", "--ray", "local", "--json", cwd=tmp_path)
    assert resumed.returncode == 4, resumed.stderr
    assert json.loads(resumed.stdout)["states"] == {"done": 10, "failed": 2}
    assert "Traceback" not in resumed.stderr
    for number, outcome in read_outcomes(folder).items():
        assert "no such image" in outcome.error
        assert f"run mine-{number:02} (" in resumed.stderr
    after = runs_of(checkpoints, "mine")
    assert len(after) == 10
    assert all(after[number].summary == run.summary for number, run in before.items())


@needs_ray
def test_a_run_on_ray_saves_and_ends_on_a_stop(tmp_path, image_folder, checkpoints):
    arguments = [
        "--data",
        str(image_folder),
        "--device",
        "cpu",
        "--set",
        "backend=eager",
        "--epochs",
        "100000",
    ]
    command = [*COMMAND, "sweep", *arguments, "--set", "eval_every=0", "--name", "mine", "--ray", "local"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL) as program:
        wait_until(lambda: checkpoints.exists() and states_of(checkpoints, "mine") == {1: "running"}, 120)
        wait_until(lambda: have_trained(checkpoints, "mine"))
        program.send_signal(signal.SIGTERM)
        assert program.wait(120) == 128 + signal.SIGTERM
    assert states_of(checkpoints, "mine") == {1: "stopped"}


@needs_ray
def test_no_cluster_is_one_sentence_and_leaves_nothing_behind(cli, checkpoints):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}"
        result = cli.run("sweep", "--device", "cpu", "--ray", address)
    assert_one_sentence(result, 2, f"no Ray at '{address}'", "Connection refused", "--ray local")
    assert not (checkpoints / "sweeps").exists()


@pytest.mark.skipif(HAS_RAY, reason="Ray is installed")
def test_without_ray_one_is_told_what_to_install(cli, checkpoints):
    result = cli.run("sweep", "--device", "cpu", "--ray", "local")
    assert_one_sentence(result, 2, "pip install 'cifar-tui[sweep]'")
    assert not (checkpoints / "sweeps").exists()


def test_a_cluster_in_the_environment_is_used_if_ray_is_installed(monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    assert ray_address("local") == "local"
    assert ray_address(None) == ("10.0.0.1:6379" if HAS_RAY else None)
    monkeypatch.delenv("RAY_ADDRESS")
    assert ray_address(None) is None
