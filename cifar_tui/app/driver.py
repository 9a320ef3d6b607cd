"""Textual's driver for a program that may be stopped and continued at any time."""

from types import FrameType

from textual.drivers.linux_driver import LinuxDriver


class JobDriver(LinuxDriver):
    """Start application mode once per suspension.

    Textual's driver starts it on every SIGCONT: one without a suspension, or a second one, leaves two threads
    reading the keys.
    """

    _resuming = False
    _requested_again = False

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
