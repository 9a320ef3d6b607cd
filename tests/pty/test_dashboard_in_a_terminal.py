"""The dashboard as a user has it: in a real pseudo-terminal, by keyboard alone."""

import re
import socketserver
import threading

import pytest
import torch

from cifar_tui.engine.config.schema import SETTINGS
from cifar_tui.engine.models.net import Net

COLOUR_24_BIT, COLOUR_256 = rb"[34]8;2;(\d+);(\d+);(\d+)[;m]", rb"\x1b\[[0-9;]*38;5;"


def hint(setting):
    """A pattern of what the form says about the setting that has the focus."""
    return r"\s+".join(SETTINGS[setting].metadata["description"].split()[:3])


def enter_form(terminal):
    """Move into the first field; the form then says what it is about."""
    terminal.press("1")
    terminal.until(hint("preset"))


def replace(terminal, text):
    """Type `text` in place of what is in the field that has the cursor, without waiting for the screen."""
    terminal.press("ctrl+u", *str(text))


def leave_field(terminal):
    """Press escape, and wait until it is not the first half of another key any more."""
    terminal.press("escape")
    terminal.until("q Quit")


def test_configure_train_pause_resize_evaluate_page_help_palette_and_quit(
    open_terminal, image_folder, tmp_path
):
    settings = ("backend=eager", "eval_every=0", "checkpoint_every_epochs=100")  # its epochs have six steps
    terminal = open_terminal(*(part for setting in settings for part in ("--set", setting)), size=(80, 24))
    terminal.until("1 Settings")

    # configure: into the form, to the field `data`, in place of what is there
    enter_form(terminal)
    terminal.press("down")
    replace(terminal, image_folder.name)
    terminal.press("down", "tab")
    replace(terminal, 9000)
    terminal.press("ctrl+t")
    terminal.until("▶ training")
    terminal.until(r"Epoch [1-9]\d* of 9,000")
    terminal.press("space")
    terminal.until("‖ paused")
    terminal.until("space Resume")
    counters = re.search(r"Epoch ([\d,]+) of", terminal.text())[1]
    terminal.press("space")
    terminal.until("▶ training")
    terminal.until_gone(rf"Epoch {counters} of")

    terminal.press("3")
    terminal.until("GroundTruth")
    terminal.until(r"Samples · 1/3")
    terminal.press("]")
    terminal.until(r"Samples · 2/3")
    terminal.press("[", "[")
    terminal.until(r"Samples · 3/3")

    for size, visible in (((200, 50), 5), ((100, 30), 1), ((120, 40), 5)):
        terminal.resize(*size)
        terminal.until_true(lambda n=visible: len(re.findall("─ ?[1-5] [A-Z]", terminal.text())) == n)
    terminal.until(r"Samples · 3/3")

    terminal.press("e", "4")
    terminal.until(r"Accuracy of the network on the\s+12 test images|Accuracy of the network")

    terminal.press("?")
    terminal.until("Resume training after a pause")
    terminal.press("?")
    terminal.until_gone("Resume training after a pause")

    terminal.press("ctrl+p")
    terminal.until("Search for commands")
    terminal.until("Detach \\(d\\)")
    terminal.press(*"checkp")
    terminal.until_gone("Detach \\(d\\)")
    terminal.until("Save a checkpoint now")
    terminal.press("enter")
    terminal.until("Saving checkpoint…")
    (folder,) = (tmp_path / "checkpoints").iterdir()
    saved = r'"reason":"requested"[\s\S]*"phase":"training"'
    terminal.until_true(lambda: re.search(saved, (folder / "events.jsonl").read_text()))

    terminal.press("ctrl+c")
    terminal.until("Training is running")
    for answer in ("d keep it running and leave", "y save, stop, leave", "esc stay"):
        terminal.until(answer)
    terminal.press("enter")
    terminal.until_gone("Training is running")
    terminal.until("▶ training")

    colours = re.findall(COLOUR_24_BIT, bytes(terminal.received))
    assert any(red != green for red, green, _ in colours)
    terminal.press("q")
    terminal.until("Training is running")
    terminal.press("y")
    assert terminal.wait_for_exit() == 0
    assert terminal.left_clean()
    assert torch.load(folder / "last.pt", weights_only=True)["step"] > 0
    assert f"run {folder.name} in" in bytes(terminal.received).decode(), "it says where the run is"


SHOUT = """
import os, threading, time
import cifar_tui.runs.live as live
def shout():
    while True:
        os.write(2, b'NATIVE NOISE\\n')
        time.sleep(0.05)
start = live.LiveRun.start_training
def shouting(run): threading.Thread(target=shout, daemon=True).start(); start(run)
live.LiveRun.start_training = shouting
"""
"""Writes to descriptor 2, as native code does, from the start of the run on."""


@pytest.mark.parametrize(
    ("size", "environment"),
    [((80, 24), {"NO_COLOR": "1"}), ((200, 50), {"COLORTERM": ""})],
)
def test_a_whole_training_stays_on_the_screen_with_fewer_colours(
    open_terminal, image_folder, tmp_path, size, environment
):
    training = ("train", "--data", image_folder, "--lr", "0.02", "--epochs", "5")
    terminal = open_terminal(*training, size=size, changes=SHOUT, **environment)
    terminal.until("✓ done")
    terminal.press("4")
    terminal.until(r"Accuracy of the network")
    terminal.until("of 12")
    for name in ("red", "green", "blue"):
        terminal.until(name)
    terminal.press("3")
    terminal.until(r"predicted at step 30")
    terminal.until("✓ right|✗ wrong")
    terminal.press("5")
    terminal.until("Accuracy for class: red")
    terminal.press("2")
    terminal.until("Epoch 5 of 5")
    drawn = bytes(terminal.received)
    terminal.press("ctrl+c")  # no run is active any more
    assert terminal.wait_for_exit() == 0
    assert terminal.left_clean()
    assert b"NATIVE NOISE" not in drawn
    (folder,) = (tmp_path / "checkpoints").iterdir()
    assert "NATIVE NOISE" in (folder / "run.log").read_text()
    colours = re.findall(COLOUR_24_BIT, drawn)
    if "NO_COLOR" in environment:
        assert {colour for colour in colours if len(set(colour)) > 1} == set(), "no colour"
    else:
        assert colours == []
        assert re.search(COLOUR_256, drawn)


def test_a_terminal_that_is_too_small_says_so_at_any_time(open_terminal):
    terminal = open_terminal("--data", "synthetic", size=(59, 16))
    terminal.until("too small: 59×16.*60×16")
    terminal.resize(60, 16)
    terminal.until("1 Settings")
    for columns, rows in ((20, 5), (80, 23), (1, 1), (5, 3)):
        terminal.resize(columns, rows)
        terminal.pump(0.2)
    terminal.resize(60, 10)
    terminal.until("too small: 60×10")
    terminal.resize(200, 50)
    terminal.until("q Quit")
    assert "Traceback" not in terminal.text()
    terminal.press("q")
    assert terminal.wait_for_exit() == 0


def test_keys_are_text_in_a_field_and_a_wrong_value_is_said_when_it_is_left(open_terminal):
    terminal = open_terminal("--data", "synthetic", size=(80, 24))
    terminal.until("1 Settings +2 Training")
    terminal.until("t Train")
    assert b"raining yet" not in terminal.received, "the first frame has one pane"
    enter_form(terminal)
    terminal.press("down")
    replace(terminal, "quest?")
    terminal.until(r"data\s+quest\?")
    terminal.press("down", "down", "down")
    replace(terminal, 0)
    terminal.press("enter")
    terminal.until("✗ .*must be a whole number from 1")
    terminal.press("down")
    terminal.until(hint("learning_rate"))
    terminal.until("✗ batch_size")
    terminal.until("✗ data")
    leave_field(terminal)
    terminal.press("t")
    terminal.until("✗ .*is not a folder")
    assert "─1 Settings" in terminal.text(), "otherwise Training would be in front"
    leave_field(terminal)
    terminal.press("q")
    assert terminal.wait_for_exit() == 0


@pytest.fixture
def broken_proxy():
    """The address of a proxy that drops every connection, once `answers` is set."""
    answers = threading.Event()

    class Drop(socketserver.BaseRequestHandler):
        def handle(self):
            answers.wait()

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Drop) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}", answers
        answers.set()
        server.shutdown()


def test_a_failed_download_opens_a_dialog_with_every_way_out(open_terminal, image_folder, broken_proxy):
    proxy, answers = broken_proxy
    terminal = open_terminal("train", https_proxy=proxy, http_proxy=proxy)
    answers.set()
    terminal.until("CIFAR-10 is not available")
    for way in ("r Retry", "f Choose a folder", "s Use synthetic images", "esc Cancel"):
        terminal.until(way)
    answers.clear()
    terminal.press("r")
    terminal.until_gone("CIFAR-10 is not available")
    answers.set()
    terminal.until(r"Attempt 2 at \d\d:\d\d:\d\d failed as well")
    terminal.press("f")
    terminal.press(*image_folder.name, "enter")
    terminal.until("✓ done")


def test_weights_are_evaluated_in_the_dashboard(open_terminal, image_folder, tmp_path):
    torch.save(Net(num_classes=3).state_dict(), tmp_path / "net.pth")
    terminal = open_terminal("eval", "net.pth", "--data", image_folder)
    terminal.until("✓ done +evaluated")
    terminal.until("Accuracy of the network")
    terminal.press("q")
    assert terminal.wait_for_exit() == 0


def test_a_run_that_fails_says_why_and_ends_with_its_exit_code(open_terminal, tmp_path):
    (tmp_path / "bad.pth").write_text("no weights")
    terminal = open_terminal("eval", "bad.pth", "--data", "synthetic")
    terminal.until("✗ failed +.*bad.pth.* is not a PyTorch checkpoint")
    terminal.press("q")
    assert terminal.wait_for_exit() == 2
