"""Textual's driver for a program that may be stopped at any time, and for a terminal behind a slow link."""

import time
from types import FrameType
from typing import Any

from textual.drivers.linux_driver import LinuxDriver
from textual.events import CursorPosition
from textual.message import Message

from cifar_tui.app.link import TerminalLink

_LAST_ANSWER_SECONDS = 3.0


class JobDriver(LinuxDriver):
    """Start application mode once per suspension, and never wait for the terminal.

    Textual's driver starts it on every SIGCONT: one without a suspension, or a second one, leaves two threads
    reading the keys. Its event loop waits while a terminal reads nothing.

    Attributes:
        link: how far the terminal is behind.
    """

    _resuming = False
    _requested_again = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - Textual's own
        super().__init__(*args, **kwargs)
        self.link = TerminalLink(self._file)  # type: ignore[arg-type]  # without a stream nothing is drawn
        self._file = self.link  # type: ignore[assignment]  # any stream will do

    def start_application_mode(self) -> None:
        self.link.forget()  # an answer before the terminal is in raw mode would be echoed
        super().start_application_mode()  # type: ignore[no-untyped-call]
        if self._writer_thread is not None:
            self._writer_thread._queue.maxsize = 0  # noqa: SLF001 - `link` bounds what is drawn
            self.link.ask_again()
            self.flush()

    def disable_input(self) -> None:
        deadline = time.monotonic() + _LAST_ANSWER_SECONDS
        while self.link.waits_for_answer and time.monotonic() < deadline:  # or the shell would read it
            time.sleep(0.01)
        self.link.stop_asking()
        super().disable_input()

    def write(self, data: str) -> None:
        self.link.send(data)
        super().write(data)

    def flush(self) -> None:
        """Ask for an answer after each frame."""
        if question := self.link.question():
            self.write(question)

    def process_message(self, message: Message) -> None:
        if isinstance(message, CursorPosition):
            self.link.on_answer()
        else:
            super().process_message(message)

    def _sigcont_application(self, number: int, frame: FrameType | None) -> None:
        self._requested_again = True
        if self._resuming:  # a signal during the handler
            return
        self._resuming = True
        try:
            # in the background the process is stopped in here again, until it is in the foreground
            while self._requested_again and self._must_signal_resume:
                self._requested_again = False
                super()._sigcont_application(number, frame)
        finally:
            self._resuming = False
