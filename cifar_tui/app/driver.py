"""Textual's driver for a program that may be stopped at any time, and for a terminal behind a slow link."""

import asyncio
import contextlib
import errno
import os
import select
from types import FrameType
from typing import Any

from textual.app import App
from textual.drivers.linux_driver import LinuxDriver
from textual.events import CursorPosition
from textual.message import Message

from cifar_tui.app.keys import KeyReader, bounded
from cifar_tui.app.link import TerminalLink

_LAST_ANSWER_SECONDS = 3.0
_READ_SECONDS = 0.1


class JobDriver(LinuxDriver):
    """Start application mode once per suspension, never wait for the terminal, and ignore what is no key.

    Textual's driver starts it on every SIGCONT: one without a suspension, or a second one, leaves two threads
    reading the keys. Its event loop waits while a terminal reads nothing.

    Attributes:
        link: how far the terminal is behind.
        leaving: whether the app exits: a suspended one is not started again for that.
    """

    _resuming = False
    _suspending = False
    _requested_again = False
    _drawing = False
    leaving = False

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
        self.exit_event.clear()  # set where the screen was left in the background
        self.link.forget()  # an answer before the terminal is in raw mode would be echoed
        before = self._writer_thread
        super().start_application_mode()  # type: ignore[no-untyped-call]  # Textual's has no annotations
        if self._writer_thread is not None and self._writer_thread is not before:  # in the foreground
            self._drawing = True
            # Textual's limit would block the event loop; `link` bounds what is drawn instead
            self._writer_thread._queue.maxsize = 0  # noqa: SLF001 - Textual has no public name for it
            self.link.ask_again()
            self.flush()

    def stop_application_mode(self) -> None:
        """Leave the screen, unless the terminal is another program's by now."""
        if self._drawing and self._in_foreground():
            super().stop_application_mode()
        elif self._drawing:  # changing the terminal would take keys from the shell, or stop this process
            self.link.screen_open = False
            self.exit_event.set()
        self._drawing = False

    def _in_foreground(self) -> bool:
        try:
            return os.tcgetpgrp(self.fileno) == os.getpgrp()
        except OSError as error:
            return error.errno == errno.ENOTTY  # not the controlling terminal; otherwise it is gone

    def disable_input(self) -> None:
        if self._drawing:
            self.link.wait_for_answers(_LAST_ANSWER_SECONDS)  # or the shell would read them
            self.link.stop_asking()
            super().disable_input()

    def run_input_thread(self) -> None:
        """Read keys until the screen is left."""
        keys = KeyReader()
        while not self.exit_event.is_set():
            if select.select((self.fileno,), (), (), _READ_SECONDS)[0]:
                try:
                    data = os.read(self.fileno, 4096)
                except OSError:  # the terminal is gone, or the shell's
                    data = b""
                if not data:
                    self.exit_event.wait()
                    return
                for message in keys.feed(data):
                    self.process_message(message)
            for message in keys.tick():
                self.process_message(message)

    def _run_input_thread(self) -> None:
        self.run_input_thread()  # an error in it ends the thread, which the app notices

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

    def _get_terminal_size(self) -> tuple[int, int]:
        return bounded(*super()._get_terminal_size())

    def _sigtstp_application(self, *_: object) -> None:
        if not self._suspending:  # a second signal, for the process and for its group
            self._suspending = True
            super()._sigtstp_application()

    def _sigcont_application(self, number: int, frame: FrameType | None) -> None:
        self._suspending = False
        self._requested_again = True
        if not self._resuming:
            # not in here: this may have interrupted the handler of the signal with which a shell ends a job
            with contextlib.suppress(RuntimeError):  # no loop runs: the screen has been left
                asyncio.get_running_loop().call_soon_threadsafe(self._resume, number, frame)

    def _resume(self, number: int, frame: FrameType | None) -> None:
        if self.leaving:
            return
        self._resuming = True
        try:
            # in the background the process is stopped in here again, until it is in the foreground
            while self._requested_again and self._must_signal_resume:
                self._requested_again = False
                super()._sigcont_application(number, frame)
        finally:
            self._resuming = False
