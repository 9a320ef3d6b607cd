"""Textual's driver for a program that may be stopped at any time, and for a terminal behind a slow link."""

from types import FrameType
from typing import Any

from textual.app import App
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

    def __init__(
        self,
        app: App[Any],
        *,
        debug: bool = False,
        mouse: bool = True,
        size: tuple[int, int] | None = None,
    ) -> None:
        super().__init__(app, debug=debug, mouse=mouse, size=size)
        if self._file is None:
            raise AssertionError("the dashboard is not opened without a terminal")
        self.link = TerminalLink(self._file)
        self._file = self.link  # type: ignore[assignment]  # it has what the writing thread calls of a file

    def start_application_mode(self) -> None:
        self.link.forget()  # an answer before the terminal is in raw mode would be echoed
        super().start_application_mode()  # type: ignore[no-untyped-call]  # Textual's has no annotations
        if self._writer_thread is not None:
            # Textual's limit would block the event loop; `link` bounds what is drawn instead
            self._writer_thread._queue.maxsize = 0  # noqa: SLF001 - Textual has no public name for it
            self.link.ask_again()
            self.flush()

    def disable_input(self) -> None:
        self.link.wait_for_answers(_LAST_ANSWER_SECONDS)  # or the shell would read them
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
