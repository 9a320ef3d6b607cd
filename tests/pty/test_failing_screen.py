"""The screen fails, the run does not: bytes that are no keys, errors in the dashboard, killed processes."""

import os
import re
import signal
import sys
import time
from pathlib import Path

import pytest
import torch

from cifar_tui.runs.disk.run_lock import owner_of
from cifar_tui.runs.disk.summary import read_summary
from tests.app.test_keys import NONSENSE

RARELY = ("--set", "eval_every=0", "--set", "checkpoint_every_epochs=20", "--set", "backend=eager")
TRAIN = ("train", "--epochs", "100000", "--device", "cpu", *RARELY)

BREAK = """
import os, pathlib, time

def due(where):
    path = pathlib.Path(where)
    if path.exists():
        path.unlink()
        raise ZeroDivisionError("in the " + where)

from cifar_tui.app import app, link, view_actions
from cifar_tui.runs import live

def broken(owner, name, where):
    real = getattr(owner, name)
    def breaks(*arguments, **options):
        due(where)
        return real(*arguments, **options)
    setattr(owner, name, breaks)

broken(app.CifarApp, "_poll", "timer")
broken(app.CifarApp, "action_toggle_pause", "handler")
broken(link.TerminalLink, "write", "writer")
broken(app.CifarApp, "on_terminal_lost", "hangup")
from cifar_tui.app import keys
broken(keys.KeyReader, "tick", "reader")

load = live.LiveRun._open_session
def slowly(run):
    while pathlib.Path("loading").exists():
        time.sleep(0.01)
    return load(run)
live.LiveRun._open_session = slowly
"""
"""Breaks the dashboard once where there is a file of that name."""


@pytest.fixture
def open_broken(open_terminal, tmp_path):
    def open_broken(*arguments):
        return open_terminal(*arguments, changes=BREAK, XDG_STATE_HOME=str(tmp_path / "state"))

    return open_broken


def the_run(terminal, tmp_path):
    """The folder of the only run, once it has a checkpoint."""
    terminal.until_true(lambda: list(tmp_path.glob("checkpoints/*/last.pt")), seconds=120)
    return next(tmp_path.glob("checkpoints/*"))


def wait_until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "the condition was not met"
        time.sleep(0.02)


def assert_stopped_and_saved(folder):
    wait_until(lambda: not owner_of(folder).live)
    assert not owner_of(folder).crashed
    assert read_summary(folder).phase == "done"
    assert torch.load(folder / "last.pt", weights_only=True)["step"] > 0


def until_it_answers(shell):
    """Wait until the shell answers a line; one that is typed while a screen is left goes with its keys."""
    for _ in range(12):
        shell.press("echo $((40 + 2))", "enter")
        end = time.monotonic() + 5
        while time.monotonic() < end:
            if b"\r42\r\n" in shell.received:
                return
            shell.pump()
    pytest.fail(f"the shell did not answer; the screen showed:\n{shell.text()}")


def said(terminal):
    """What was printed after the screen."""
    return bytes(terminal.received).decode(errors="replace").rpartition("\x1b[?1049l")[2]


def assert_left(terminal, *said_at_last):
    assert terminal.left_clean()
    assert re.fullmatch(r"(\x1b\[\S+)*" + "\r\n".join(said_at_last) + "\r\n", said(terminal)), said(terminal)


def hint(folder):
    return rf"run {folder.name} is still running\. Reattach with: cifar-tui attach {folder.name}"


def test_bytes_that_are_no_keys_end_nothing_and_hide_no_key(open_terminal, image_folder, tmp_path):
    terminal = open_terminal(*TRAIN, "--data", image_folder)
    terminal.answer()
    folder = the_run(terminal, tmp_path)
    pid = owner_of(folder).pid
    for nonsense in NONSENSE.values():
        os.write(terminal.descriptor, nonsense)
        terminal.pump(0.05)
    terminal.press("?")
    terminal.until("Resume training after a pause")
    terminal.press("?")
    terminal.until_gone("Resume training after a pause")
    terminal.press("space")
    terminal.until("‖ paused")
    terminal.resize(3000, 2000)  # which no window is
    terminal.resize(120, 40)
    terminal.press("space")
    terminal.until("▶ training")
    assert owner_of(folder).pid == pid
    terminal.press("s")
    terminal.until("■ stopped at step")
    terminal.press("q")
    assert terminal.wait_for_exit() == 0
    assert terminal.left_clean()


def test_a_dashboard_that_fails_leaves_its_run_and_an_attached_one_does_too(
    open_broken, image_folder, tmp_path
):
    terminal = open_broken(*TRAIN, "--data", image_folder)
    folder = the_run(terminal, tmp_path)
    pid = owner_of(folder).pid
    terminal.until("▶ training")
    (tmp_path / "handler").touch()
    terminal.press("space")
    assert terminal.wait_for_exit() == 1
    what = r"cifar-tui: internal error in the dashboard \(ZeroDivisionError: in the {}\); details in '{}'"
    log = rf"\S*checkpoints/{folder.name}/run\.log"
    assert_left(terminal, hint(folder), what.format("handler", log))
    assert "ZeroDivisionError: in the handler" in (folder / "run.log").read_text()
    assert owner_of(folder).pid == pid

    terminal = open_broken("attach")
    terminal.until("attached to process")
    (tmp_path / "writer").touch()
    assert terminal.wait_for_exit() == 1
    log = str(tmp_path / "state/cifar-tui/errors.log")
    assert_left(terminal, hint(folder), what.format("writer", log))

    os.kill(pid, signal.SIGTSTP)
    wait_until(lambda: " (stopped)" in Path(f"/proc/{pid}/status").read_text())
    os.kill(pid, signal.SIGCONT)
    os.kill(pid, signal.SIGWINCH)
    os.kill(pid, signal.SIGUSR1)
    assert_stopped_and_saved(folder)


def test_a_dashboard_that_fails_before_the_run_has_a_folder_waits_for_it(open_broken, image_folder, tmp_path):
    (tmp_path / "loading").touch()
    terminal = open_broken(*TRAIN, "--data", image_folder)
    terminal.until("s Stop")
    (tmp_path / "timer").touch()
    terminal.until_true(lambda: "ctrl+c to stop it" in said(terminal))
    assert terminal.left_clean()
    assert not list(tmp_path.glob("checkpoints/*"))
    (tmp_path / "loading").unlink()
    assert terminal.wait_for_exit() == 1
    (folder,) = tmp_path.glob("checkpoints/*")
    what = (
        r"cifar-tui: internal error in the dashboard \(ZeroDivisionError: in the timer\); details in '.*'\."
    )
    assert_left(terminal, rf"{what} The run continues here \(ctrl\+c to stop it\)", hint(folder))
    wait_until(lambda: (folder / "last.pt").exists())
    os.kill(owner_of(folder).pid, signal.SIGTERM)
    assert_stopped_and_saved(folder)


def test_an_idle_dashboard_that_cannot_read_its_keys_ends_with_a_sentence(open_broken, tmp_path):
    terminal = open_broken("--data", "synthetic")
    terminal.until("t Train")
    (tmp_path / "reader").touch()
    assert terminal.wait_for_exit() == 1
    log = tmp_path / "state/cifar-tui/errors.log"
    what = r"cifar-tui: internal error in the dashboard \(ZeroDivisionError: in the reader\)"
    assert_left(terminal, rf"{what}; details in '{log}'")
    assert "Traceback (most recent call last):" in log.read_text()


def test_a_killed_process_leaves_the_terminal_as_it_was_and_says_how_to_resume(
    open_terminal, image_folder, tmp_path
):
    terminal = open_terminal(*TRAIN, "--data", image_folder, "--name", "mine")
    folder = the_run(terminal, tmp_path)
    os.kill(owner_of(folder).pid, signal.SIGKILL)
    assert terminal.wait_for_exit() == -signal.SIGKILL
    resume = "run mine has a checkpoint. Resume with: cifar-tui train --resume mine"
    assert_left(terminal, re.escape(f"cifar-tui: killed by SIGKILL, perhaps for lack of memory; {resume}"))


@pytest.fixture
def training_shell(open_terminal, image_folder):
    """A shell in which the dashboard trains."""
    shell = open_terminal(command=["bash", "--norc", "-i"], PS1="prompt>")
    shell.until("prompt>")
    shell.press(f"{sys.executable} -m cifar_tui {' '.join(TRAIN)} --data {image_folder.name}", "enter")
    shell.until(r"Epoch \d+ of")
    return shell


def test_a_run_whose_parent_was_killed_leaves_the_terminal_and_saves_when_told(training_shell, tmp_path):
    shell, folder = training_shell, the_run(training_shell, tmp_path)
    pid = owner_of(folder).pid
    parent = int(re.search(r"PPid:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1])
    os.kill(parent, signal.SIGKILL)
    shell.until_true(shell.left_clean)
    until_it_answers(shell)
    os.kill(pid, signal.SIGTERM)
    assert_stopped_and_saved(folder)
    shell.press("exit", "enter")
    assert shell.wait_for_exit() == 0


def test_a_suspended_dashboard_that_the_shell_kills_saves_and_leaves_the_prompt_alone(
    training_shell, tmp_path
):
    shell, folder = training_shell, the_run(training_shell, tmp_path)
    shell.press("ctrl+z")
    shell.until(r"Stopped[\s\S]*prompt>")
    shell.press("kill %1", "enter")
    assert_stopped_and_saved(folder)
    until_it_answers(shell)
    shell.until_true(lambda: "stopped and saved at step" in said(shell))
    assert shell.left_clean()
