"""A training that is killed at random moments and resumed each time equals an uninterrupted one."""

import os
import random
import signal
import subprocess
import sys
import time

import torch

from cifar_tui.engine.events import EpochFinished, Evaluated, LossPoint, LossWindow, Resumed
from cifar_tui.runs.disk.event_log import read_events
from tests.cli.command import CommandLine

CRASHES = int(os.environ.get("CIFAR_TUI_CRASHES", "1"))
SEED = int(os.environ.get("CIFAR_TUI_CRASH_SEED", random.SystemRandom().randrange(10**9)))
SETTINGS = ("--epochs", "30", "--set", "log_every=4", "--set", "checkpoint_every_minutes=0.0001")
"""Epochs of six steps, and a checkpoint every few milliseconds."""
MOST_SECONDS = 0.6


def command(image_folder, *arguments):
    data = ("--data", str(image_folder), "--device", "cpu")
    return [sys.executable, "-m", "cifar_tui", "train", "--headless", *data, *arguments]


def losses(folder):
    """Every loss that counts: a resume takes back those after its checkpoint, and a final evaluation."""
    found = []
    for event in read_events(folder):
        if isinstance(event, Resumed):
            found = [entry for entry in found if entry[1] <= event.step and entry[0] != "final"]
        elif isinstance(event, LossPoint | LossWindow | EpochFinished):
            found.append((type(event).__name__, event.step, event.loss))
        elif isinstance(event, Evaluated):
            found.append(("final" if event.final else "Evaluated", event.step, event.loss, event.correct))
    return found


def test_every_resume_loads_and_the_finished_runs_equal_the_uninterrupted_one(image_folder, tmp_path, capsys):
    print(f"{CRASHES} crashes, seed {SEED}: set CIFAR_TUI_CRASHES and CIFAR_TUI_CRASH_SEED for the same")
    moments = random.Random(SEED)
    alone = tmp_path / "alone"
    alone.mkdir()
    assert CommandLine(alone, capsys).train("--data", image_folder, *SETTINGS).returncode == 0
    (reference,) = (alone / "checkpoints").iterdir()
    reference_losses = losses(reference)
    assert len(reference_losses) > 30 * 4

    crashes = finished = 0
    while crashes < CRASHES or not finished:
        place = tmp_path / f"run{finished}"
        place.mkdir(exist_ok=True)
        runs = list((place / "checkpoints").glob("*/last.pt"))
        starts = sum(training_starts(run.parent) for run in runs)
        arguments = ("--resume", runs[0].parent.name) if runs else SETTINGS
        process = subprocess.Popen(
            command(image_folder, *arguments), cwd=place, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        if crashes < CRASHES:
            wait_for_training(process, place, starts)
            time.sleep(moments.uniform(0, MOST_SECONDS))  # the moment is the thing that is tested
            process.send_signal(signal.SIGKILL)
        _, complaints = process.communicate(timeout=120)
        if process.returncode == -signal.SIGKILL:
            crashes += 1
            continue
        # the last crash may have come when all was done
        complete = process.returncode == 2 and b"is already finished" in complaints
        assert process.returncode == 0 or complete, complaints.decode()
        (folder,) = (path for path in (place / "checkpoints").iterdir() if (path / "last.pt").exists())
        assert losses(folder) == reference_losses
        assert_same_weights(folder, reference)
        finished += 1
    print(f"{crashes} crashes, {finished} finished runs")


def wait_for_training(process, place, starts):
    """Wait until the process trains a run that has a checkpoint, or has ended."""
    while process.poll() is None:
        runs = [run.parent for run in (place / "checkpoints").glob("*/last.pt")]
        if sum(training_starts(run) for run in runs) > starts:
            return
        time.sleep(0.005)


def training_starts(folder):
    return (folder / "events.jsonl").read_text().count('"event":"TrainingStarted"')


def assert_same_weights(folder, reference):
    weights, expected = (
        torch.load(path / "cifar_net.pth", weights_only=True) for path in (folder, reference)
    )
    assert all(torch.equal(weights[name], expected[name]) for name in expected)
