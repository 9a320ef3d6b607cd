"""Pictures on a real terminal, and what ctrl+c leaves of the progress."""

import signal

import pytest
import torch
from PIL import Image

from cifar_tui.engine.models.registry import create_model


@pytest.fixture
def predict(open_terminal, tmp_path):
    """Opens a terminal of 100 columns in which some images are classified."""
    torch.manual_seed(0)
    torch.save(create_model("net", num_classes=3).state_dict(), tmp_path / "w.pth")
    known = ("--classes", "blue,green,red", "--set", "model=net", "--device", "cpu")
    return lambda *images: open_terminal("predict", "w.pth", *known, *images, size=(100, 24))


def test_a_picture_stands_beside_its_classes(predict, image_folder):
    terminal = predict(image_folder / "test" / "red")
    assert terminal.wait_for_exit() == 0
    terminal.until(r"red/03\.png\n▀{32}  (blue|green|red) +█[█▏▎▍▌▋▊▉]* +[0-9.]+ %\n")
    path = next(row for row, line in enumerate(terminal.screen.display) if "03.png" in line)
    with Image.open(image_folder / "test" / "red" / "03.png") as image:
        for column in (0, 9, 31):
            cell = terminal.screen.buffer[path + 1 + 3][column]
            for colour, row in ((cell.fg, 6), (cell.bg, 7)):
                shown = tuple(bytes.fromhex(colour))
                assert max(abs(a - b) for a, b in zip(shown, image.getpixel((column, row)), strict=True)) <= 2


def test_ctrl_c_leaves_neither_bar_nor_hidden_cursor(predict, tmp_path):
    (tmp_path / "large").mkdir()
    Image.new("RGB", (6000, 6000), "navy").save(tmp_path / "large" / "0.png", compress_level=1)
    for number in range(1, 99):
        (tmp_path / "large" / f"{number}.png").hardlink_to(tmp_path / "large" / "0.png")
    terminal = predict("large")
    terminal.until(r"decoding images .*\d+ of 99 images")
    terminal.press("ctrl+c")
    assert terminal.wait_for_exit() == -signal.SIGINT, "a loop in a shell ends as well"
    assert terminal.received.endswith(b"\x1b[2K\x1b[0m\x1b[?25h"), "line erased, colours reset, cursor shown"
