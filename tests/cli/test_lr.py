"""`cifar-tui lr`: the table and the suggestion, JSON, and what a user can get wrong."""

import json
import math
import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from tests.cli.command import COMMAND, assert_one_sentence, wait_until

LEARNING = ("--batch-size", "12", "--set", "optimizer=adamw", "--from", "1e-5", "--steps", "60")
"""On images of plain colours this learns within the test."""


def lr(cli, folder, *arguments):
    return cli.run("lr", "--data", folder, "--device", "cpu", *arguments)


def test_the_result_is_a_table_and_a_suggestion_and_nothing_is_kept(cli, image_folder):
    result = lr(cli, image_folder, *LEARNING)
    assert result.returncode == 0, result.stderr
    heading, *rows, conclusion, least = [line for line in result.stdout.splitlines() if line]
    assert heading.split() == ["learning", "rate", "loss"]
    rates = [float(row.split()[0]) for row in rows if re.match(r" +\d", row)]
    assert rates == sorted(rates)
    assert rates[0] == 1e-5
    suggested = float(re.search(r"^Suggested learning rate: (\S+) \(steepest", conclusion)[1])
    assert 1e-5 < suggested < 10
    assert least.startswith("Least loss at ")
    marked = [row for row in rows if row.endswith("< suggested")]
    assert len(marked) == 1
    assert float(marked[0].split()[0]) == pytest.approx(suggested, rel=0.3)
    assert "training: step" in result.stderr
    assert set(os.listdir(cli.cwd)) <= {"images", "data"}


def test_json_has_every_point_and_the_settings_to_use(cli, image_folder):
    result = lr(cli, image_folder, *LEARNING, "--set", "bias_lr=0.002", "--to", "1", "--json")
    found = json.loads(result.stdout)
    suggestion = found["suggestion"]
    assert suggestion["rule"] == "steepest descent"
    rate = suggestion["learning_rate"]
    assert suggestion["settings"] == {"learning_rate": rate, "bias_lr": pytest.approx(2 * rate, rel=0.05)}
    assert found["reason"] is None
    assert found["steps"] == 60
    points = found["points"]
    assert [point["step"] for point in points] == list(range(1, len(points) + 1))
    assert points[0]["learning_rate"] == pytest.approx(1e-5)
    factor = points[1]["learning_rate"] / points[0]["learning_rate"]
    assert factor == pytest.approx((1 / 1e-5) ** (1 / 59))


def test_no_suggestion_says_why(cli, image_folder):
    result = lr(cli, image_folder, "--from", "1e-9", "--to", "1e-8", "--steps", "40")
    assert result.returncode == 0
    assert "No suggestion: the loss does not fall at any learning rate" in result.stdout
    diverged = lr(cli, image_folder, "--from", "50", "--to", "100", "--steps", "40", "--json")
    found = json.loads(diverged.stdout)
    assert diverged.returncode == 0
    assert found["suggestion"] is None
    assert found["reason"].startswith("No suggestion: the loss rises")
    assert len(found["points"]) < 40
    assert all(point["loss"] is None or math.isfinite(point["loss"]) for point in found["points"])


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--from", "1", "--to", "0.1"], 2, ["from 1 to 0.1"]),
        (["--from", "nan"], 2, ["from nan"]),
        (["--steps", "3"], 2, ["3 steps"]),
        (["--from", "low"], 2, ["--from", "number"]),
        (["--set", "momentum=2"], 2, ["momentum"]),
        (["--data", "nowhere"], 3, ["nowhere"]),
        (["--set", "model=nowhere.py:Net"], 2, ["nowhere.py"]),
        (["--resume", "latest"], 2, ["'lr' takes no --resume"]),
    ],
)
def test_a_mistake_is_one_sentence(cli, image_folder, arguments, code, words):
    assert_one_sentence(lr(cli, image_folder, *arguments), code, *words)


def test_ctrl_c_ends_it_without_a_result(tmp_path, image_folder):
    command = [*COMMAND, "lr", "--data", image_folder, "--device", "cpu", "--steps", "100000"]
    errors = tmp_path / "errors"
    with (
        errors.open("w") as stderr,
        subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=stderr, text=True) as process,
    ):
        wait_until(lambda: "training: step" in errors.read_text())
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGINT
    assert output == ""


def test_a_full_disk_is_no_traceback(tmp_path, image_folder):
    command = [*COMMAND, "lr", "--data", image_folder, "--device", "cpu", "--steps", "20"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            command, cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 4
    assert "cannot write the results to stdout (No space left on device)" in done.stderr
    assert "Traceback" not in done.stderr
