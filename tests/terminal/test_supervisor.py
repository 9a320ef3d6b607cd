"""The program in a child process, in a real terminal: the shell waits for its parent, which ends likewise."""

import os
import shutil
import signal
import sys
import termios

import pytest

from tests.terminal.program import END, START, status, wait_until

OF_BATCH_SYSTEMS = ("SIGQUIT", "SIGXCPU", "SIGALRM", "SIGTSTP")


NOTE_SIGNALS = """
    names = "INT TERM QUIT USR1 USR2 XCPU ALRM WINCH TSTP".split()
    for number in [signal.Signals["SIG" + name] for name in names]:
        signal.signal(number, lambda number, frame: say(f"got {number}."))
    say("ready.")
    while True:
        time.sleep(0.01)
"""


SIGNAL_BEFORE_THE_WAIT = """
import ctypes, functools, operator
number, parent = signal.{name}, os.getpid()
signals = [functools.partial(ctypes.CDLL(None).kill, parent, number)]

def after_a_signal(wait):
    def wait_after_a_signal(*arguments):
        if os.getpid() != parent:
            return wait(*arguments)
        while not os.path.exists("go"):
            time.sleep(0.01)
        calls = [*signals, functools.partial(wait, *arguments)]
        signals.clear()
        # between the calls is no bytecode, where the signal's handler would be called
        return list(map(operator.call, calls))[-1]

    return wait_after_a_signal

os.read, select.select = after_a_signal(os.read), after_a_signal(select.select)
"""


DRAW = """
    import termios, tty
    shell.note_run(Path("runs/a"))
    shell.note_run(Path("runs/b"))
    if {raw}:
        tty.setraw(0)
        say("\\x1b[?1049h\\x1b[?25l\\x1b[?1000h\\x1b[?2004h")
    {fork}
    say("drawing.")
    while not os.path.exists("go"):  # a parent that tidies up discards what nobody has read yet
        time.sleep(0.01)
    {end}
"""


LEFT_BEHIND = ("?1049l", "?25h", "?1000l", "?1003l", "?1006l", "?2004l", "?1004l", "?7h", "<u")


STOP = """
    while not os.path.exists("go"):
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIG{name})
    say("went on.")
    return 3
"""


@pytest.mark.parametrize("code", [0, 130])
def test_an_exit_code_is_passed_up(run, code):
    program = run(f"    return {code}\n")
    assert program.child() != program.pid
    assert os.waitstatus_to_exitcode(program.wait()) == code


def test_an_error_of_the_program_is_shown_and_passed_up(run):
    program = run("    raise ZeroDivisionError('a defect')\n")
    assert os.waitstatus_to_exitcode(program.wait()) == 1
    assert program.received.count(b"ZeroDivisionError: a defect") == 1


@pytest.mark.parametrize("name", ["SIGKILL", "SIGINT"])
def test_a_death_by_a_signal_is_passed_up(run, name):
    number = getattr(signal, name)
    program = run(
        f"    signal.signal({number}, signal.SIG_DFL) if {number} != signal.SIGKILL else None\n"
        f"    os.kill(os.getpid(), {number})\n    signal.pause()\n"
    )
    assert os.waitstatus_to_exitcode(program.wait()) == -number


def modes(program):
    return list(termios.tcgetattr(program.descriptor)[:4])


def let_go(program, folder):
    """Let what `DRAW` started end, now that its screen was read."""
    program.until("drawing.")
    (folder / "go").touch()


@pytest.mark.parametrize("name", ["SIGKILL", "SIGSEGV", "SIGABRT", "SIGBUS", "SIGFPE", "SIGILL", "SIGRTMIN"])
def test_a_parent_gives_the_terminal_of_a_killed_child_back_and_says_how_to_go_on(run, tmp_path, name):
    fork = "os.fork() or time.sleep(30)  # holds the child's end of the pipe"
    end = f"os.kill(os.getpid(), signal.{name}); signal.pause()"
    program = run(DRAW.format(raw=True, fork=fork if name == "SIGKILL" else "", end=end))
    before = modes(program)
    let_go(program, tmp_path)
    assert os.waitstatus_to_exitcode(program.wait()) == -getattr(signal, name)
    assert modes(program) == before
    said = program.received.decode().partition("drawing.")[2]
    for sequence in LEFT_BEHIND:
        assert f"\x1b[{sequence}" in said
    assert said.count("\x1b[?1049l") == 1
    what = "SIGKILL, perhaps for lack of memory" if name == "SIGKILL" else name
    assert f"cifar-tui: killed by {what}; run b has a checkpoint\r\n" in said


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGUSR1"])
def test_a_child_that_was_asked_to_end_before_it_could_answer_is_not_called_killed(run, tmp_path, name):
    end = f"os.kill(os.getpid(), signal.{name}); signal.pause()"
    program = run(DRAW.format(raw=True, fork="", end=end))
    let_go(program, tmp_path)
    assert os.waitstatus_to_exitcode(program.wait()) == -getattr(signal, name)
    assert b"\x1b[?1049l" in program.received
    assert b"killed" not in program.received


@pytest.mark.parametrize("raw", [True, False])
def test_a_child_that_exits_without_leaving_its_screen_is_tidied_up_after_and_no_other(run, tmp_path, raw):
    program = run(DRAW.format(raw=raw, fork="", end="os._exit(143)"))
    let_go(program, tmp_path)
    assert os.waitstatus_to_exitcode(program.wait()) == 143
    assert (b"\x1b[?1049l" in program.received) is raw


def test_a_terminal_that_takes_nothing_keeps_no_parent_waiting(run, tmp_path):
    program = run(DRAW.format(raw=True, fork="", end="os.write(1, b'x' * 10**6)"))
    program.child()
    let_go(program, tmp_path)
    (child,) = program.children
    wait_until(lambda: status(child, "State") == "S")
    os.kill(child, signal.SIGKILL)
    wait_until(lambda: os.waitid(os.P_PID, program.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT))
    assert os.waitstatus_to_exitcode(program.wait()) == -signal.SIGKILL


def test_every_signal_to_the_parent_reaches_the_child_each_time(run):
    program = run(NOTE_SIGNALS)
    program.until("ready.")
    program.wait_for_parent()
    for name in ("SIGINT", "SIGTERM", "SIGUSR1", "SIGUSR2", "SIGWINCH", *OF_BATCH_SYSTEMS):
        number = getattr(signal, name)
        for count in (1, 2):
            os.kill(program.pid, number)
            program.until(f"got {number:d}.", count)


def test_a_signal_just_before_the_parent_waits_reaches_the_child(run, tmp_path):
    program = run(NOTE_SIGNALS, before=SIGNAL_BEFORE_THE_WAIT.format(name="SIGTERM"))
    program.until("ready.")
    (tmp_path / "go").touch()
    program.until(f"got {signal.SIGTERM:d}.")


def test_the_parent_stops_with_the_child_and_both_go_on(run, tmp_path):
    # its terminal's session has no shell here: nothing but SIGSTOP stops a program in it
    program = run(STOP.format(name="STOP"))
    program.wait_for_parent()
    (tmp_path / "go").touch()
    assert os.WIFSTOPPED(program.wait(os.WUNTRACED))
    assert b"went on." not in program.received
    os.kill(program.pid, signal.SIGCONT)
    program.until("went on.")
    assert os.waitstatus_to_exitcode(program.wait()) == 3


def test_a_shell_has_its_prompt_back_while_the_program_is_suspended(run, tmp_path):
    if shutil.which("bash") is None:
        pytest.skip("there is no bash here")
    (tmp_path / "script.py").write_text(START + STOP.format(name="TSTP") + END)
    program = run(command=["bash", "--norc", "--noprofile", "-i"])
    os.write(program.descriptor, f"{sys.executable} script.py\n".encode())
    program.wait_for_parent()
    (tmp_path / "go").touch()
    program.until("Stopped")
    os.write(program.descriptor, b"echo $((40 + 2))\n")
    program.until("42")
    assert b"went on." not in program.received
    os.write(program.descriptor, b"fg\n")
    program.until("went on.")
    os.write(program.descriptor, b"echo code $((100 + $?))\n")
    program.until("code 103")
