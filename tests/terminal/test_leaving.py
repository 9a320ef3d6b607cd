"""A child leaves the terminal or loses it: its parent gives the shell its prompt back, and it goes on."""

import os
import signal
import sys
from pathlib import Path

import pytest

from tests.terminal.program import END, START, ended, wait_until

LEAVE = """
    shell.leave("Come back.\\nSoon – bald.")
    shell.leave("Not again.")
    with open("session", "w") as file:
        file.write(str(os.getsid(0) == os.getpid()))
    while not os.path.exists("go"):
        time.sleep(0.01)
    with open("done", "w") as file:
        file.write("done")
    return 5
"""


RUN_ON = """
    shell.leave("left")
    while not os.path.exists("go"):
        time.sleep(0.01)
    return 0

"""


WATCH = """
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    say("ready.")
    select.select([shell.descriptor], [], [])
    with open("gone", "wb") as file:
        file.write(b"end" + os.read(shell.descriptor, 1))
    return 0
"""


def content(path):
    return path.read_text() if path.exists() else ""


def test_a_child_holds_nothing_that_the_caller_of_the_program_opened(run, tmp_path):
    (tmp_path / "script.py").write_text(START + RUN_ON + "own = open('own', 'w')" + END)
    program = run(command=["sh", "-c", f"exec 3>third 9>lock; exec {sys.executable} script.py"])
    child = program.child()
    assert os.waitstatus_to_exitcode(program.wait()) == 0
    held = {str(path.readlink()) for path in Path(f"/proc/{child}/fd").iterdir()}
    assert f"{tmp_path}/own" in held
    assert not {f"{tmp_path}/third", f"{tmp_path}/lock"} & held
    (tmp_path / "go").touch()
    wait_until(lambda: ended(child))


def test_a_child_that_leaves_says_with_which_code(run):
    program = run("    shell.leave('to stdout', hint='to stderr', exit_code=7)\n    return 0\n")
    assert os.waitstatus_to_exitcode(program.wait()) == 7
    assert program.received.endswith(b"to stdout\r\nto stderr\r\n")


@pytest.mark.parametrize(
    ("redirection", "code", "said"),
    [
        (">/dev/full", 1, b"OSError: No space left on device"),
        (">&-", 0, b""),
        ("| true", 0, b""),
        ("", 0, b""),
    ],
)
def test_a_result_that_cannot_be_written_when_it_leaves_is_an_error_where_somebody_wants_it(
    run, tmp_path, redirection, code, said
):
    streams = (
        "from cifar_tui.terminal.standard_streams import prepare_standard_streams as prepare\nprepare()\n"
    )
    work = "    time.sleep(0.2)\n    shell.leave('id', hint='a hint')\n    return 0\n"  # the reader has left
    end = "\nsys.exit(run_in_child(work, reads_terminal=False, results_lost=OSError))"
    start = START.replace('    say(f"child {os.getpid()}.")\n', "")
    (tmp_path / "script.py").write_text(start + work + streams + end)
    command = f"set -o pipefail; {sys.executable} script.py {redirection}"
    program = run(command=["bash", "-c", command])
    assert os.waitstatus_to_exitcode(program.wait()) == code
    assert b"a hint" in program.received
    assert said in program.received


def test_what_the_program_leaves_with_is_printed_and_the_prompt_comes_back(run, tmp_path):
    program = run(LEAVE)
    child = program.child()
    assert os.waitstatus_to_exitcode(program.wait()) == 0
    assert program.received.endswith("Come back.\r\nSoon – bald.\r\n".encode())
    wait_until(lambda: content(tmp_path / "session"))
    assert content(tmp_path / "session") == "True", "it has its own session"
    program.hang_up()
    (tmp_path / "go").touch()
    wait_until(lambda: content(tmp_path / "done"))
    wait_until(lambda: ended(child))


def test_a_hangup_does_not_end_the_parent_before_the_child_has_left(run, tmp_path):
    program = run(
        "    signal.signal(signal.SIGHUP, signal.SIG_IGN)\n    say('ready.')\n"
        "    while not os.path.exists('go'):\n        time.sleep(0.01)\n"
        "    with open('parent', 'w') as file:\n        file.write(str(os.getppid()))\n" + LEAVE
    )
    child = program.child()
    parent = program.pid
    program.until("ready.")
    program.wait_for_parent()
    program.hang_up()
    (tmp_path / "go").touch()
    wait_until(lambda: content(tmp_path / "done"))
    assert content(tmp_path / "parent") == f"{parent}"
    wait_until(lambda: ended(child))
    _, status = os.waitpid(program.pid, 0)
    program.pid = None
    assert os.waitstatus_to_exitcode(status) == 0


def test_the_link_of_the_child_ends_when_its_parent_is_killed(run, tmp_path):
    program = run(WATCH)
    child = program.child()
    program.until("ready.")
    assert not (tmp_path / "gone").exists()
    os.kill(program.pid, signal.SIGKILL)
    wait_until(lambda: content(tmp_path / "gone"))
    assert content(tmp_path / "gone") == "end", "there is nothing to read but the end"
    wait_until(lambda: ended(child))


def test_leaving_when_the_parent_is_gone_already_is_no_error(run, tmp_path):
    program = run(
        "    signal.signal(signal.SIGHUP, signal.SIG_IGN)\n    say('ready.')\n"
        "    select.select([shell.descriptor], [], [])\n" + LEAVE
    )
    child = program.child()
    program.until("ready.")
    os.kill(program.pid, signal.SIGKILL)
    wait_until(lambda: content(tmp_path / "session"))
    (tmp_path / "go").touch()
    wait_until(lambda: content(tmp_path / "done"))
    wait_until(lambda: ended(child))
