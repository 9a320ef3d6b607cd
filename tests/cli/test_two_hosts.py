"""Two hosts, as network namespaces joined by a link, train one run until the link is cut."""

import os
import shutil
import subprocess
import sys

import pytest

from cifar_tui.engine.events import Alert, CheckpointSaved, LossPoint, RunEnded
from tests.cli.command import wait_until
from tests.torchrun import environment, events_in, kill_job

ADDRESSES = ("10.77.0.1", "10.77.0.2")


def ip(*words):
    return subprocess.run(["ip", *words], capture_output=True, check=False).returncode == 0


@pytest.fixture
def hosts():
    """The names of two network namespaces; skips where the kernel refuses them."""
    names = [f"cifar{os.getpid()}{letter}" for letter in "ab"]
    try:
        if not (shutil.which("ip") and all(ip("netns", "add", name) for name in names)):
            pytest.skip("network namespaces need iproute2 and root")
        links = [f"v{name[-6:]}" for name in names]
        assert ip("link", "add", links[0], "type", "veth", "peer", "name", links[1])
        for name, link, address in zip(names, links, ADDRESSES, strict=True):
            assert ip("link", "set", link, "netns", name)
            assert ip("-n", name, "addr", "add", f"{address}/24", "dev", link)
            assert ip("-n", name, "link", "set", link, "up")
            assert ip("-n", name, "link", "set", "lo", "up")
        yield dict(zip(names, links, strict=True))
    finally:
        for name in names:
            ip("netns", "del", name)


def test_a_cut_link_is_a_sentence_on_both_hosts_and_the_checkpoint_is_kept(hosts, tmp_path, image_folder):
    jobs, logs = [], []
    try:
        for number, (name, link) in enumerate(hosts.items()):
            folder = tmp_path / name
            folder.mkdir()
            logs.append(folder / "log")
            command = [sys.executable, "-m", "torch.distributed.run", "--nnodes=2", "--nproc-per-node=1"]
            command += [f"--node-rank={number}", f"--master-addr={ADDRESSES[0]}", "--master-port=29500"]
            command += ["-m", "cifar_tui", "train", "--headless", "--device=cpu", f"--data={image_folder}"]
            command += ["--set=epochs=100000", "--set=eval_every=0", "--set=rank_timeout=0.1"]
            with logs[-1].open("wb") as output:
                jobs.append(
                    subprocess.Popen(
                        ["ip", "netns", "exec", name, *command],
                        cwd=folder,
                        env=environment() | {"GLOO_SOCKET_IFNAME": link},
                        stdout=output,
                        stderr=output,
                    )
                )
        first = next(iter(hosts))
        checkpoints = tmp_path / first / "checkpoints"
        wait_until(lambda: events_in(checkpoints, LossPoint) and events_in(checkpoints, CheckpointSaved))
        assert ip("-n", first, "link", "set", hosts[first], "down")
        for job in jobs:
            assert job.wait(60) == 1, "torchrun's own"
    finally:
        for job in jobs:
            kill_job(job.pid)
    ended = events_in(checkpoints, RunEnded)[-1]
    assert ended.exit_code == 4
    assert ended.error.startswith("rank 0 lost rank 1 on ")
    assert ended.error.endswith("; resume from the last checkpoint")
    assert "cifar-tui: rank 1 lost rank 0 on " in logs[1].read_text()
    assert not events_in(checkpoints, Alert)
    assert next(checkpoints.glob("*/last.pt")).stat().st_size
