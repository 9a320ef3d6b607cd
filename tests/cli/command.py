"""Runs the command line, in this process or in another."""

import contextlib
import re
import subprocess
import sys
import time
from dataclasses import dataclass

from cifar_tui.cli.main import main

COMMAND = [sys.executable, "-m", "cifar_tui"]


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a command printed, and its exit code."""

    returncode: int
    stdout: str
    stderr: str


class CommandLine:
    """Runs commands in this process, which has imported torch already, in the folder `cwd`."""

    def __init__(self, cwd, capsys):
        self.cwd = cwd
        self._capsys = capsys

    def run(self, *arguments):
        self._capsys.readouterr()
        with contextlib.chdir(self.cwd):
            try:
                code = main([str(argument) for argument in arguments])
            except SystemExit as exit_:  # bad usage
                code = exit_.code
        printed = self._capsys.readouterr()
        return Result(returncode=code, stdout=printed.out, stderr=printed.err)

    def train(self, *arguments):
        return self.run("train", "--headless", "--device", "cpu", *arguments)


def run_process(*arguments, cwd, **options):
    """Run the command line as a process without a terminal."""
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        stdin=subprocess.DEVNULL,
        **options,
    )
    return Result(returncode=done.returncode, stdout=done.stdout, stderr=done.stderr)


def assert_one_sentence(result, code, *words):
    """The program said one thing on stderr after what it loads, with `words` in it, and ended with `code`."""
    assert result.returncode == code, result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""
    loads = re.compile(r"cifar-tui: (loading|\S+ [\d,]+ images of )")
    said = [line for line in result.stderr.splitlines() if not loads.match(line)]
    assert len(said) == 1, result.stderr
    for word in words:
        assert str(word) in said[0]


def wait_until(condition, seconds=60):
    """Wait for `condition`, and fail if it does not become true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "the condition did not become true"
        time.sleep(0.01)
