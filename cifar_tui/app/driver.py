"""Textual's driver, for a program that may be stopped and go on at any time."""

from types import FrameType

from textual.drivers.linux_driver import LinuxDriver


class JobDriver(LinuxDriver):
    """Takes the terminal again once for every time that it was given back.

    Textual's own begins anew with every SIGCONT: one that follows no suspension, or comes a second time,
    leaves it with two threads that read the keys.
    """

    _begins = False
    _asked_again = False

    def _sigcont_application(self, number: int, frame: FrameType | None) -> None:
        self._asked_again = True
        if self._begins:  # a signal has come while another one is served
            return
        self._begins = True
        try:
            # in the background it is stopped in here, and has to try again when it is in the foreground
            while self._asked_again and self._must_signal_resume:
                self._asked_again = False
                super()._sigcont_application(number, frame)
        finally:
            self._begins = False
