"""A link that carries little: the training and the keys go on, and the screen shows fewer frames."""

import os
import time

from cifar_tui.engine.events import LossPoint
from cifar_tui.runs.disk.event_log import EventReader
from cifar_tui.runs.disk.run_lock import owner_of


def wait_until(condition, seconds=60):
    """Wait while the terminal reads nothing."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def steps_in(folder):
    """A function that returns the latest step in the event log of the run in `folder`."""
    reader, latest = EventReader(folder), [0]

    def step():
        latest.extend(event.step for event in reader.read() if isinstance(event, LossPoint))
        return latest[-1]

    return step


def test_a_slow_link_gets_fewer_frames_and_keeps_neither_the_training_nor_a_key_waiting(
    open_terminal, image_folder, tmp_path
):
    settings = ("--set", "eval_every=0", "--set", "checkpoint_every_epochs=100", "--set", "backend=eager")
    terminal = open_terminal(
        "train", "--data", image_folder, "--epochs", 100000, "--device", "cpu", *settings
    )
    terminal.answer()
    terminal.until("▶ training", seconds=120)
    (folder,) = tmp_path.glob("checkpoints/*")
    step = steps_in(folder)
    terminal.until_true(step)

    terminal.bytes_per_second = 2000
    terminal.until(r"slow connection: redrawn every \d+ s")

    # nothing is read at all: it trains, and takes a key after one that was held down
    start = step()
    for _ in range(100):
        os.write(terminal.descriptor, b"]")
        time.sleep(0.02)
    wait_until(lambda: step() > start + 100)
    os.write(terminal.descriptor, b"s")
    wait_until(lambda: not owner_of(folder).live)

    terminal.bytes_per_second = None
    terminal.until("stopped at step", seconds=30)
    terminal.until_gone("slow connection", seconds=30)
    terminal.press("q")
    assert terminal.wait_for_exit() == 0
    assert terminal.left_clean()
