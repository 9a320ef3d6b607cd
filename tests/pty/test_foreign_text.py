"""Names that would act on a terminal do not act on a real one."""

import os
import re

from tests.hostile import FILE_NAMES

CLASSES = ("title", "8-bit codes", "closing tags", "surrogates", "right to left")


def test_classes_and_runs_called_by_control_sequences_are_shown_literally(
    open_terminal, image_folder, tmp_path
):
    for part in ("train", "test"):
        for number, kind in enumerate(CLASSES):
            folder = image_folder / part / FILE_NAMES[kind]
            source = image_folder / part / ("red", "green", "blue")[number % 3]
            folder.mkdir()
            for file in sorted(source.iterdir())[:4]:
                (folder / file.name).write_bytes(file.read_bytes())
    (image_folder / "train" / "red" / FILE_NAMES["clear"]).write_text("no image")
    settings = ("backend=eager", "log_every=2")
    terminal = open_terminal(
        *("train", "--data", image_folder, "--epochs", 1, "--device", "cpu"),
        *(part for setting in settings for part in ("--set", setting)),
        size=(120, 40),
    )
    terminal.until("✓ done")
    terminal.until(re.escape(r"a\x1b]0;PWNED\x07"))
    (run,) = (tmp_path / "checkpoints").iterdir()
    (run / "name").write_bytes(os.fsencode(FILE_NAMES["title"]))
    terminal.press("r")
    terminal.until(r"Runs · 1")
    terminal.until(re.escape(r"a\x1b]0;PWNED\x07"))
    terminal.press("escape", "q")
    assert terminal.wait_for_exit() == 0
    assert terminal.left_clean()
    received = bytes(terminal.received)
    for codes in (b"\x1b]0;PWNED", b"\x9d0;PWNED", "\x9d0;PWNED".encode(), "\u202egnp".encode(), b"\xff"):
        assert codes not in received
    assert received.decode(), "strict UTF-8"
