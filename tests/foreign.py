"""What somebody may put in the place of a file: each takes the path, and a file of theirs to link to."""

import contextlib
import os
import socket


def put_link(path, theirs):
    path.symlink_to(theirs)


def put_hard_link(path, theirs):
    path.hardlink_to(theirs)


def put_dangling_link(path, theirs):
    path.symlink_to(theirs.with_name("nowhere"))


def put_loop(path, _):
    path.symlink_to(path)


def put_device(path, _):
    path.symlink_to("/dev/zero")


def put_fifo(path, _):
    os.mkfifo(path)


def put_socket(path, _):
    with socket.socket(socket.AF_UNIX) as made, contextlib.chdir(path.parent):
        made.bind(path.name)  # the whole path may be too long


def put_folder(path, _):
    path.mkdir()


def put_file(path, _):
    path.write_text("theirs")


def put_huge_file(path, _):
    with path.open("wb") as file:
        file.truncate(1 << 40)


def put_noise(path, _):
    path.write_bytes(bytes(range(256)) * 20)


def put_unreadable_file(path, _):
    path.touch(mode=0)
