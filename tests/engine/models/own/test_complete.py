"""Completing the name of a net while it is typed."""

import contextlib
import os

import pytest

from cifar_tui.engine.models.own.complete import complete_model
from tests.engine.models.own.nets import FUNCTION, VIT, write_net


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("my", "my_net.py:ViT"),
        ("my_net.py", "my_net.py:ViT"),
        ("my_net.py:", "my_net.py:ViT"),
        ("my_net.py:B", "my_net.py:Block"),
        ("my_net.py:X", None),
        ("nets/", "nets/maker.py:make_net"),
        ("nets/m", "nets/maker.py:make_net"),
        ("broken", None),
        ("gone/", None),
        ("", None),
        (" ", None),
        ("\0", None),
    ],
)
def test_a_file_and_what_is_in_it(tmp_path, typed, completed):
    write_net(tmp_path, VIT)
    write_net(tmp_path, "def f(:", "broken.py")
    write_net(tmp_path / "nets", FUNCTION, "maker.py")
    with contextlib.chdir(tmp_path):
        assert complete_model(typed) == completed


def test_a_fifo_does_not_stop_it(tmp_path):
    os.mkfifo(tmp_path / "my_net.py")
    assert complete_model(f"{tmp_path}/my_net.py:") is None
