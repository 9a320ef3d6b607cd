"""The dashboard as a job of a real shell: suspended and brought back."""

import os
import re
import signal
import sys
from pathlib import Path

import pytest

from cifar_tui.runs.disk.run_lock import owner_of

RARELY = ("--set", "eval_every=0", "--set", "checkpoint_every_epochs=100")
TRAIN = ("train", "--epochs", "9000", "--set", "backend=eager", *RARELY)
"""Epochs of six steps, which are not worth an evaluation and a checkpoint each."""

PANES = ("1 Settings", "2 Training", "3 Samples", "4 Summary", "5 Log")


@pytest.fixture
def shell(open_terminal):
    """A shell with job control in a terminal."""
    terminal = open_terminal(command=["bash", "--norc", "-i"], PS1="prompt>")
    terminal.until("prompt>")
    return terminal


def pid_of_the_run(checkpoints):
    (folder,) = checkpoints.iterdir()
    return owner_of(folder).pid


def field_of(pid, name):
    return re.search(rf"^{name}:\s+(\S+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)[1]


def suspend(shell, pid):
    shell.press("ctrl+z")
    shell.until(r"Stopped[\s\S]*prompt>")
    assert field_of(pid, "State") == "T"
    assert shell.left_clean()


def come_back(shell):
    shell.screen.reset()  # as a terminal that switches screens
    shell.press("f", "g", "enter")
    for pane in PANES:
        shell.until(pane)


def test_a_suspended_dashboard_comes_back_whole_and_its_run_continues(shell, image_folder, tmp_path):
    program = f"{sys.executable} -m cifar_tui {' '.join(TRAIN)} --data {image_folder.name}"
    shell.press(*program, "enter")
    shell.until(r"Epoch \d+ of 9,000")
    pid = pid_of_the_run(tmp_path / "checkpoints")
    suspend(shell, pid)
    come_back(shell)
    counters = shell.until(r"Epoch ([\d,]+) of 9,000")[1]
    shell.until("▶ training")
    shell.until_gone(rf"Epoch {counters} of")

    shell.press("space")
    shell.until("‖ paused")
    threads = field_of(pid, "Threads")
    for _ in range(2):
        suspend(shell, pid)
        shell.screen.reset()
        shell.press("b", "g", "enter")
        shell.until(r"&\n[\s\S]*prompt>\s*$")
        shell.until_true(lambda: field_of(pid, "State") == "T")  # what draws is stopped in the background
        come_back(shell)
        shell.until("‖ paused")
    assert field_of(pid, "Threads") == threads, "the keys are read once"
    shell.press("s")
    shell.until("■ stopped at step")
    shell.press("q")
    shell.until("prompt>")
    assert shell.left_clean()


def test_a_dashboard_that_is_stopped_from_outside_reads_its_keys_once_and_saves_on_sigterm(
    open_terminal, image_folder, tmp_path
):
    terminal = open_terminal(*TRAIN, "--data", image_folder)
    terminal.until(r"Epoch \d+ of 9,000")
    terminal.press("space")
    terminal.until("‖ paused")
    pid = pid_of_the_run(tmp_path / "checkpoints")
    threads = field_of(pid, "Threads")

    def is_stopped():
        # again: the parent may still be forwarding the last SIGCONT, which undoes a stop just before it
        os.killpg(terminal.pid, signal.SIGSTOP)
        return field_of(pid, "State") == "T"

    for _ in range(2):
        terminal.until_true(is_stopped)
        os.killpg(terminal.pid, signal.SIGCONT)
        terminal.until_true(lambda: field_of(pid, "State") != "T")
    terminal.press("?")
    terminal.until("Resume training after a pause")
    assert field_of(pid, "Threads") == threads
    terminal.press("escape")
    terminal.until_gone("Resume training after a pause")
    terminal.kill(signal.SIGTERM)
    assert terminal.wait_for_exit() == 128 + signal.SIGTERM
    assert terminal.left_clean()
    (folder,) = (tmp_path / "checkpoints").iterdir()
    assert (folder / "last.pt").exists()
