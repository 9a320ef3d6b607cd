"""`cifar-tui` without a screen, as a process: stdout, stderr, exit codes, files."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest
import torch

from cifar_tui.cli.headless import _training_results
from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.errors import CancelledError
from cifar_tui.engine.session import Session
from cifar_tui.runs.live import LiveRun

COMMAND = [sys.executable, "-m", "cifar_tui"]


def run(*arguments, cwd, **options):
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        stdin=subprocess.DEVNULL,
        **options,
    )


def train(image_folder, *arguments, cwd):
    return run("train", "--headless", "--data", image_folder, "--device", "cpu", *arguments, cwd=cwd)


def assert_one_sentence(result, code, *words):
    """The program said one thing on stderr, with `words` in it, and ended with `code`."""
    assert result.returncode == code, result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""
    complaint = [
        line for line in result.stderr.splitlines() if not re.match(r"cifar-tui: (loading|failed)", line)
    ]
    assert len(complaint) == 1, result.stderr
    for word in words:
        assert str(word) in complaint[0]


def test_training_prints_what_the_tutorial_prints(image_folder, tmp_path):
    result = train(image_folder, "--set", "log_every=3", "--lr", "0.01", cwd=tmp_path)
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


def test_json_is_one_object_alone_on_stdout(image_folder, tmp_path):
    result = train(image_folder, "--json", "--seed", "3", cwd=tmp_path)
    assert result.returncode == 0
    assert result.stdout.count("\n") == 1
    values = json.loads(result.stdout)
    assert set(values) == {
        "run",
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
    checkpoint = tmp_path / values["checkpoint"]
    assert checkpoint == tmp_path / "checkpoints" / values["run"] / "cifar_net.pth"
    assert torch.load(checkpoint, weights_only=True)["conv1.weight"].shape == (6, 3, 5, 5)
    assert "Finished Training" in result.stderr


def test_eval_gives_the_numbers_of_the_training_by_run_prefix_latest_and_file(image_folder, tmp_path):
    trained = json.loads(train(image_folder, "--json", cwd=tmp_path).stdout)
    for target in (trained["run"], trained["run"][:8], "latest", trained["checkpoint"]):
        data = ("--data", image_folder) if target == trained["checkpoint"] else ()
        result = run("eval", target, *data, "--json", cwd=tmp_path)
        assert result.returncode == 0, result.stderr
        values = json.loads(result.stdout)
        assert values["test"] == trained["test"]
        confusion = values["confusion"]
        assert [sum(row) for row in confusion] == [4, 4, 4], "rows are truth"
        assert sum(confusion[k][k] for k in range(3)) == trained["test"]["correct"]


def test_eval_without_a_terminal_prints_the_results(image_folder, tmp_path):
    train(image_folder, cwd=tmp_path)
    result = run("eval", "latest", cwd=tmp_path)
    assert result.returncode == 0
    assert "Accuracy of the network on the 12 test images" in result.stdout


def test_settings_come_from_a_file_and_options_go_first(image_folder, tmp_path):
    (tmp_path / "my.toml").write_text("epochs = 3\nseed = 5\n")
    result = train(image_folder, "--json", "--config", "my.toml", "--epochs", "1", cwd=tmp_path)
    values = json.loads(result.stdout)
    assert values["epochs"] == 1
    config = (tmp_path / "checkpoints" / values["run"] / "config.toml").read_text()
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
        (["--lr", "1e6"], ["learning_rate", "to 100"]),
        (["--epochs", "two"], ["epochs", "whole number"]),
        (["--config", "none.toml"], ["none.toml", "cannot read"]),
    ],
)
def test_a_wrong_setting_ends_with_2(tmp_path, arguments, words):
    result = run("train", "--headless", "--data", "synthetic", *arguments, cwd=tmp_path)
    assert_one_sentence(result, 2, *words)
    assert not (tmp_path / "checkpoints").exists()


def test_a_device_that_is_not_there_ends_with_2(tmp_path):
    result = run("train", "--headless", "--data", "synthetic", "--device", "cuda:99", cwd=tmp_path)
    assert_one_sentence(result, 2, "'cuda:99' is not there")
    assert os.listdir(tmp_path / "checkpoints") == []


@pytest.mark.parametrize("kind", ["missing", "empty", "one class", "a file"])
def test_a_folder_without_images_ends_with_3(tmp_path, image_folder, kind):
    folder = tmp_path / "folder"
    if kind == "one class":
        folder.mkdir()
        (image_folder / "train" / "red").rename(folder / "red")
    elif kind == "empty":
        folder.mkdir()
    elif kind == "a file":
        folder.write_text("")
    result = train(folder, cwd=tmp_path)
    assert_one_sentence(result, 3, folder)
    assert os.listdir(tmp_path / "checkpoints") == []


def test_no_network_ends_with_3_and_names_the_ways(tmp_path):
    environment = os.environ | {"https_proxy": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9"}
    result = run("train", "--headless", cwd=tmp_path, env=environment)
    assert_one_sentence(result, 3, "--data synthetic", "--data")
    assert os.listdir(tmp_path / "checkpoints") == []


def test_a_checkpoints_place_that_is_a_file_ends_with_2(tmp_path, image_folder):
    (tmp_path / "file").write_text("")
    result = train(image_folder, "--checkpoints", "file", cwd=tmp_path)
    assert_one_sentence(result, 2, "cannot write to the checkpoints folder 'file'")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("text.pth", b"hello", ["not a PyTorch checkpoint"]),
        ("none.pth", None, ["No such file"]),
    ],
)
def test_weights_that_are_none_end_with_2(tmp_path, image_folder, name, content, words):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert_one_sentence(run("eval", name, "--data", image_folder, cwd=tmp_path), 2, name, *words)


def test_a_run_that_is_not_there_ends_with_2(tmp_path):
    assert_one_sentence(run("eval", "latest", cwd=tmp_path), 2, "no runs in 'checkpoints'")


def test_the_dashboard_without_a_terminal_says_so(tmp_path):
    for arguments in ([], ["train"]):
        assert_one_sentence(
            run(*arguments, cwd=tmp_path), 2, "needs a terminal", "cifar-tui train --headless"
        )


def test_a_loss_that_is_not_finite_ends_with_4(image_folder, tmp_path):
    result = train(image_folder, "--lr", "100", "--epochs", "50", cwd=tmp_path)
    assert result.returncode == 4
    assert "the loss is not finite at step" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_and_saves_and_ends_with_128_and_its_number(image_folder, tmp_path, number):
    process = subprocess.Popen(
        [*COMMAND, "train", "--headless", "--json", "--data", str(image_folder), "--epochs", "100000"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for_line(process.stderr, "epoch 3:")
    process.send_signal(number)
    process.send_signal(number)  # who signals a group of processes does it twice
    stdout, _ = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    values = json.loads(stdout)
    assert values["test"] is None
    saved = torch.load(tmp_path / "checkpoints" / values["run"] / "last.pt", weights_only=True)
    assert saved["step"] == values["steps"]


def test_a_stop_in_the_last_evaluation_reports_no_accuracy_of_earlier_weights(
    image_folder, tmp_path, monkeypatch
):
    def stopped(*_, **__):
        raise CancelledError

    monkeypatch.setattr(Session, "_evaluate_saved", stopped)
    config = TrainConfig(data=str(image_folder), data_dir=str(tmp_path / "data"), device="cpu")
    run = LiveRun(config, checkpoints=tmp_path / "checkpoints", interactive=False)
    run.start_training()
    assert run.wait(60)
    assert run.snapshot().evaluated is not None, "there was one after the first epoch"
    assert _training_results(run)["test"] is None


def wait_for_line(stream, start):
    for line in stream:
        if line.startswith(f"cifar-tui: {start}"):
            return
    pytest.fail(f"the program ended before it said {start!r}")


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_training_goes_on_when_nobody_reads_its_lines_any_more(image_folder, tmp_path, stream):
    process = subprocess.Popen(
        [*COMMAND, "train", "--headless", "--data", str(image_folder), "--set", "log_every=1"],
        cwd=tmp_path,
        **{"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, stream: subprocess.PIPE},
    )
    getattr(process, stream).close()
    assert process.wait(60) == 0
    (folder,) = (tmp_path / "checkpoints").iterdir()
    assert (folder / "report.json").exists()


def test_results_reach_stdout_when_nobody_reads_the_messages(image_folder, tmp_path):
    process = subprocess.Popen(
        [*COMMAND, "train", "--json", "--data", str(image_folder), "--set", "log_every=1"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    process.stderr.close()
    assert json.loads(process.stdout.read())["steps"] == 12
    assert process.wait(60) == 0


def test_help_and_version_import_neither_torch_nor_textual():
    for option in ("--help", "--version"):
        code = (
            "import sys, contextlib, cifar_tui.cli.main\n"
            f"with contextlib.suppress(SystemExit): cifar_tui.cli.main.main(['{option}'])\n"
            "sys.exit(bool({'torch', 'textual', 'rich', 'numpy'} & set(sys.modules)))"
        )
        assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


@pytest.mark.alone
def test_help_comes_in_a_small_part_of_the_time_that_torch_takes_to_import():
    def best(*arguments):
        times = []
        for _ in range(3):
            start = time.perf_counter()
            subprocess.run([sys.executable, *arguments], capture_output=True, check=True)
            times.append(time.perf_counter() - start)
        return min(times)

    assert best("-m", "cifar_tui", "--help") <= 0.15 * best("-c", "import torch")
