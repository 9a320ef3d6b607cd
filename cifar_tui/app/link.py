"""How far the terminal is behind what is written to it."""

import contextlib
import threading
import time
from collections import deque
from typing import TextIO

ASK = "\x1b[6n"
"""Asks where the cursor is, which a terminal answers once it has drawn all that came before."""
BEHIND_SECONDS = 0.25
ANSWER_SECONDS = 30.0
ENTER_SCREEN, LEAVE_SCREEN = "\x1b[?1049h", "\x1b[?1049l"


class TerminalLink:
    """Know whether the terminal has drawn what was sent, while another thread writes it.

    The kernel, sshd and the network hold a lot that is written but not drawn, so a terminal that answers is
    asked after each frame; of another one, only what could not be written yet counts.

    Args:
        stream: to the terminal; `write` and `flush` are called by the writing thread.

    Attributes:
        screen_open: whether the alternate screen was entered and not left.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.screen_open = False
        self._sent = self._written = self._flushed = 0
        self._sent_at = 0.0
        self._asked = self._answers = False
        self._asked_at: deque[float] = deque()
        self._answered = threading.Condition()

    def forget(self) -> None:
        """Start over: what was sent to an earlier writing thread may have been lost. Ask nothing yet."""
        self._sent = self._written = self._flushed = 0
        self.stop_asking()

    def send(self, text: str) -> None:
        """Note that `text` is about to be written."""
        if self._flushed == self._sent:
            self._sent_at = time.monotonic()
        self._sent += len(text)

    def write(self, text: str) -> None:
        """Write `text`; blocks while the terminal does not read."""
        if text == ENTER_SCREEN:
            self.screen_open = True
        self._stream.write(text)
        self._written += len(text)
        if text == LEAVE_SCREEN:
            self.screen_open = False

    def flush(self) -> None:
        """Flush the stream."""
        self._stream.flush()
        self._flushed = self._written

    def fileno(self) -> int:
        """Return the descriptor of the terminal."""
        return self._stream.fileno()

    def question(self) -> str:
        """Return what to send after a frame: "" while it is not known whether the terminal answers."""
        if self._answers:
            self._asked_at.append(time.monotonic())
        elif self._asked:
            return ""
        self._asked = True
        return ASK

    def on_answer(self) -> None:
        """Note an answer; called by the thread that reads the keys."""
        self._answers = True
        with self._answered:
            with contextlib.suppress(IndexError):  # the first one, or one that came too late
                self._asked_at.popleft()
            self._answered.notify_all()

    def stop_asking(self) -> None:
        """Ask no more until `ask_again`."""
        self._asked, self._answers = True, False
        self._asked_at.clear()

    def ask_again(self) -> None:
        """Ask once, for whether the terminal answers."""
        self._asked = self._answers = False
        self._asked_at.clear()

    @property
    def waits_for_answer(self) -> bool:
        """Whether an answer is still to come."""
        return bool(self._asked_at)

    def wait_for_answers(self, seconds: float) -> None:
        """Wait until no answer is still to come, at most `seconds`."""
        with self._answered:
            self._answered.wait_for(lambda: not self.waits_for_answer, seconds)

    @property
    def behind(self) -> bool:
        """Whether what was sent a moment ago is not drawn yet."""
        now = time.monotonic()
        if self._flushed != self._sent:
            return now - self._sent_at > BEHIND_SECONDS
        with contextlib.suppress(IndexError):
            waited = now - self._asked_at[0]
            if waited > ANSWER_SECONDS:  # it was lost, or a key was taken for the first answer
                self.ask_again()
                return False
            return waited > BEHIND_SECONDS
        return False
