"""Processes that measure: what they say, and that none is left behind."""

import os
import signal
import subprocess
import sys
import time

import pytest

from cifar_tui.bench import children
from cifar_tui.bench.children import ask, child
from cifar_tui.cli.main import main
from cifar_tui.engine.errors import DataUnavailableError, RunFailedError

IMPORTS = """
import os, signal, sys, time
from cifar_tui.bench.children import run_child, say
from cifar_tui.engine.errors import CancelledError, DataUnavailableError
"""


@pytest.fixture
def write_child(tmp_path, monkeypatch):
    """Write a module whose `main` is that of a child."""
    monkeypatch.chdir(tmp_path)

    def write(text):
        (tmp_path / "a_child.py").write_text(f"{IMPORTS}{text}\nrun_child(main)\n")
        return "a_child"

    return write


def ended(group):
    """Whether no process of the group is left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False


def wait_until_ended(group):
    """Those that lost their parent are reaped by another one, and soon."""
    give_up = time.monotonic() + 60
    while not ended(group):
        assert time.monotonic() < give_up
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("arguments", "exit_code", "says"),
    [
        (["tutorial", "--device", "cuda:99"], 2, "device"),
        (["start", "--data", "/nowhere"], 3, "/nowhere"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_of_the_user_is_one_sentence(arguments, exit_code, says, capfd):
    assert main(["bench", *arguments]) == exit_code
    (sentence,) = [line for line in capfd.readouterr().err.splitlines() if line]
    assert sentence.startswith("cifar-tui: ")
    assert says in sentence


def test_a_folder_that_is_too_small_to_measure_is_one_sentence(image_folder, capfd):
    assert main(["bench", "presets", "--data", str(image_folder), "--preset", "tutorial"]) == 4
    (sentence,) = [line for line in capfd.readouterr().err.splitlines() if line]
    assert sentence.startswith("cifar-tui: the training ended before it could be measured")


def test_what_a_child_says_is_told_line_by_line(write_child):
    module = write_child("def main(arguments):\n    say(number=1)\n    say(arguments=arguments)")
    with child(module, "a", "b") as process:
        assert process.answer(60) == {"number": 1}
        assert process.answer(60) == {"arguments": ["a", "b"]}


def test_an_error_of_the_user_goes_on_in_the_parent(write_child, capfd):
    module = write_child("def main(arguments):\n    raise DataUnavailableError('no images there')")
    with pytest.raises(DataUnavailableError, match="no images there"):
        ask(module)
    assert capfd.readouterr().err == ""


def test_a_child_that_says_nothing_is_given_up(write_child):
    module = write_child("def main(arguments):\n    say()\n    signal.pause()")
    with child(module) as process:
        process.answer(60)
        with pytest.raises(RunFailedError, match=r"said nothing for 0 s"):
            process.answer(0.05)


SAYS_WHEN_IT_IS_OVER = """
def main(arguments):
    signal.signal(signal.SIGTERM, lambda *_: say(late=1))
    say()
    signal.pause()
"""

IS_CANCELLED = """
def stop(*_):
    raise CancelledError

def main(arguments):
    signal.signal(signal.SIGTERM, stop)
    say()
    signal.pause()
"""


@pytest.mark.parametrize(
    "text", [SAYS_WHEN_IT_IS_OVER, IS_CANCELLED], ids=["nobody listens", "it is cancelled"]
)
def test_a_child_whose_parent_leaves_says_nothing(write_child, text, capfd):
    with child(write_child(text)) as process:
        process.answer(60)
    assert ended(process.group)
    assert capfd.readouterr().err == ""


def test_a_training_that_is_ended_while_it_loads_says_nothing(capfd):
    """As Ctrl-C in the parent ends it: the images are not there yet."""
    code = """
import json, os, signal, sys
from cifar_tui.bench.engine_loop import _train
from cifar_tui.bench.children import run_child
from cifar_tui.engine import session

def load(*_, cancelled, **__):
    os.kill(os.getpid(), signal.SIGTERM)
    assert cancelled()
    raise session.CancelledError

session.load_dataset = load
sys.argv[1:] = [json.dumps({"data": "synthetic", "device": "cpu"}), "0", "0", "1"]
run_child(_train)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_a_halted_child_and_its_own_children_are_ended(write_child):
    """As one is that was halted when another failed, and waits for its workers when it is told to end."""
    module = write_child("""
def main(arguments):
    if (worker := os.fork()) == 0:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        while True:
            signal.pause()
    def stop(*_):
        os.kill(worker, signal.SIGTERM)
        os.waitpid(worker, 0)
        sys.exit()
    signal.signal(signal.SIGTERM, stop)
    say()
    while True:
        signal.pause()
""")
    with child(module) as process:
        process.answer(60)
        os.killpg(process.group, signal.SIGSTOP)
    assert ended(process.group)


def test_a_child_that_does_not_leave_is_killed_with_its_own_children(write_child, monkeypatch):
    monkeypatch.setattr(children, "_LEAVE_SECONDS", 0.1)
    module = write_child(
        "def main(arguments):\n    signal.signal(15, signal.SIG_IGN)\n    if os.fork():\n        say()\n"
        "    while True:\n        signal.pause()"
    )
    with child(module) as process:
        process.answer(60)
    wait_until_ended(process.group)
