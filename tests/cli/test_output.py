"""Results on stdout: when they cannot be written, and that JSON is JSON."""

import json
import math
import pathlib
import subprocess
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cifar_tui.cli.output import json_text
from cifar_tui.runs.disk.run_lock import owner_of
from tests.cli.command import COMMAND, wait_until

PRINTING = [
    "--help",
    "--version",
    "train --help",
    "runs --json",
    "presets",
    "presets quick --json",
    "completion fish",
]
LOST = "cifar-tui: cannot write the results to stdout ({}): redirect it elsewhere\n"


def shell(command, redirection, cwd):
    program = " ".join(COMMAND)
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; {program} {command} {redirection}"],
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("command", PRINTING)
def test_results_that_cannot_be_written_are_an_error(command, tmp_path):
    full = shell(command, ">/dev/full", tmp_path)
    assert (full.returncode, full.stderr) == (4, LOST.format("No space left on device"))


@pytest.mark.parametrize(
    ("redirection", "code", "says"),
    [
        (">&-", 4, LOST.format("it is closed")),
        ("<&- >&- 2>&-", 4, ""),
        (">/dev/full 2>&1", 4, ""),
        ("2>/dev/full", 0, ""),
        ("<&- 2>&-", 0, ""),
        ("| true", 0, ""),
        ("| head -c 1", 0, ""),
    ],
)
def test_results_that_nobody_wants_are_none(redirection, code, says, tmp_path):
    result = shell("completion bash", redirection, tmp_path)
    assert (result.returncode, result.stderr) == (code, says)


def test_a_run_whose_results_are_lost_is_whole_and_an_error(image_folder, tmp_path):
    command = f"train --json --device cpu --epochs 1 --data {image_folder}"
    result = shell(command, ">/dev/full <&-", tmp_path)
    assert result.returncode == 4
    assert result.stderr.endswith(LOST.format("No space left on device"))
    (run,) = (tmp_path / "checkpoints").glob("2*")
    assert json.loads((run / "report.json").read_text())["test"]["total"] == 12


def test_a_detached_run_whose_id_is_lost_is_an_error_and_goes_on(image_folder, tmp_path):
    command = f"train --detach --device cpu --epochs 1 --data {image_folder}"
    result = shell(command, ">/dev/full", tmp_path)
    (run,) = (tmp_path / "checkpoints").glob("2*")
    wait_until(lambda: not owner_of(run).live)
    assert (run / "report.json").exists()
    assert result.returncode == 4
    assert result.stderr.endswith(LOST.format("No space left on device"))


def test_a_run_without_any_stream_is_trained_to_its_end(image_folder, tmp_path):
    command = f"train --headless --device cpu --epochs 1 --data {image_folder}"
    assert shell(command, "<&- >&- 2>&-", tmp_path).returncode == 0
    (run,) = (tmp_path / "checkpoints").glob("2*")
    assert (run / "report.json").exists()


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda values: st.lists(values) | st.dictionaries(st.text(st.characters()), values),
)


@given(JSON_VALUES)
def test_any_value_becomes_json_that_any_parser_takes(value):
    text = json_text(value)
    assert text.isascii()

    def refuse(token):
        raise AssertionError(token)

    read = json.loads(text, parse_constant=refuse)
    json.dumps(read, ensure_ascii=False).encode()  # no half of a surrogate pair


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (math.nan, "null"),
        ({"loss": [math.inf, -math.inf, 1.5]}, '{"loss": [null, null, 1.5]}'),
        ("\udcff", r'"\ufffd"'),
        ("\ud83d\ude00", r'"\ud83d\ude00"'),
        ({"\ud800": 1}, r'{"\ufffd": 1}'),
        (pathlib.Path("a"), '"a"'),
        (date(2020, 1, 2), '"2020-01-02"'),
        ("\x1b[31m\x00", r'"\u001b[31m\u0000"'),
    ],
)
def test_what_json_cannot_say_is_null_or_text(value, text):
    assert json_text(value) == text
