"""The same command again, as when a batch system starts a job again: what was interrupted is resumed."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from cifar_tui.cli import interrupted
from cifar_tui.engine.events import LossPoint, Resumed
from cifar_tui.engine.layout import LAST_FILE, LOCK_FILE, WEIGHTS_FILE
from cifar_tui.runs.disk.config import read_run_config
from cifar_tui.runs.disk.event_log import read_events
from cifar_tui.runs.disk.run_lock import owner_of
from cifar_tui.runs.disk.store import read_name, run_folders
from cifar_tui.runs.listing import list_run
from tests.cli.command import COMMAND, assert_one_sentence, wait_until
from tests.cli.sweeps import end_all, have_trained, runs_of, states_of
from tests.torchrun import environment, events_in, parent_of

OF_A_JOB = {"SLURM_JOB_ID": "7", "SLURM_JOB_NAME": "wrap", "SLURM_NTASKS": "1", "SLURM_PROCID": "0"}
NEVER_ENDING = ("--device=cpu", "--epochs=100000", "--set=eval_every=0", "--set=backend=eager")
OTHER_HOST = "node-of-yesterday"


@pytest.fixture
def checkpoints(tmp_path):
    return tmp_path / "checkpoints"


@pytest.fixture
def job(tmp_path, checkpoints):
    """Starts a command as a batch system does: no terminal, a session of its own, output to one file."""
    jobs = []

    def job(*words, **variables):
        with (tmp_path / "job.out").open("ab") as output:
            jobs.append(
                subprocess.Popen(
                    [*COMMAND, *map(str, words)],
                    cwd=tmp_path,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    env=environment() | OF_A_JOB | variables,
                    start_new_session=True,
                )
            )
        return jobs[-1]

    yield job
    for process in jobs:
        if process.poll() is None:
            process.terminate()  # passed on to processes in sessions of their own
            process.wait(60)
    if checkpoints.exists():
        end_all(checkpoints)


def steps_resumed(run):
    return [event.step for event in read_events(run) if isinstance(event, Resumed)]


def descendants(process):
    """The process and those that it or another one of them has started, the children after their parent."""
    found, parents = [process], {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended
            parents[int(folder.name)] = parent_of(folder.name)
    for parent in found:
        found += [child for child, of in parents.items() if of == parent]
    return found


def lock_of_another_host(folder):
    """Lock a run as a process on another host does, if the file system shows no lock of another host's."""
    lock = folder / LOCK_FILE
    lock.write_text(json.dumps({"pid": 1, "host": OTHER_HOST}))
    return lock


def kill_owner_of(folder):
    """Leave the lock of a run as a process leaves it that was killed."""
    (folder / LOCK_FILE).write_text(json.dumps({"pid": 1, "host": socket.gethostname()}))


def test_a_sweep_of_the_same_name_and_plan_is_resumed(job, checkpoints, tmp_path, image_folder, cli):
    words = ("sweep", f"--data={image_folder}", *NEVER_ENDING, "--seeds=0-1", "--name=mine")
    first = job(*words)
    wait_until(lambda: have_trained(checkpoints, "mine"))
    first.send_signal(signal.SIGUSR1)
    assert first.wait(60) == 128 + signal.SIGUSR1
    assert states_of(checkpoints, "mine") == {1: "stopped"}
    run = runs_of(checkpoints, "mine")[1]
    lock = lock_of_another_host(checkpoints / "sweeps" / "mine")
    again = job(*words, "--workers=2", SLURM_RESTART_COUNT="1")
    wait_until(lambda: f"waiting until {OTHER_HOST} has left" in (tmp_path / "job.out").read_text())
    os.utime(lock, (0, 0))  # a minute without a heartbeat
    wait_until(lambda: len(states_of(checkpoints, "mine")) == 2 and steps_resumed(run.folder))
    again.send_signal(signal.SIGTERM)
    assert again.wait(60) == 128 + signal.SIGTERM
    assert steps_resumed(run.folder) == [run.summary.step]
    output = (tmp_path / "job.out").read_text()
    assert "cifar-tui: resuming sweep mine, which has this plan\n" in output
    assert not re.search(r"[\x1b\r]", output)
    other = cli.run(*words, "--set=momentum=0.5")
    assert_one_sentence(other, 2, "a sweep 'mine' with other settings", "--resume mine")


def test_of_two_sweeps_of_one_name_begun_at_the_same_moment_one_works(job, tmp_path, image_folder):
    words = ("sweep", f"--data={image_folder}", *NEVER_ENDING, "--seeds=0-1", "--name=mine")
    both = job(*words), job(*words)
    wait_until(lambda: any(sweep.poll() is not None for sweep in both))
    (refused,) = (sweep for sweep in both if sweep.poll() is not None)
    assert refused.wait() == 2
    assert re.search(
        r"cifar-tui: sweep 'mine' is already running in process \d+", (tmp_path / "job.out").read_text()
    )


@pytest.mark.parametrize("options", [(), ("--gpus=2",)], ids=["one process", "two"])
def test_a_run_of_the_same_name_and_settings_is_resumed(
    job, checkpoints, tmp_path, image_folder, cli, options
):
    words = ("train", f"--data={image_folder}", *NEVER_ENDING, "--headless", "--name=mine", *options)
    first = job(*words)
    wait_until(lambda: events_in(checkpoints, LossPoint))
    all_processes = descendants(first.pid)
    for process in all_processes:  # as Slurm does, also to those that pass it on
        os.kill(process, signal.SIGUSR1)
    assert first.wait(60) == 128 + signal.SIGUSR1
    assert not any(Path(f"/proc/{process}").exists() for process in all_processes), "Slurm would kill them"
    (run,) = run_folders(checkpoints)
    stopped = list_run(run)
    assert stopped.state == "stopped"
    lock = lock_of_another_host(run)
    again = job(*words, SLURM_RESTART_COUNT="1")
    wait_until(lambda: f"waiting until {OTHER_HOST} has left" in (tmp_path / "job.out").read_text())
    os.utime(lock, (0, 0))  # a minute without a heartbeat
    wait_until(lambda: events_in(checkpoints, Resumed))
    again.send_signal(signal.SIGTERM)
    assert again.wait(60) == 128 + signal.SIGTERM
    assert steps_resumed(run) == [stopped.summary.step]
    assert run_folders(checkpoints) == [run]
    output = (tmp_path / "job.out").read_text()
    assert output.count("cifar-tui: resuming run mine, which was interrupted\n") == 1
    assert not re.search(r"[\x1b\r]", output)
    other = cli.run(*words, "--set=momentum=0.5")
    assert_one_sentence(other, 2, "the name 'mine' belongs to run", run.name)


def test_only_a_run_that_has_saved_nothing_is_deleted(checkpoints, image_folder, cli):
    """Whoever wants room removes last.pt, the larger file, and keeps the weights."""
    words = ("train", f"--data={image_folder}", "--device=cpu", "--headless", "--name=mine")
    assert cli.run(*words).returncode == 0
    (run,) = run_folders(checkpoints)
    kill_owner_of(run)
    in_dashboard = [word for word in words if word != "--headless"]
    assert_one_sentence(cli.run(*in_dashboard), 2, "the name 'mine' belongs to run", run.name)
    (run / LAST_FILE).unlink()
    assert_one_sentence(cli.run(*words), 2, "the name 'mine' belongs to run", run.name)
    (run / WEIGHTS_FILE).unlink()
    again = cli.run(*words)
    assert again.returncode == 0
    assert "run mine was interrupted before its first checkpoint; starting again" in again.stderr
    (run,) = run_folders(checkpoints)
    assert (read_name(run), steps_resumed(run), list_run(run).state) == ("mine", [], "done")


@pytest.mark.parametrize(("setting", "code"), [("seed=1", 0), ("learning_rate=100", 4)])
def test_a_run_that_is_done_or_has_failed_is_not_resumed(checkpoints, image_folder, cli, setting, code):
    words = ("train", f"--data={image_folder}", "--device=cpu", "--headless", "--name=mine", "--epochs=50")
    words += (f"--set={setting}",)
    assert cli.run(*words).returncode == code
    (run,) = run_folders(checkpoints)
    assert list_run(run).state == ("failed" if code else "done")
    assert_one_sentence(cli.run(*words), 2, "the name 'mine' belongs to run", run.name)
    assert run_folders(checkpoints) == [run]
    assert not steps_resumed(run)
    (run / LAST_FILE).touch()
    of_several = interrupted.interrupted_run(
        checkpoints, read_run_config(run), launch=None, name="mine", processes=2
    )
    assert of_several == (run if code else None), "the others fail when one process is lost"


def test_a_run_whose_owner_lives_on_another_host_is_not_taken_from_it(
    job, checkpoints, tmp_path, image_folder, cli
):
    words = ("train", f"--data={image_folder}", "--device=cpu", "--headless", "--name=mine")
    assert cli.run(*words).returncode == 0
    lock = lock_of_another_host(run_folders(checkpoints)[0])
    again = job(*words)
    wait_until(lambda: f"waiting until {OTHER_HOST} has left" in (tmp_path / "job.out").read_text())
    os.utime(lock)  # its heartbeat
    assert again.wait(60) == 2
    assert f"already running in process 1 on {OTHER_HOST}" in (tmp_path / "job.out").read_text()


def test_an_owner_without_heartbeat_is_dead_whatever_the_clock_says(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(interrupted, "STALE_SECONDS", 0.3)
    monkeypatch.setattr(interrupted, "BEAT_SECONDS", 0.1)
    lock = lock_of_another_host(tmp_path)
    in_an_hour = time.time() + 3600
    os.utime(lock, (in_an_hour, in_an_hour))
    interrupted.wait_for_lost_owner(tmp_path)
    assert f"waiting until {OTHER_HOST} has left" in capsys.readouterr().err
    assert owner_of(tmp_path).crashed
    os.utime(lock)  # it was cut off, and is back
    assert owner_of(tmp_path).live
