"""`write_atomically`: the old content or the new one, never a part."""

import os
import stat

import pytest

from cifar_tui.engine.atomic import write_atomically, write_text_atomically


def test_the_new_content_replaces_the_old(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    write_text_atomically(path, "new")
    assert path.read_text() == "new"
    assert os.listdir(tmp_path) == ["file"]


def test_a_failed_write_leaves_the_old_content_and_nothing_else(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")

    def fail(file):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        write_atomically(path, fail)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]


def test_the_file_has_the_permissions_of_an_ordinary_one(tmp_path):
    ordinary = tmp_path / "ordinary"
    ordinary.touch()
    write_text_atomically(tmp_path / "file", "text")
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == stat.S_IMODE(ordinary.stat().st_mode)


def test_a_reader_never_sees_a_part(tmp_path):
    path = tmp_path / "file"
    write_text_atomically(path, "old")

    def look_while_writing(file):
        file.write(b"new")
        file.flush()
        assert path.read_text() == "old"

    write_atomically(path, look_while_writing)
    assert path.read_text() == "new"
