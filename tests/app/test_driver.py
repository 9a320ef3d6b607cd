"""The driver in a terminal of its own."""

import asyncio
import os
import pty
import signal
import sys
import time

import pytest
from textual.app import App
from textual.events import Key

from cifar_tui.app.driver import JobDriver


@pytest.fixture
def terminal(monkeypatch):
    """The user's end of a terminal that the program's standard streams are."""
    numbers = (signal.SIGTSTP, signal.SIGCONT, signal.SIGWINCH, signal.SIGTTIN, signal.SIGTTOU)
    before = {number: signal.getsignal(number) for number in numbers}
    ours, its = pty.openpty()
    for name, mode in (("__stdin__", "r"), ("__stderr__", "w")):
        monkeypatch.setattr(sys, name, os.fdopen(os.dup(its), mode))
    yield ours
    for number, handler in before.items():
        signal.signal(number, handler)
    os.close(ours)
    os.close(its)


@pytest.fixture
async def driver(terminal, monkeypatch):
    driver = JobDriver(App())
    driver.keys = []
    monkeypatch.setattr(driver, "process_message", driver.keys.append)
    yield driver
    driver.stop_application_mode()
    driver.close()


def pressed(driver):
    return [event.key for event in driver.keys if isinstance(event, Key)]


async def test_keys_are_read_again_after_the_screen_was_left_in_the_background(terminal, driver, monkeypatch):
    driver.start_application_mode()
    with monkeypatch.context() as patch:
        patch.setattr(driver, "_in_foreground", lambda: False)  # the shell has the terminal
        driver.stop_application_mode()
    driver._key_thread.join(20)
    assert not driver._key_thread.is_alive()
    driver.start_application_mode()
    os.write(terminal, b"x")
    deadline = time.monotonic() + 10
    while not pressed(driver):
        assert time.monotonic() < deadline, "nobody reads the keys"
        await asyncio.sleep(0.01)
    assert pressed(driver) == ["x"]
