"""The dashboard inside a real tmux, whose status line takes a row of 80×24."""

import re
import shutil
import subprocess
import sys

import pytest


@pytest.fixture
def tmux(open_terminal, tmp_path):
    """Opens a terminal with tmux in it, and in that the program."""
    if shutil.which("tmux") is None:
        pytest.skip("there is no tmux here")
    server = ["tmux", "-S", str(tmp_path / "tmux"), "-f", "/dev/null"]

    def open_in_tmux(*arguments, size):
        line = " ".join([sys.executable, "-m", "cifar_tui", *map(str, arguments)])
        return open_terminal(command=[*server, "new-session", line], size=size, TMUX="")

    yield open_in_tmux
    subprocess.run([*server, "kill-server"], check=False, capture_output=True)


def test_a_training_in_tmux_has_charts_samples_and_keys(tmux, image_folder, tmp_path):
    terminal = tmux(
        "--data",
        image_folder,
        "--epochs",
        90000,
        "--set",
        "eval_every=0",
        "--set",
        "checkpoint_every_epochs=99",
        size=(80, 24),
    )
    terminal.until("1 Settings +2 Training")
    assert "[0]" in terminal.text().splitlines()[23], "the last row is that of tmux"
    terminal.press("1")
    terminal.until("> preset")
    terminal.press("\x1bt")  # alt+t, which is what a terminal sends for escape and t
    terminal.until("▶ training")
    terminal.until("Loss")
    terminal.until(r"· epoch \d+: mean loss")  # the last line of the log
    terminal.press("3")
    terminal.until("GroundTruth")
    assert re.search(rb"\x1b\[[0-9;]*38;5;", bytes(terminal.received)), "tmux passes on 256 colours"
    terminal.resize(60, 17)
    terminal.until("3 Samples")
    terminal.press("s", "2")
    terminal.until("stopped")
    terminal.press("q")
    assert terminal.wait_for_exit() == 0
    assert list((tmp_path / "checkpoints").glob("*/last.pt"))
