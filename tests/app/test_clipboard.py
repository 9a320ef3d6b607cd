"""What is copied reaches the terminal that tmux runs in, too."""

import base64

import pytest

from cifar_tui.app.safe import SafeApp

PATH = "/images/test/cat/0001.png"


@pytest.mark.parametrize("in_tmux", [False, True])
async def test_inside_tmux_the_sequence_is_passed_through_as_well(in_tmux, monkeypatch):
    monkeypatch.setenv("TMUX", "/tmp/tmux-0/default,1,0" if in_tmux else "")
    written = []
    app = SafeApp()
    async with app.run_test():
        monkeypatch.setattr(app._driver, "write", written.append)
        app.copy_to_clipboard(PATH)
        monkeypatch.undo()
    plain = f"\x1b]52;c;{base64.b64encode(PATH.encode()).decode()}\a"
    inside = plain.replace("\x1b", "\x1b\x1b")
    assert [data for data in written if "52;c;" in data] == [
        plain,
        *([f"\x1bPtmux;{inside}\x1b\\"] if in_tmux else []),
    ]
