"""The dashboard as a user has it: in a real pseudo-terminal, by keyboard alone."""

import re
import signal
import socketserver
import subprocess
import sys
import threading
import time

import pytest
import torch

SIZES = [(80, 24), (120, 40), (200, 50)]


def enter_form(terminal):
    """Move into the first field; the form then says what it is about."""
    terminal.press("1")
    terminal.until("the recipe the other settings")


def replace(terminal, label, text):
    """Type `text` in place of what is in the field that has the cursor."""
    terminal.press("ctrl+u")
    terminal.until(rf"│ {label} +│")
    terminal.press(*str(text))


def leave_field(terminal):
    """Press escape, and wait until it is not the first half of another key any more."""
    terminal.press("escape")
    terminal.until("q Quit")


@pytest.mark.parametrize("size", SIZES)
def test_configure_train_pause_resume_evaluate_page_help_palette_and_quit(
    open_terminal, image_folder, tmp_path, size
):
    terminal = open_terminal(size=size)
    terminal.until("1 Settings")
    terminal.until("t trains")

    # configure: into the form, to the field `data`, in place of what is there
    enter_form(terminal)
    terminal.press("tab")
    replace(terminal, "data", image_folder)
    terminal.press("tab", "tab", "tab", "tab")
    replace(terminal, "epochs", 9000)
    leave_field(terminal)
    terminal.press("t")
    terminal.until("▶ training")
    terminal.until(r"Epoch [1-9]\d* of 9,000")
    terminal.press("space")
    terminal.until("‖ paused")
    counters = re.search(r"Epoch ([\d,]+) of", terminal.text())[1]
    terminal.press("space")
    terminal.until("▶ training")
    terminal.until_gone(rf"Epoch {counters} of")

    terminal.press("3")
    terminal.until("GroundTruth")
    terminal.until("batch 1 of 3")
    terminal.press("]")
    terminal.until("batch 2 of 3")
    terminal.press("[", "[")
    terminal.until("batch 3 of 3")

    terminal.press("e", "4")
    terminal.until(r"Accuracy of the network on the\s+12 test images|Accuracy of the network")

    terminal.press("?")
    terminal.until("Pause training between two steps")
    terminal.press("?")
    terminal.until_gone("Pause training between two steps")

    terminal.press("ctrl+p")
    terminal.until("Search for commands")
    terminal.until("Configuration \\(1\\)")
    terminal.press(*"checkp")
    terminal.until_gone("Configuration \\(1\\)")
    terminal.until("Write a checkpoint now")
    terminal.press("enter")
    terminal.until("A checkpoint is written before")
    (folder,) = (tmp_path / "checkpoints").iterdir()
    terminal.until_true(lambda: '"reason":"asked for"' in (folder / "events.jsonl").read_text())

    terminal.press("q")
    terminal.until("Stop it, save it and leave")
    terminal.press("y")
    assert terminal.wait_for_exit() == 0
    assert terminal.left_clean()
    assert torch.load(folder / "last.pt", weights_only=True)["step"] > 0
    assert f"run {folder.name} in" in bytes(terminal.received).decode(), "it says where the run is"


@pytest.mark.parametrize("size", SIZES)
def test_a_whole_training_stays_on_the_screen(open_terminal, image_folder, size):
    terminal = open_terminal("train", "--data", image_folder, "--lr", "0.02", "--epochs", "5", size=size)
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
    terminal.press("g")
    terminal.until(r"folder .*\s+.*training|training and|12 test")
    terminal.press("2")
    terminal.until("Epoch 5 of 5")
    terminal.press("q")
    assert terminal.wait_for_exit() == 0
    assert terminal.left_clean()


@pytest.mark.parametrize(
    ("environment", "colours"),
    [
        ({"COLORTERM": "truecolor"}, rb"\x1b\[[0-9;]*38;2;"),
        ({"COLORTERM": ""}, rb"\x1b\[[0-9;]*38;5;"),
    ],
)
def test_colours_are_those_the_terminal_has(open_terminal, image_folder, environment, colours):
    terminal = open_terminal("train", "--data", image_folder, **environment)
    terminal.until("✓ done")
    assert re.search(colours, bytes(terminal.received))
    if environment["COLORTERM"] == "":
        assert not re.search(rb"[34]8;2;", bytes(terminal.received))


def test_without_colour_everything_can_still_be_told_apart(open_terminal, image_folder):
    terminal = open_terminal("train", "--data", image_folder, NO_COLOR="1")
    terminal.until("✓ done")
    terminal.until("✓ right|✗ wrong")
    for red, green, blue in re.findall(rb"[34]8;2;(\d+);(\d+);(\d+)", bytes(terminal.received)):
        assert red == green == blue


def test_a_terminal_that_is_too_small_says_so_at_any_time(open_terminal):
    terminal = open_terminal("--data", "synthetic", size=(79, 24))
    terminal.until("too small: 79×24; it needs 80×24")
    terminal.resize(80, 24)
    terminal.until("1 Settings")
    for columns, rows in ((20, 5), (80, 23), (1, 1), (5, 3)):
        terminal.resize(columns, rows)
        terminal.pump(0.2)
    terminal.resize(60, 10)
    terminal.until("too small: 60×10")
    terminal.resize(200, 50)
    terminal.until("t trains")
    assert "Traceback" not in terminal.text()
    terminal.press("q")
    assert terminal.wait_for_exit() == 0


def test_a_resize_while_training_shows_the_other_layout(open_terminal, image_folder):
    terminal = open_terminal("train", "--data", image_folder, "--epochs", "9000", size=(200, 50))
    terminal.until(r"Epoch \d+ of 9,000")
    titles = ("1 Configuration ─", "2 Training ─", "3 Samples", "4 Summary ─", "5 Log ─")
    for size, visible in (((80, 24), 1), ((120, 40), 5), ((200, 50), 5), ((100, 30), 1)):
        terminal.resize(*size)
        terminal.until_true(lambda n=visible: sum(f"╭─ {t}" in terminal.text() for t in titles) == n)


def test_keys_are_text_while_a_field_is_typed_in(open_terminal):
    terminal = open_terminal("--data", "synthetic")
    terminal.until("t trains")
    enter_form(terminal)
    terminal.press("tab")
    replace(terminal, "data", "quest?")
    terminal.until(r"data\s+quest\?")
    leave_field(terminal)
    terminal.press("q")
    assert terminal.wait_for_exit() == 0


def test_a_wrong_value_is_said_beside_its_field_when_it_is_left(open_terminal):
    terminal = open_terminal("--data", "synthetic", size=(80, 24))
    terminal.until("t trains")
    enter_form(terminal)
    for _ in range(6):
        terminal.press("tab")
    replace(terminal, "batch size", 0)
    terminal.press("tab")
    terminal.until("✗ .*must be a whole number from 1")
    terminal.until("also after Nesterov")  # no text field: the footer does not tell that it is left
    terminal.press("escape")
    terminal.until_gone("also after Nesterov")
    terminal.press("t")
    terminal.until("A setting is wrong")
    assert "─ 1 Configuration ─" in terminal.text(), "the training would have come to the front"
    assert "Settings are fixed while training" not in terminal.text()


def test_ctrl_c_asks_while_a_run_is_live_and_can_be_taken_back(open_terminal, image_folder):
    terminal = open_terminal("train", "--data", image_folder, "--epochs", "9000")
    terminal.until(r"Epoch \d+ of 9,000")
    terminal.press("ctrl+c")
    terminal.until("Stop it, save it and leave")
    terminal.press("enter")
    terminal.until_gone("Stop it, save it and leave")
    terminal.press("s")
    terminal.until("✓ done · stopped and saved at step")
    terminal.press("ctrl+c")
    assert terminal.wait_for_exit() == 0
    assert terminal.left_clean()


def test_sigterm_saves_and_leaves_the_terminal_clean(open_terminal, image_folder, tmp_path):
    terminal = open_terminal("train", "--data", image_folder, "--epochs", "9000")
    terminal.until(r"Epoch \d+ of 9,000")
    terminal.kill(signal.SIGTERM)
    assert terminal.wait_for_exit() == 128 + signal.SIGTERM
    assert terminal.left_clean()
    (folder,) = (tmp_path / "checkpoints").iterdir()
    assert (folder / "last.pt").exists()


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


def test_images_that_cannot_be_had_open_a_dialog_with_every_way_out(
    open_terminal, image_folder, broken_proxy
):
    proxy, answers = broken_proxy
    terminal = open_terminal("train", https_proxy=proxy, http_proxy=proxy)
    answers.set()
    terminal.until("There are no images ─")
    for way in ("Try again", "Use the folder", "Use synthetic images", "Cancel"):
        terminal.until(way)
    answers.clear()
    terminal.press("enter")
    terminal.until_gone("There are no images ─")
    answers.set()
    terminal.until("There are no images ─")
    terminal.press("tab", "tab", "tab", "tab")
    terminal.press(*str(image_folder), "enter")
    terminal.until("✓ done")


def test_weights_are_evaluated_in_the_dashboard(open_terminal, image_folder, tmp_path):
    subprocess.run(
        [sys.executable, "-m", "cifar_tui", "train", "--headless", "--data", str(image_folder)],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    terminal = open_terminal("eval", "latest")
    terminal.until("✓ done · evaluated")
    terminal.until("Accuracy of the network")
    terminal.press("q")
    assert terminal.wait_for_exit() == 0


def test_a_run_that_fails_says_why_and_ends_with_its_exit_code(open_terminal, tmp_path):
    (tmp_path / "bad.pth").write_text("no weights")
    terminal = open_terminal("eval", "bad.pth")
    terminal.until("✗ failed · bad.pth is not a PyTorch checkpoint")
    terminal.press("q")
    assert terminal.wait_for_exit() == 2


def test_what_native_code_writes_lands_in_the_runs_log_and_not_on_the_screen(
    open_terminal, image_folder, tmp_path
):
    (tmp_path / "sitecustomize.py").write_text(
        "import os, threading\n"
        "def shout():\n"
        "    os.write(2, b'NATIVE NOISE\\n')\n"
        "    threading.Timer(0.05, shout).start()\n"
        "import cifar_tui.runs.live as live\n"
        "start = live.LiveRun.start_training\n"
        "def shouting(run): shout(); start(run)\n"
        "live.LiveRun.start_training = shouting\n"
    )
    terminal = open_terminal("train", "--data", image_folder, PYTHONPATH=str(tmp_path))
    terminal.until("✓ done")
    assert b"NATIVE NOISE" not in terminal.received
    (folder,) = (tmp_path / "checkpoints").iterdir()
    assert "NATIVE NOISE" in (folder / "run.log").read_text()


def test_the_first_frame_of_a_small_terminal_shows_one_pane(open_terminal):
    terminal = open_terminal("--data", "synthetic", size=(80, 24))
    terminal.until("1 Settings")
    terminal.until("t Train")
    assert b"No training yet" not in terminal.received, "the pane beside it"


@pytest.mark.alone
def test_the_first_frame_comes_long_before_torch_could_be_imported(open_terminal):
    def import_torch():
        start = time.monotonic()
        subprocess.run([sys.executable, "-c", "import torch"], check=True)
        return time.monotonic() - start

    def first_frame():
        terminal = open_terminal("--data", "synthetic")
        terminal.until("1 Settings")
        seconds = time.monotonic() - terminal.started
        terminal.close()
        return seconds

    assert min(first_frame() for _ in range(3)) <= 0.4 * min(import_torch() for _ in range(3))
