"""Runs viewed again in a real terminal: crashed, finished, resumed, compared and deleted."""

import shutil
import signal
import subprocess
import sys
import time

import pytest

from cifar_tui.runs.disk.run_lock import owner_of
from cifar_tui.runs.disk.summary import read_summary


@pytest.fixture(scope="module")
def train(shared_image_folder):
    """Trains without a screen, in the given folder; gives the process."""

    def start(place, *arguments):
        images = ("--data", str(shared_image_folder))
        command = [sys.executable, "-m", "cifar_tui", "train", "--headless", *images]
        return subprocess.Popen(
            [*command, "--device", "cpu", *arguments],
            cwd=place,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


@pytest.fixture(scope="module")
def killed(train, tmp_path_factory):
    """A folder with the run of a process that was killed after its first checkpoint."""
    place = tmp_path_factory.mktemp("killed")
    rarely = ("--set", "eval_every=0", "--set", "checkpoint_every_epochs=100")
    process = train(place, "--epochs", "100000", "--set", "backend=eager", *rarely)
    for line in process.stderr:
        if line.startswith("cifar-tui: epoch 2:"):
            break
    (folder,) = (place / "checkpoints").iterdir()
    while not (folder / "last.pt").exists():  # it is written in the background
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return place


@pytest.fixture
def crashed_run(killed, tmp_path):
    """The folder of a run that crashed."""
    shutil.copytree(killed, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.sock"))
    (folder,) = (tmp_path / "checkpoints").iterdir()
    assert owner_of(folder).crashed
    return folder


def test_a_crashed_run_says_so_and_resumes_from_its_checkpoint(open_terminal, crashed_run):
    terminal = open_terminal("attach", size=(80, 24))
    terminal.until("While you were away")
    terminal.until("crashed")
    terminal.press("enter")
    terminal.until_gone("While you were away")
    terminal.until("! crashed")
    terminal.press("u")
    terminal.until("▶ training")
    terminal.until_true(lambda: '"event":"Resumed"' in (crashed_run / "events.jsonl").read_text())
    terminal.press("d")
    assert terminal.wait_for_exit() == 0
    assert owner_of(crashed_run).live

    terminal = open_terminal("attach", size=(120, 40))
    terminal.until("steps")
    terminal.press("enter")
    terminal.until_gone("While you were away")
    terminal.until("attached to process")
    terminal.press("s")
    terminal.until("■ stopped at step")
    terminal.press("q")
    assert terminal.wait_for_exit() == 0
    assert read_summary(crashed_run).phase == "done"


def test_the_runs_are_listed_opened_compared_and_deleted(open_terminal, train, crashed_run, tmp_path):
    assert train(tmp_path, "--epochs", "3").wait(60) == 0
    (finished,) = (path for path in (tmp_path / "checkpoints").iterdir() if path != crashed_run)
    terminal = open_terminal(size=(120, 40))
    terminal.until("Train")
    terminal.press("r")
    terminal.until(rf"{finished.name} +✓ done")
    terminal.until(rf"{crashed_run.name} +✗ crashed")
    terminal.press("space")
    terminal.until("1 marked")
    terminal.press("j", "space")
    terminal.until("2 marked")
    terminal.press("v")
    terminal.until("Compare · 2 runs")
    terminal.press("2", "m")
    terminal.until("run .* epochs")
    terminal.until(rf"{finished.name} .* 3 ")
    terminal.until(rf"{crashed_run.name} .* 100000 ")
    terminal.press("q")
    terminal.until_gone("Compare · 2 runs")
    terminal.press("a")
    terminal.until_gone("2 marked")
    terminal.press("x")
    terminal.until("Delete run")
    terminal.press("escape")
    terminal.until_gone("Delete run")
    assert crashed_run.exists()
    terminal.press("x")
    terminal.until("Delete run")
    terminal.press("y")
    terminal.until_true(lambda: not crashed_run.exists())
    terminal.until_gone(rf"{crashed_run.name} ")
    terminal.press("enter")
    terminal.until("trained for")
    assert "While you were away" not in terminal.text()
    terminal.press("q")
    assert terminal.wait_for_exit() == 0
