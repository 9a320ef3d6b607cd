"""What is put back of a terminal that a program has left as it was."""

import os
import pty
import termios
import tty

from cifar_tui.terminal.restore import TerminalState


def _in_a_terminal(work):
    """Return what `work` prints in a session with a terminal."""
    pid, descriptor = pty.fork()
    if pid == 0:
        try:
            work()
        finally:
            os._exit(0)
    printed = b""
    try:
        while block := os.read(descriptor, 1024):
            printed += block
    except OSError:  # it has ended
        pass
    os.close(descriptor)
    os.waitpid(pid, 0)
    return printed


def _mode():
    return b"lines" if termios.tcgetattr(0)[3] & termios.ICANON else b"keys"


def test_a_terminal_that_was_left_reading_keys_reads_lines_again():
    def work():
        state = TerminalState()
        tty.setcbreak(0)
        state.restore()
        os.write(1, _mode())

    assert b"lines" in _in_a_terminal(work)


def test_a_process_in_the_background_leaves_a_shell_that_edits_a_line_alone():
    def work():
        state = TerminalState()
        tty.setcbreak(0)
        if (background := os.fork()) == 0:
            os.setpgid(0, 0)
            state.restore()
            os._exit(0)
        os.waitpid(background, 0)
        os.write(1, _mode())

    assert _in_a_terminal(work) == b"keys"
