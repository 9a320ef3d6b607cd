"""The files that a user names: as they are, or below folders, as a folder of images is scanned."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from cifar_tui.engine.data.gather import GatheredFiles, gather_files
from cifar_tui.engine.data.registry import Progress
from cifar_tui.engine.data.scan import scan_folder
from cifar_tui.engine.errors import CancelledError


def gather(*named: Path, cancelled: bool = False) -> GatheredFiles:
    return gather_files(named, Progress(lambda _: None, lambda: cancelled))


def test_a_folder_stands_for_what_a_dataset_would_be_read_from(both: Path) -> None:
    (both / "test" / "cat" / ".hidden.png").touch()
    (both / "test" / "cat" / "Thumbs.db").touch()
    (both / "test" / "cat" / "deeper" / "__MACOSX").mkdir(parents=True)
    (both / "test" / "cat" / "deeper" / "__MACOSX" / "9.png").touch()
    (both / "test" / "cat" / "deeper" / "9.png").touch()
    (both / "test" / "cat" / "deeper" / "again").symlink_to(both / "test" / "cat")
    scanned = scan_folder(both, Progress(lambda _: None, lambda: False)).files
    found = gather(both)
    assert sorted(found.paths) == sorted(both / file.path for file in scanned)
    assert found.problems == ()
    assert gather(both / "test").paths == tuple(
        both / "test" / name
        for name in ("cat/0.png", "cat/1.png", "cat/deeper/9.png", "dog/0.png", "dog/1.png", "dog/2.png")
    ), "by folder, then by name"


def test_files_keep_the_order_they_are_named_in_and_may_be_named_twice(both: Path) -> None:
    last, first = both / "test" / "dog" / "2.png", both / "test" / "cat" / "0.png"
    assert gather(last, first, last).paths == (last, first, last)


def test_what_cannot_be_opened_is_left_out_with_its_reason(tmp_path: Path, both: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    os.mkfifo(both / "test" / "dog" / "pipe")
    (both / "test" / "dog" / "broken.png").symlink_to("nothing")
    found = gather(tmp_path / "none.png", tmp_path / "pipe", both / "test" / "dog")
    assert [path.name for path in found.paths] == ["0.png", "1.png", "2.png"]
    assert found.problems == (
        (tmp_path / "none.png", "No such file or directory"),
        (tmp_path / "pipe", "not a regular file"),
        (both / "test" / "dog" / "broken.png", "a broken link"),
        (both / "test" / "dog" / "pipe", "not a regular file"),
    )


def test_a_folder_that_is_locked_does_not_hide_its_neighbours(
    both: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked, scandir = both / "test" / "cat", os.scandir

    def refuse(path: Path) -> Iterator[os.DirEntry[str]]:  # also to root, who may read every folder
        if path == locked:
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    found = gather(both / "test")
    assert [path.parent.name for path in found.paths] == ["dog"] * 3
    assert found.problems == ((locked, "Permission denied"),)


def test_a_listing_can_be_cancelled(both: Path) -> None:
    with pytest.raises(CancelledError):
        gather(both, cancelled=True)
