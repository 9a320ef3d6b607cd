"""Training without a screen outlives its terminal, runs in the background, and is resumed."""

import contextlib
import json
import os
import re
import select
import signal
import subprocess
import threading

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
from tests.cli.command import COMMAND, assert_one_sentence, run_process, wait_until
from tests.programs import ExecutedProgram, ForkedProgram

RARELY = ["--set", "eval_every=0", "--set", "checkpoint_every_epochs=0"]


def arguments(image_folder, *more):
    return ["--data", str(image_folder), "--device", "cpu", *RARELY, *more]


class Terminal:
    """The program in a pseudo-terminal; it may be started with SIGHUP ignored, and import torch itself."""

    def __init__(self, *arguments, cwd, ignore_hangup=False, imports_torch=False):
        self.received = b""
        arguments = [str(argument) for argument in arguments]
        options = {"cwd": cwd, "environment": os.environ | {"TERM": "xterm"}, "ignore_hangup": ignore_hangup}
        if imports_torch:
            self._program = ExecutedProgram([*COMMAND, *arguments], **options)
        else:
            self._program = ForkedProgram(arguments, **options)
        self.descriptor = self._program.descriptor

    def until(self, condition):
        """Wait until `condition` holds, while the terminal is read."""
        wait_until(lambda: self.pump() or condition())

    def pump(self):
        while select.select([self.descriptor], [], [], 0)[0]:
            try:
                data = os.read(self.descriptor, 65536)
            except OSError:  # the other end is closed
                return
            if not data:
                return
            self.received += data

    def hang_up(self):
        os.close(self.descriptor)
        self.descriptor = None

    def wait(self):
        """Return the exit code; the terminal is read meanwhile, unless it was hung up."""
        code = []

        def ended():
            if self.descriptor is not None:
                self.pump()
            code.append(self._program.poll())
            return code[-1] is not None

        wait_until(ended)
        if self.descriptor is not None:
            self.pump()
        return code[-1]

    def close(self):
        if self._program.poll() is None:
            self._program.kill()
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
    """The folder of a run that was stopped before its end."""
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
    """The folder of the only run, once it trains."""
    folders = list(tmp_path.glob("checkpoints/*"))
    trains = folders and any(isinstance(event, LossPoint) for event in log_of(folders[0]))
    return folders[0] if trains else None


def log_of(folder):
    return list(read_events(folder)) if (folder / "events.jsonl").exists() else []


def assert_complete(folder, steps):
    """The run is finished and all its files are whole."""
    summary = read_summary(folder)
    assert (summary.phase, summary.completed, summary.step) == (Phase.DONE, True, steps)
    assert torch.load(folder / "last.pt", weights_only=True)["step"] == steps
    assert "conv1.weight" in torch.load(folder / "cifar_net.pth", weights_only=True)
    assert json.loads((folder / "report.json").read_text())["step"] == steps
    assert owner_of(folder).live is owner_of(folder).crashed is False
    covered = sum(event.steps for event in log_of(folder) if isinstance(event, LossPoint))
    assert covered == steps


# The terminal closes


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
    assert "\x1b" not in log, "a file has no cursor to move"
    assert "Traceback" not in log


def test_a_terminal_that_closes_during_loading_leaves_its_output_in_the_log_too(
    open_terminal, image_folder, tmp_path
):
    terminal = open_terminal("train", "--headless", *arguments(image_folder), imports_torch=True)
    terminal.until(lambda: b"PyTorch" in terminal.received)
    terminal.hang_up()
    assert terminal.wait() == 0
    (folder,) = (tmp_path / "checkpoints").iterdir()
    assert_complete(folder, 12)
    assert "Finished Training" in (folder / "run.log").read_text()


def test_a_closed_terminal_ends_nothing_where_hangups_are_ignored(open_terminal, image_folder, tmp_path):
    terminal = open_terminal(
        "train", "--headless", *arguments(image_folder, "--epochs", "100"), ignore_hangup=True
    )
    terminal.until(lambda: the_run(tmp_path))
    terminal.hang_up()
    assert terminal.wait() == 0
    assert_complete(the_run(tmp_path), 600)


@pytest.mark.parametrize("stdout", ["a file", "a pipe whose reader has left"])
def test_results_stay_in_their_file_or_go_to_the_log_when_the_terminal_closes(image_folder, tmp_path, stdout):
    """In a session without this terminal, which gets no signal of its end."""
    ours, terminal = os.openpty()
    read, write = os.pipe()
    results = tmp_path / "results.json"
    with results.open("wb") as file:
        process = subprocess.Popen(
            [*COMMAND, "train", "--headless", "--json", *arguments(image_folder, "--epochs", "200")],
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            stdout=file if stdout == "a file" else write,
            stderr=terminal,
        )
    for descriptor in (terminal, read, write):
        os.close(descriptor)
    try:
        wait_until(lambda: the_run(tmp_path) or process.poll() is not None)
        os.close(ours)
        assert process.wait(60) == 0
    finally:
        process.kill()
    folder = the_run(tmp_path)
    log = (folder / "run.log").read_text()
    assert "Finished Training" in log
    lines = results.read_text() if stdout == "a file" else log
    (found,) = (json.loads(line) for line in lines.splitlines() if line.startswith("{"))
    assert found["run"] == folder.name
    assert (log.count('{"run"') == 1) is (stdout != "a file")


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


def test_a_run_in_the_background_returns_the_prompt_and_is_found_and_stopped(
    open_terminal, image_folder, tmp_path
):
    terminal = open_terminal("train", "--detach", *arguments(image_folder, "--epochs", "100000"))
    assert terminal.wait() == 0
    (folder,) = (tmp_path / "checkpoints").iterdir()
    said = terminal.received.decode()
    assert f"run {folder.name} " in said
    assert f": cifar-tui attach {folder.name}\r\n" in said
    assert said.rfind("\x1b[?25h") >= said.rfind("\x1b[?25l"), "the cursor is shown again"
    owner = owner_of(folder)
    assert owner.live
    assert os.getsid(owner.pid) == owner.pid
    terminal.hang_up()
    wait_until(lambda: the_run(tmp_path))
    send_request(folder, Request.STOP)
    wait_until(lambda: not owner_of(folder).live)
    assert not owner_of(folder).crashed
    assert read_summary(folder).phase == Phase.DONE
    assert torch.load(folder / "last.pt", weights_only=True)["step"] > 0
    log = folder / "run.log"
    wait_until(lambda: "stopped" in log.read_text())  # printed when the run has left its folder
    assert "\x1b" not in log.read_text()


def test_a_run_in_the_background_without_data_ends_with_3_and_a_sentence(tmp_path):
    result = run_process("train", "--detach", "--data", tmp_path / "none", cwd=tmp_path)
    assert_one_sentence(result, 3, tmp_path / "none")
    assert os.listdir(tmp_path / "checkpoints") == []


def test_a_run_in_the_background_has_no_results_to_print(cli):
    assert_one_sentence(
        cli.run("train", "--detach", "--json", "--data", "synthetic"), 2, "--json", "--detach"
    )
    assert not (cli.cwd / "checkpoints").exists()


# Resumed


def test_a_stopped_run_is_resumed_to_its_end(stopped_run, cli):
    result = cli.run("train", "--headless", "--resume", stopped_run.name[:-1])
    assert result.returncode == 0, result.stderr
    assert re.search(r"resumed from .*step \d", result.stderr)
    assert "Finished Training" in result.stdout
    assert_complete(stopped_run, 900)
    assert_one_sentence(cli.run("train", "--headless", "--resume", "latest"), 2, stopped_run.name, "epochs")


def test_what_cannot_be_resumed_is_refused_with_2_and_a_sentence(stopped_run, cli):
    name = stopped_run.name
    before = {path: path.read_bytes() for path in stopped_run.iterdir()}

    def resume(way, *arguments):
        return cli.run("train", way, "--resume", *arguments)

    for way in ("--headless", "--detach"):
        assert_one_sentence(resume(way, "1999"), 2, "no run '1999'", name)
    assert_one_sentence(resume("--headless", name, "--batch-size", "8"), 2, name, "batch_size", "4", "8")
    lock = RunLock(stopped_run)
    lock.acquire()
    for way in ("--headless", "--detach"):
        assert_one_sentence(resume(way, name), 2, f"process {os.getpid()}", f"cifar-tui attach {name}")
    lock.release()
    assert {path: path.read_bytes() for path in stopped_run.iterdir()} == before


def test_a_resume_with_another_pytorch_says_so_and_repeats_nothing(cli, image_folder):
    assert cli.train("--data", image_folder).returncode == 0
    (folder,) = (cli.cwd / "checkpoints").iterdir()
    state = torch.load(folder / "last.pt", weights_only=True)
    (provenance,) = (value for value in state.values() if isinstance(value, dict) and "torch" in value)
    provenance["torch"] = "1.0"
    torch.save(state, folder / "last.pt")
    (folder / ".last.pt.killed.tmp").write_bytes(b"half")
    resumed = cli.train("--resume", "latest", "--epochs", "3")
    assert resumed.returncode == 0
    assert "instead of 1.0" in resumed.stderr, "the run may not be the same bit for bit"
    assert re.search(r"resumed from .*step 12", resumed.stderr)
    assert "epoch 3:" in resumed.stderr
    assert "epoch 1:" not in resumed.stderr
    assert resumed.stdout.count("Finished Training") == 1
    assert not list(folder.glob(".*.tmp")), "what a killed save left is removed"


def test_every_line_of_a_resumed_run_is_printed_once_whenever_it_is_read(
    image_folder, tmp_path, monkeypatch, capfd
):
    """The run and its reader take turns here, so that it is read between any two events."""
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


def test_a_resume_without_its_images_leaves_the_run_as_it_was(cli, image_folder):
    assert cli.train("--data", image_folder).returncode == 0
    (folder,) = (cli.cwd / "checkpoints").iterdir()
    config = (folder / "config.toml").read_text()
    resume = ("--resume", "latest", "--epochs", "3")
    assert cli.train(*resume, "--data", cli.cwd / "nowhere").returncode == 3
    assert (folder / "config.toml").read_text() == config
    assert cli.train(*resume).returncode == 0
