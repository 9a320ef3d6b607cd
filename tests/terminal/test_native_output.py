"""What native code writes goes to the log of the run, if that is a file of its own."""

import os
import subprocess
import sys

import pytest

from tests.foreign import put_fifo, put_hard_link, put_link

pytestmark = pytest.mark.timeout(60)

CODE = """
import os, sys
from pathlib import Path
from cifar_tui.terminal import native_output

getattr(native_output, sys.argv[1])(Path("run.log"))
os.write(1, b"by native code")
"""
FUNCTIONS = ["redirect_native_output", "detach_standard_streams"]


def write_natively(function, folder):
    """What is left on stdout of a program that redirects its output with `function` and writes."""
    command = [sys.executable, "-c", CODE, function]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
    (tmp_path / "run").mkdir()
    return tmp_path / "run"


@pytest.mark.parametrize("function", FUNCTIONS)
def test_it_is_added_to_the_log(folder, function):
    (folder / "run.log").write_text("before, ")
    assert write_natively(function, folder) == ""
    assert (folder / "run.log").read_text() == "before, by native code"


@pytest.mark.parametrize("put", [put_link, put_hard_link, put_fifo])
@pytest.mark.parametrize(("function", "left"), [*zip(FUNCTIONS, ["by native code", ""], strict=True)])
def test_what_is_no_file_of_the_run_is_not_written_to_and_not_waited_for(
    folder, tmp_path, put, function, left
):
    theirs = tmp_path / "theirs"
    theirs.write_text("precious")
    put(folder / "run.log", theirs)
    assert write_natively(function, folder) == left
    assert theirs.read_text() == "precious"
