"""Training without a screen outlives its terminal, starts in the background, and is resumed."""

import contextlib
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import threading
import time

import pytest
import torch

from cifar_tui.cli.headless import train_headless
from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.events import LossPoint, Phase
from cifar_tui.runs.control.client import send_request
from cifar_tui.runs.control.protocol import Request
from cifar_tui.runs.disk.event_log import read_events
from cifar_tui.runs.disk.run_lock import RunLock, owner_of
from cifar_tui.runs.disk.summary import read_summary
from cifar_tui.runs.live import LiveRun
from cifar_tui.runs.state import RunState

COMMAND = [sys.executable, "-m", "cifar_tui"]
RARELY = ["--set", "eval_every=0", "--set", "checkpoint_every_epochs=0"]


def arguments(image_folder, *more):
    return ["--data", str(image_folder), "--device", "cpu", *RARELY, *more]


def run(*arguments, cwd):
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def wait_until(condition, seconds=60):
    """Wait for `condition`, and fail when it does not come about."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "the condition did not come about"
        time.sleep(0.01)


def assert_one_sentence(result, code, *words):
    """The program said one thing on stderr, with `words` in it, and ended with `code`."""
    assert result.returncode == code, result.stderr
    assert result.stdout == ""
    complaint = [
        line for line in result.stderr.splitlines() if not re.match(r"cifar-tui: (loading|failed)", line)
    ]
    assert len(complaint) == 1, result.stderr
    for word in words:
        assert str(word) in complaint[0]


class Terminal:
    """The program in a pseudo-terminal, whose hangup it ignores where it is so told."""

    def __init__(self, *arguments, cwd, ignore_hangup=False):
        self.received = b""
        self.pid, self.descriptor = pty.fork()
        if self.pid == 0:
            os.chdir(cwd)
            # whatever the tests themselves were started with
            signal.signal(signal.SIGHUP, signal.SIG_IGN if ignore_hangup else signal.SIG_DFL)
            os.execve(sys.executable, [*COMMAND, *map(str, arguments)], os.environ | {"TERM": "xterm"})

    def until(self, condition):
        """Wait until `condition` holds, while somebody reads."""
        wait_until(lambda: self.pump() or condition())

    def pump(self):
        while select.select([self.descriptor], [], [], 0)[0]:
            try:
                data = os.read(self.descriptor, 65536)
            except OSError:  # nobody has the other end any more
                return
            if not data:
                return
            self.received += data

    def hang_up(self):
        os.close(self.descriptor)
        self.descriptor = None

    def wait(self):
        """The exit code; read or not."""
        code = []

        def ended():
            if self.descriptor is not None:
                self.pump()
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.pid = None
                code.append(os.waitstatus_to_exitcode(status))
            return pid

        wait_until(ended)
        if self.descriptor is not None:
            self.pump()
        return code[0]

    def close(self):
        if self.pid is not None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        if self.descriptor is not None:
            self.hang_up()


@pytest.fixture
def open_terminal(tmp_path):
    terminals = []

    def open_terminal(*arguments, **options):
        terminals.append(Terminal(*arguments, cwd=tmp_path, **options))
        return terminals[-1]

    yield open_terminal
    for terminal in terminals:
        terminal.close()
    for folder in tmp_path.glob("checkpoints/*"):
        owner = owner_of(folder)
        if owner.live and owner.pid != os.getpid():
            with contextlib.suppress(ProcessLookupError):
                os.kill(owner.pid, signal.SIGKILL)


@pytest.fixture
def stopped_run(tmp_path, image_folder):
    """The folder of a run that was stopped on its way."""
    config = TrainConfig(
        data=str(image_folder),
        data_dir=str(tmp_path / "data"),
        device="cpu",
        epochs=150,
        eval_every=0,
        checkpoint_every_epochs=0,
    )
    run = LiveRun(config, checkpoints=tmp_path / "checkpoints")
    run.start_training()
    wait_until(lambda: run.snapshot().step > 0)
    run.request(Request.STOP)
    assert run.wait(60)
    assert run.snapshot().finished.completed is False
    return run.folder


def the_run(tmp_path):
    """The folder of the one run that there is, once it trains."""
    folders = list(tmp_path.glob("checkpoints/*"))
    trains = folders and any(isinstance(event, LossPoint) for event in log_of(folders[0]))
    return folders[0] if trains else None


def log_of(folder):
    return list(read_events(folder)) if (folder / "events.jsonl").exists() else []


def assert_complete(folder, steps):
    """The run came to its end, with all its files whole."""
    summary = read_summary(folder)
    assert (summary.phase, summary.completed, summary.step) == (Phase.DONE, True, steps)
    assert torch.load(folder / "last.pt", weights_only=True)["step"] == steps
    assert "conv1.weight" in torch.load(folder / "cifar_net.pth", weights_only=True)
    assert json.loads((folder / "report.json").read_text())["step"] == steps
    assert owner_of(folder).live is owner_of(folder).crashed is False
    covered = sum(event.steps for event in log_of(folder) if isinstance(event, LossPoint))
    assert covered == steps


# The terminal goes


def test_a_closed_terminal_ends_nothing_and_the_output_goes_to_the_runs_log(
    open_terminal, image_folder, tmp_path
):
    terminal = open_terminal("train", "--headless", *arguments(image_folder, "--epochs", "150"))
    terminal.until(lambda: the_run(tmp_path))
    folder = the_run(tmp_path)
    terminal.hang_up()
    assert terminal.wait() == 0
    assert_complete(folder, 900)
    log = (folder / "run.log").read_text()
    assert "Finished Training" in log
    assert re.search(r"Accuracy of the network on the 12 test images: \d+ %", log)
    assert "\x1b" not in log, "there is no terminal to steer in a file"
    assert "Traceback" not in log


def test_a_terminal_that_closes_while_it_loads_leaves_its_output_in_the_log_too(
    open_terminal, image_folder, tmp_path
):
    terminal = open_terminal("train", "--headless", *arguments(image_folder))
    terminal.until(lambda: b"PyTorch" in terminal.received)
    terminal.hang_up()
    assert terminal.wait() == 0
    (folder,) = (tmp_path / "checkpoints").iterdir()
    assert_complete(folder, 12)
    assert "Finished Training" in (folder / "run.log").read_text()


def test_a_closed_terminal_whose_hangup_is_ignored_ends_nothing_either(open_terminal, image_folder, tmp_path):
    terminal = open_terminal(
        "train", "--headless", *arguments(image_folder, "--epochs", "100"), ignore_hangup=True
    )
    terminal.until(lambda: the_run(tmp_path))
    terminal.hang_up()
    assert terminal.wait() == 0
    assert_complete(the_run(tmp_path), 600)


def test_with_nohup_a_hangup_stays_ignored_and_the_output_where_it_was(image_folder, tmp_path):
    with (tmp_path / "nohup.out").open("w") as output:
        process = subprocess.Popen(
            ["nohup", *COMMAND, "train", "--headless", *arguments(image_folder, "--epochs", "100")],
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    wait_until(lambda: the_run(tmp_path) or process.poll() is not None)
    process.send_signal(signal.SIGHUP)
    assert process.wait(60) == 0
    folder = the_run(tmp_path)
    assert_complete(folder, 600)
    assert "Accuracy of the network" in (tmp_path / "nohup.out").read_text()
    assert not (folder / "run.log").exists()


# In the background


def test_a_run_in_the_background_gives_the_prompt_back_and_is_found_and_stopped(
    open_terminal, image_folder, tmp_path
):
    terminal = open_terminal("train", "--detach", *arguments(image_folder, "--epochs", "100000"))
    assert terminal.wait() == 0
    (folder,) = (tmp_path / "checkpoints").iterdir()
    said = terminal.received.decode()
    assert f"run {folder.name} is still running." in said
    assert f"Reattach with: cifar-tui attach {folder.name}\r\n" in said
    assert said.rfind("\x1b[?25h") >= said.rfind("\x1b[?25l"), "the cursor is shown again"
    owner = owner_of(folder)
    assert owner.live
    assert os.getsid(owner.pid) == owner.pid
    terminal.hang_up()
    wait_until(lambda: the_run(tmp_path))
    send_request(folder, "stop")
    wait_until(lambda: not owner_of(folder).live)
    assert not owner_of(folder).crashed
    assert read_summary(folder).phase == Phase.DONE
    assert torch.load(folder / "last.pt", weights_only=True)["step"] > 0
    log = (folder / "run.log").read_text()
    assert "stopped" in log
    assert "\x1b" not in log


def test_a_run_in_the_background_without_data_ends_with_3_and_a_sentence(tmp_path):
    result = run("train", "--detach", "--data", tmp_path / "none", cwd=tmp_path)
    assert_one_sentence(result, 3, tmp_path / "none")
    assert os.listdir(tmp_path / "checkpoints") == []


def test_a_run_in_the_background_has_no_results_to_print(tmp_path):
    result = run("train", "--detach", "--json", "--data", "synthetic", cwd=tmp_path)
    assert_one_sentence(result, 2, "--json", "--detach")
    assert not (tmp_path / "checkpoints").exists()


# Resumed


def test_a_stopped_run_is_resumed_to_its_end(stopped_run, tmp_path):
    result = run("train", "--headless", "--resume", stopped_run.name[:-1], cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "resumed from step" in result.stderr
    assert "Finished Training" in result.stdout
    assert_complete(stopped_run, 900)
    assert_one_sentence(
        run("train", "--headless", "--resume", "latest", cwd=tmp_path), 2, "already finished", "epochs above"
    )


def test_what_cannot_be_resumed_is_refused_with_2_and_a_sentence(stopped_run, tmp_path):
    name = stopped_run.name
    before = {path: path.read_bytes() for path in stopped_run.iterdir()}

    def resume(*arguments):
        return run("train", "--headless", "--resume", *arguments, cwd=tmp_path)

    assert_one_sentence(resume("1999"), 2, "no run '1999'", name)
    assert_one_sentence(resume(name, "--batch-size", "8"), 2, name, "batch_size 8", "trained with 4")
    assert_one_sentence(run("train", "--detach", "--resume", "1999", cwd=tmp_path), 2, "no run '1999'")
    lock = RunLock(stopped_run)
    lock.acquire()
    for way in ("--headless", "--detach"):
        result = run("train", way, "--resume", name, cwd=tmp_path)
        assert_one_sentence(result, 2, f"running in process {os.getpid()}", f"cifar-tui attach {name}")
    lock.release()
    assert {path: path.read_bytes() for path in stopped_run.iterdir()} == before


def test_a_resume_under_other_circumstances_says_so_and_repeats_nothing(image_folder, tmp_path):
    command = [sys.executable, "-m", "cifar_tui", "train", "--headless", "--device", "cpu"]
    subprocess.run(
        [*command, "--data", str(image_folder)], cwd=tmp_path, check=True, capture_output=True, timeout=120
    )
    (folder,) = (tmp_path / "checkpoints").iterdir()
    state = torch.load(folder / "last.pt", weights_only=True)
    state["origin"]["torch"] = "1.0"
    torch.save(state, folder / "last.pt")
    (folder / ".last.pt.killed.tmp").write_bytes(b"half")
    resumed = subprocess.run(
        [*command, "--resume", "latest", "--epochs", "3"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "the resumed run may come out differently" in resumed.stderr
    assert "the checkpoint is of 1.0" in resumed.stderr
    assert "resumed from step 12" in resumed.stderr
    assert "epoch 3:" in resumed.stderr
    assert "epoch 1:" not in resumed.stderr
    assert resumed.stdout.count("Finished Training") == 1
    assert not list(folder.glob(".*.tmp")), "what a killed save left is removed"


def test_every_line_of_a_resumed_run_is_printed_once_whenever_it_is_looked_at(
    image_folder, tmp_path, monkeypatch, capfd
):
    """Here the run and its reader take turns, so that it is looked at between any two events."""
    checkpoints = tmp_path / "checkpoints"
    settings = {"data": str(image_folder), "device": "cpu", "log_every": 2}
    assert train_headless(TrainConfig(**settings), checkpoints=checkpoints, as_json=False) == 0
    (folder,) = checkpoints.iterdir()
    capfd.readouterr()

    may_apply, applied = threading.Semaphore(0), threading.Semaphore(0)
    apply, live = RunState.apply, LiveRun.live

    def apply_in_turn(state, event, **options):
        may_apply.acquire()
        apply(state, event, **options)
        applied.release()

    def wait_in_turn(run, _seconds):
        may_apply.release()
        wait_until(lambda: applied.acquire(blocking=False) or not live.fget(run))
        return not live.fget(run)

    monkeypatch.setattr(RunState, "apply", apply_in_turn)
    monkeypatch.setattr(LiveRun, "wait", wait_in_turn)
    config = TrainConfig(**settings, epochs=3)
    assert train_headless(config, checkpoints=checkpoints, as_json=False, resume=folder) == 0
    printed = [line for line in capfd.readouterr().out.splitlines() if "loss:" in line or "Training" in line]
    assert [line[:10] for line in printed] == ["[3,     2]", "[3,     4]", "[3,     6]", "Finished T"]


def test_a_resume_without_its_images_leaves_the_run_as_it_was(image_folder, tmp_path):
    command = [sys.executable, "-m", "cifar_tui", "train", "--headless", "--device", "cpu"]
    subprocess.run(
        [*command, "--data", str(image_folder)], cwd=tmp_path, check=True, capture_output=True, timeout=120
    )
    (folder,) = (tmp_path / "checkpoints").iterdir()
    config = (folder / "config.toml").read_text()
    resume = [*command, "--resume", "latest", "--epochs", "3"]
    elsewhere = [*resume, "--data", str(tmp_path / "nowhere")]
    assert subprocess.run(elsewhere, cwd=tmp_path, check=False, capture_output=True).returncode == 3
    assert (folder / "config.toml").read_text() == config
    subprocess.run(resume, cwd=tmp_path, check=True, capture_output=True, timeout=120)
