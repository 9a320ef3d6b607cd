"""The files of a run's folder are opened as files of their own: no link is followed, no FIFO waited for."""

import os

import pytest

from cifar_tui.engine.atomic import write_atomically
from cifar_tui.engine.disk.regular import ForeignFileError, is_regular, open_regular, read_large, read_regular
from tests.foreign import (
    put_dangling_link,
    put_device,
    put_fifo,
    put_folder,
    put_link,
    put_loop,
    put_socket,
)

pytestmark = pytest.mark.timeout(20)

WRITE = os.O_RDWR | os.O_CREAT

FOREIGN = [put_link, put_dangling_link, put_loop, put_fifo, put_socket, put_folder, put_device]


@pytest.fixture
def theirs(tmp_path):
    theirs = tmp_path / "theirs"
    theirs.write_text("precious")
    return theirs


@pytest.mark.parametrize("flags", [os.O_RDONLY, WRITE, os.O_WRONLY | os.O_APPEND | os.O_CREAT])
@pytest.mark.parametrize("put", FOREIGN)
def test_what_is_no_file_of_its_own_is_refused_and_stays_as_it_is(tmp_path, theirs, put, flags):
    path = tmp_path / "file"
    put(path, theirs)
    with pytest.raises(OSError) as refused:
        open_regular(path, flags)
    assert refused.value.strerror in {"it is a symbolic link", "it is not a regular file", "it is a folder"}
    assert theirs.read_text() == "precious"
    assert sorted(os.listdir(tmp_path)) == ["file", "theirs"]
    assert not is_regular(path)


def test_a_second_name_of_a_file_is_read_but_not_written(tmp_path, theirs):
    path = tmp_path / "file"
    path.hardlink_to(theirs)
    assert read_regular(path, limit=100) == b"precious"
    with pytest.raises(ForeignFileError, match="it is linked to another file"):
        open_regular(path, WRITE)


@pytest.mark.parametrize("put", [put_link, put_dangling_link, put_loop, put_fifo, put_socket])
def test_an_atomic_write_replaces_what_is_there_and_leaves_their_file(tmp_path, theirs, put):
    path = tmp_path / "file"
    put(path, theirs)
    write_atomically(path, b"new")
    assert is_regular(path)
    assert path.read_bytes() == b"new"
    assert theirs.read_text() == "precious"
    assert sorted(os.listdir(tmp_path)) == ["file", "theirs"]


def test_a_file_of_any_size_is_refused_at_its_limit(tmp_path):
    path = tmp_path / "file"
    with path.open("wb") as file:
        file.truncate(1 << 42)
    with pytest.raises(ForeignFileError, match="more than 1,000 bytes"):
        read_regular(path, limit=1000)
    with pytest.raises(ForeignFileError, match="larger than the memory"):
        read_large(path)


def test_a_link_that_the_user_named_is_followed_but_not_to_a_fifo(tmp_path, theirs):
    (tmp_path / "link").symlink_to(theirs)
    assert read_large(tmp_path / "link", follow=True) == b"precious"
    put_fifo(tmp_path / "fifo", theirs)
    (tmp_path / "to-fifo").symlink_to("fifo")
    with pytest.raises(ForeignFileError, match="not a regular file"):
        read_large(tmp_path / "to-fifo", follow=True)
