"""Folders that cannot be loaded are refused in a sentence that says why."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from cifar_tui.engine.errors import DataUnavailableError
from tests.engine.data.folders import load


def assert_refused(root: Path, pattern: str) -> None:
    with pytest.raises(DataUnavailableError, match=pattern) as caught:
        load(root)
    assert caught.value.exit_code == 3


def test_missing_folder(tmp_path: Path) -> None:
    assert_refused(tmp_path / "nowhere", r"no such folder: .*nowhere'; data takes")


def test_path_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert_refused(tmp_path / "file", "not a folder: ")


def test_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    assert_refused(tmp_path / "images", "has no class folder: it must contain")


@pytest.mark.parametrize("layout", ["train", ""])
def test_one_class(tmp_path: Path, picture: Callable[..., Path], layout: str) -> None:
    picture(tmp_path / "images" / layout / "cat" / "0.png")
    assert_refused(tmp_path / "images", r"only one class folder \(\w+\): it must contain")


def test_an_empty_class_that_comes_between_others_is_noticed_though_their_images_are_kept(both: Path) -> None:
    load(both)
    (both / "train" / "bee").mkdir()
    assert_refused(both, "no images of class 'bee': add images or remove its folder")


def test_an_empty_class_that_was_refused_can_be_removed(both: Path) -> None:
    (both / "train" / "bee").mkdir()
    assert_refused(both, "no images of class 'bee'")
    (both / "train" / "bee").rmdir()
    dataset = load(both)
    assert dataset.class_names == ("ape", "cat", "dog")
    assert dataset.train.targets.tolist() == [0, 0, *[1] * 5, *[2] * 5]


def test_images_without_class_folders(tmp_path: Path, picture: Callable[..., Path]) -> None:
    picture(tmp_path / "images" / "train" / "0.png")
    picture(tmp_path / "images" / "test" / "0.png")
    assert_refused(tmp_path / "images", "has no class folder: it must contain")


def test_class_without_images(both: Path) -> None:
    (both / "train" / "yak").mkdir()
    (both / "train" / "yak" / "a.png").write_bytes(b"")
    assert_refused(both, r"no images of class 'yak' .*yak/a\.png: not an image")


def test_no_images_at_all(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        (tmp_path / "images" / name).mkdir(parents=True)
        (tmp_path / "images" / name / "a.txt").write_text("text")
    assert_refused(tmp_path / "images", r"no images in its class folders.*cat/a\.txt")


def test_part_without_images(both: Path) -> None:
    for path in (both / "test").rglob("*.png"):
        path.unlink()
    assert_refused(both, "has no test images: add images to test/")


def test_unreadable_folder(both: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.scandir

    def refusing(path: Path) -> object:
        if str(path).endswith("cat"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", refusing)  # file modes do not keep root out
    assert_refused(both, r"cannot read the folder .*cat' \(Permission denied\)")


def test_a_class_folder_that_cannot_be_looked_into(both: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Path.stat

    def refusing(path: Path, **options: bool) -> os.stat_result:
        if path.name == "cat":
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, **options)

    monkeypatch.setattr(Path, "stat", refusing)  # file modes do not keep root out
    assert_refused(both, r"cannot read the folder .*cat' \(Permission denied\)")


@pytest.mark.parametrize("depth", [18, 40])
def test_a_path_that_is_too_long(both: Path, depth: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(both / "train" / "cat")
    for _ in range(depth):
        Path("d" * 230).mkdir()
        os.chdir("d" * 230)
    with pytest.raises(
        DataUnavailableError, match=r"cannot read the folder .*…d+' \(File name too long\)"
    ) as caught:
        load(both)
    assert len(str(caught.value)) < 350


def test_a_folder_that_vanishes(both: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Path.stat

    def vanishing(path: Path, **options: bool) -> os.stat_result:
        if path.name == "cat":
            raise FileNotFoundError(2, "No such file or directory", str(path))
        return real(path, **options)

    monkeypatch.setattr(Path, "stat", vanishing)
    assert_refused(both, r"no such folder: .*cat'")
