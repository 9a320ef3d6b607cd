"""Training and evaluating without the dashboard: stdout, stderr, exit codes, files."""

import io
import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import termios
import time

import pytest
import torch

from cifar_tui.cli import headless, progress
from cifar_tui.cli.headless import (
    _follow,
    _ProgressLines,
    _RunBar,
    _stop_on_signals,
    _Terminal,
    _training_results,
)
from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.data.registry import ALTERNATIVES
from cifar_tui.engine.errors import CancelledError
from cifar_tui.engine.events import LoadingProgress, Phase, PhaseChanged
from cifar_tui.engine.session import Session
from cifar_tui.runs.live import LiveRun
from cifar_tui.terminal import restore
from tests.cli.command import COMMAND, assert_one_sentence
from tests.runs.made_events import folded


def test_training_prints_what_the_tutorial_prints(cli, image_folder):
    result = cli.train("--data", image_folder, "--set", "log_every=3", "--lr", "0.01")
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert [re.sub(r"\d\.\d{3}$", "N", line) for line in lines[:4]] == [
        "[1,     3] loss: N",
        "[1,     6] loss: N",
        "[2,     3] loss: N",
        "[2,     6] loss: N",
    ]
    assert lines[4] == "Finished Training"
    assert lines[5] == "GroundTruth:  blue  green red   blue"
    assert re.fullmatch(r"Accuracy of the network on the 12 test images: \d+ %", lines[7])
    assert "epoch 2" in result.stderr


def test_json_is_one_object_alone_on_stdout(cli, image_folder):
    result = cli.train("--data", image_folder, "--json", "--seed", "3", "--name", "third-seed")
    assert result.returncode == 0
    assert result.stdout.count("\n") == 1
    values = json.loads(result.stdout)
    assert values["name"] == "third-seed"
    assert set(values) == {
        "run",
        "name",
        "steps",
        "epochs",
        "train_seconds",
        "images_per_second",
        "final_loss",
        "checkpoint",
        "test",
    }
    assert (values["steps"], values["epochs"]) == (12, 2)
    assert values["images_per_second"] == pytest.approx(48 / values["train_seconds"])
    assert values["test"]["total"] == 12
    assert values["test"]["accuracy"] == values["test"]["correct"] / 12
    assert set(values["test"]["per_class"]) == {"blue", "green", "red"}
    assert f'"run": "{values["run"]}"' in cli.run("runs", "third-seed", "--json").stdout
    again = cli.train("--data", image_folder, "--name", "third-seed")
    assert_one_sentence(again, 2, "'third-seed' belongs to run", values["run"])
    resumed = cli.train("--resume", "third-seed", "--name", "another")
    assert_one_sentence(resumed, 2, "--name and --resume")
    checkpoint = cli.cwd / values["checkpoint"]
    assert checkpoint == cli.cwd / "checkpoints" / values["run"] / "cifar_net.pth"
    assert torch.load(checkpoint, weights_only=True)["conv1.weight"].shape == (6, 3, 5, 5)
    assert "Finished Training" in result.stderr


def test_eval_gives_the_numbers_of_the_training_by_run_prefix_latest_and_file(cli, image_folder):
    trained = json.loads(cli.train("--data", image_folder, "--json").stdout)
    shutil.copy(cli.cwd / trained["checkpoint"], cli.cwd / "copy.pth")
    for target in (trained["run"], trained["run"][:8], "latest", trained["checkpoint"], "copy.pth"):
        data = ("--data", image_folder) if target == "copy.pth" else ()
        result = cli.run("eval", target, *data, "--json")
        assert result.returncode == 0, result.stderr
        values = json.loads(result.stdout)
        assert values["test"] == trained["test"]
        confusion = values["confusion"]
        assert [sum(row) for row in confusion] == [4, 4, 4], "rows are truth"
        assert sum(confusion[k][k] for k in range(3)) == trained["test"]["correct"]
    result = cli.run("eval", "latest")
    assert result.returncode == 0
    assert "Accuracy of the network on the 12 test images" in result.stdout, "there is no terminal"


def test_settings_come_from_a_file_and_are_overridden_by_options(cli, image_folder):
    (cli.cwd / "my.toml").write_text("epochs = 3\nseed = 5\n")
    result = cli.train("--data", image_folder, "--json", "--config", "my.toml", "--epochs", "1")
    values = json.loads(result.stdout)
    assert values["epochs"] == 1
    config = (cli.cwd / "checkpoints" / values["run"] / "config.toml").read_text()
    assert "seed = 5" in config
    assert "epochs = 1" in config


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--preset", "tutorail"], ["preset", "did you mean 'tutorial'"]),
        (["--set", "bach_size=4"], ["unknown setting", "did you mean 'batch_size'"]),
        (["--set", "epochs"], ["must be KEY=VALUE"]),
        (["--device", "gpu"], ["device", "must be auto, cpu, cuda"]),
        (["--batch-size", "0"], ["batch_size", "from 1"]),
        (["--lr", "-1"], ["learning_rate", "above 0"]),
        (["--lr", "1e6"], ["learning_rate", "at most 100"]),
        (["--epochs", "two"], ["epochs", "whole number"]),
        (["--config", "none.toml"], ["none.toml", "cannot read"]),
    ],
)
def test_a_wrong_setting_ends_with_2(cli, arguments, words):
    assert_one_sentence(cli.run("train", "--headless", "--data", "synthetic", *arguments), 2, *words)
    assert not (cli.cwd / "checkpoints").exists()


def test_a_device_that_is_not_available_ends_with_2(cli):
    result = cli.run("train", "--headless", "--data", "synthetic", "--device", "cuda:99")
    assert_one_sentence(result, 2, "'cuda:99' is not ")
    assert os.listdir(cli.cwd / "checkpoints") == []


@pytest.mark.parametrize("kind", ["missing", "empty", "one class", "a file"])
def test_a_folder_without_images_ends_with_3(cli, image_folder, kind):
    folder = cli.cwd / "folder"
    if kind == "one class":
        folder.mkdir()
        (image_folder / "train" / "red").rename(folder / "red")
    elif kind == "empty":
        folder.mkdir()
    elif kind == "a file":
        folder.write_text("")
    assert_one_sentence(cli.train("--data", folder), 3, folder)
    assert os.listdir(cli.cwd / "checkpoints") == []


def test_no_network_ends_with_3_and_names_the_ways(cli, monkeypatch):
    for name in ("https_proxy", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert_one_sentence(cli.run("train", "--headless"), 3, ALTERNATIVES)
    assert os.listdir(cli.cwd / "checkpoints") == []


def test_a_checkpoints_folder_that_is_a_file_ends_with_2(cli, image_folder):
    (cli.cwd / "file").write_text("")
    assert_one_sentence(cli.train("--data", image_folder, "--checkpoints", "file"), 2, "cannot write", "file")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("text.pth", b"hello", ["not a PyTorch checkpoint"]),
        ("none.pth", None, ["No such file"]),
    ],
)
def test_weights_that_cannot_be_read_end_with_2(cli, image_folder, name, content, words):
    if content is not None:
        (cli.cwd / name).write_bytes(content)
    assert_one_sentence(cli.run("eval", name, "--data", image_folder), 2, name, *words)


def test_an_unknown_run_ends_with_2(cli):
    assert_one_sentence(cli.run("eval", "latest"), 2, "no runs in", "checkpoints")


def test_the_dashboard_without_a_terminal_says_so(cli):
    for arguments in ([], ["train"]):
        assert_one_sentence(cli.run(*arguments), 2, "needs a terminal", "cifar-tui train --headless")


def test_a_loss_that_is_not_finite_ends_with_4(cli, image_folder):
    result = cli.train("--data", image_folder, "--lr", "100", "--epochs", "50")
    assert result.returncode == 4
    assert "the loss is not finite at step" in result.stderr
    assert "Traceback" not in result.stderr


def test_ctrl_c_stops_and_saves_and_ends_with_130(image_folder, tmp_path):
    process = subprocess.Popen(
        [*COMMAND, "train", "--headless", "--json", "--data", str(image_folder), "--epochs", "100000"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for_line(process.stderr, "epoch 3:")
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)  # as whoever signals a process group does
    stdout, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    values = json.loads(stdout)
    assert values["test"] is None
    saved = torch.load(tmp_path / "checkpoints" / values["run"] / "last.pt", weights_only=True)
    assert saved["step"] == values["steps"]


def wait_for_line(stream, start):
    for line in stream:
        if line.startswith(f"cifar-tui: {start}"):
            return
    pytest.fail(f"the program ended before it said {start!r}")


def test_a_run_that_was_stopped_before_its_first_step_says_so_once(capsys):
    _ProgressLines().show(folded(PhaseChanged(phase=Phase.DONE, message="stopped")).snapshot())
    assert capsys.readouterr().err == "cifar-tui: stopped\n"


def test_a_stop_in_the_last_evaluation_reports_no_accuracy_of_earlier_weights(
    image_folder, tmp_path, monkeypatch
):
    def stopped(*_, **__):
        raise CancelledError

    monkeypatch.setattr(Session, "evaluate_file", stopped)
    config = TrainConfig(data=str(image_folder), data_dir=str(tmp_path / "data"), device="cpu")
    run = LiveRun(config, checkpoints=tmp_path / "checkpoints", interactive=False)
    run.start_training()
    assert run.wait(60)
    assert run.snapshot().evaluated is not None, "there was one after the first epoch"
    assert _training_results(run)["test"] is None


def test_training_continues_when_the_reader_of_stdout_is_gone(image_folder, tmp_path):
    process = subprocess.Popen(
        [*COMMAND, "train", "--headless", "--data", str(image_folder), "--set", "log_every=1"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    process.stdout.close()
    assert process.wait(60) == 0
    (folder,) = (tmp_path / "checkpoints").iterdir()
    assert (folder / "report.json").exists()


def test_results_reach_stdout_when_the_reader_of_stderr_is_gone(image_folder, tmp_path):
    process = subprocess.Popen(
        [*COMMAND, "train", "--json", "--data", str(image_folder), "--set", "log_every=1"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    process.stderr.close()
    assert json.loads(process.stdout.read())["steps"] == 12
    assert process.wait(60) == 0
    (folder,) = (tmp_path / "checkpoints").iterdir()
    assert (folder / "report.json").exists()


@pytest.mark.parametrize("known", [True, False])
def test_a_bar_is_as_wide_as_its_terminal_whatever_the_shell_exports(monkeypatch, known):
    ours, its = pty.openpty()
    if known:
        termios.tcsetwinsize(its, (40, 120))
    monkeypatch.setattr(progress, "STDERR", its)
    monkeypatch.setattr("rich.console._STD_STREAMS", (its,))
    monkeypatch.setattr("sys.stdout", io.StringIO())
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "33")
    monkeypatch.setenv("LINES", "7")
    assert _RunBar()._progress.console.size == ((120, 40) if known else (33, 7))
    os.close(ours)
    os.close(its)


def test_a_second_ctrl_c_shows_the_cursor_that_the_bar_has_hidden(monkeypatch, tmp_path):
    ours, its = pty.openpty()
    for module in (headless, restore):
        monkeypatch.setattr(module, "STDERR", its)
    monkeypatch.setattr(time, "monotonic", lambda: now)

    class ExitedError(Exception):
        pass

    def exit_at_once(code):
        raise ExitedError(code)

    monkeypatch.setattr(os, "_exit", exit_at_once)
    now = 100.0
    run = LiveRun(TrainConfig(), checkpoints=tmp_path)
    with _stop_on_signals(run, _Terminal()):
        handler = signal.getsignal(signal.SIGINT)
        handler(signal.SIGINT, None)
        assert not select.select([ours], [], [], 0)[0]
        now += 2
        with pytest.raises(ExitedError, match="130"):
            handler(signal.SIGINT, None)
    assert os.read(ours, 99) == b"\x1b[?25h"
    os.close(ours)
    os.close(its)


def test_signals_that_follow_the_first_one_request_no_second_stop(tmp_path):
    """It would give up a save that is tried again."""
    run = LiveRun(TrainConfig(), checkpoints=tmp_path)
    with _stop_on_signals(run, _Terminal()):
        for number in (signal.SIGXCPU, signal.SIGXCPU, signal.SIGTERM, signal.SIGTERM):
            signal.getsignal(number)(number, None)
    assert run._control.stops == 1


def test_how_long_a_slow_download_will_take_is_said_at_once_and_then_once_a_minute(
    monkeypatch, capsys, tmp_path
):
    now = 100.0
    monkeypatch.setattr(headless.time, "monotonic", lambda: now)
    note = "the server is slow (66 kB/s, about 43 min left): wait, or stop and set data to synthetic"
    run = LiveRun(TrainConfig(), checkpoints=tmp_path)
    run._state.apply(PhaseChanged(phase=Phase.LOADING))
    run._state.apply(LoadingProgress(stage="downloading", done=1, total=9, unit="bytes", note=note))

    def wait(_seconds):
        nonlocal now
        now += 25
        return now > 200

    monkeypatch.setattr(run, "wait", wait)
    _follow(run, _Terminal(), results_to_stderr=False)
    assert capsys.readouterr().err.splitlines().count(f"cifar-tui: {note}") == 2


def test_a_bar_is_drawn_on_its_terminal_and_never_in_the_log_that_takes_its_place(tmp_path, monkeypatch):
    ours, its = pty.openpty()
    monkeypatch.setattr(progress, "STDERR", its)
    log = tmp_path / "run.log"
    with log.open("w") as file, _RunBar() as bar:
        bar._progress.refresh()
        drawn = b""
        while b"loading" not in drawn:
            drawn += os.read(ours, 65536)
        os.close(ours)
        bar._progress.console.print("half a bar", end="")
        os.dup2(file.fileno(), its)  # as when the output goes to the log
        bar._progress.console.print("the other half")
    os.close(its)
    assert log.read_text() == ""
