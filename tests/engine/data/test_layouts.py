"""Split names, class sets and file kinds: what is loaded is what `torchvision.datasets.ImageFolder` loads."""

import itertools
import re
import shutil
import unicodedata
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.datasets import ImageFolder

from cifar_tui.engine.data.dataset import Dataset, ImageSplit
from cifar_tui.engine.errors import DataUnavailableError
from tests.engine.data.folders import load, skipped

HANGUL, CAFE = "고양이", "café"

# The names on disk, the one that is trained on, validated with and tested on.
SPLITS = [
    (("train", "test"), "train", None, "test"),
    (("Train", "Test"), "Train", None, "Test"),
    (("training", "testing"), "training", None, "testing"),
    (("TRAIN", "val"), "TRAIN", None, "val"),
    (("train", "Valid"), "train", None, "Valid"),
    (("Training", "validation"), "Training", None, "validation"),
    (("train", "valid", "test"), "train", "valid", "test"),
    (("training", "VALIDATION", "Testing"), "training", "VALIDATION", "Testing"),
]
CLASSES = [
    {"cat", "dog"},
    {"B", "a", "c"},
    {"train", "test", "bus"},
    {"10", "2", "1"},
    {HANGUL, CAFE, "zebra"},
    {"a class with spaces", "[red]", "$x"},
]


def write_rgb(path: Path, value: int) -> None:
    Image.new("RGB", (32, 32), (value, 255 - value, 7)).save(path.with_suffix(".png"))


def write_grey_gif(path: Path, value: int) -> None:
    Image.new("L", (32, 32), value).save(path.with_suffix(".gif"))


def write_jpeg(path: Path, value: int) -> None:
    Image.new("RGB", (32, 32), (value, value, 7)).save(path.with_suffix(".JPG"), format="jpeg")


def write_cmyk_tiff(path: Path, value: int) -> None:
    Image.new("CMYK", (32, 32), (value, 0, 9, 0)).save(path.with_suffix(".tif"))


KINDS = [write_rgb, write_grey_gif, write_jpeg, write_cmyk_tiff]


def assert_same(split: ImageSplit, reference: ImageFolder, *, ordered: bool) -> None:
    """The images and targets are those of torchvision."""
    expected = [(np.asarray(image).transpose(2, 0, 1).tobytes(), target) for image, target in reference]
    pairs = zip(split.images, split.targets.tolist(), strict=True)
    found = [(image.numpy().tobytes(), target) for image, target in pairs]
    assert found == expected if ordered else Counter(found) == Counter(expected)


def gif_readable(path: str) -> bool:
    """torchvision's default extensions leave GIF out."""
    return not path.endswith(".txt")


@pytest.mark.parametrize("splits", SPLITS, ids=lambda case: "+".join(case[0]))
@pytest.mark.parametrize("classes", CLASSES, ids=lambda names: "-".join(sorted(names)))
def test_what_is_loaded_is_what_torchvision_loads(
    tmp_path: Path, splits: tuple[tuple[str, ...], str, str | None, str], classes: set[str]
) -> None:
    folders, train, validation, test = splits
    root, values = tmp_path / "images", itertools.cycle(range(0, 250, 3))
    for folder, name in itertools.product(folders, sorted(classes)):
        (root / folder / name).mkdir(parents=True)
        for number, write in enumerate(KINDS):
            write(root / folder / name / str(number), next(values))
        (root / folder / name / "notes.txt").write_text("no image")
    dataset = load(root)
    references = [
        ImageFolder(root / name, is_valid_file=gif_readable) for name in (train, test, validation) if name
    ]
    assert dataset.class_names == tuple(references[0].classes)
    assert_same(dataset.train, references[0], ordered=True)
    assert_same(dataset.test, references[1], ordered=False)
    if validation is None:
        assert dataset.validation is None
    else:
        assert dataset.validation is not None
        assert_same(dataset.validation, references[2], ordered=True)
    count = 4 * len(classes)
    parts = [f"{train}/ {count} images of {len(classes)} classes"]
    parts += [f"{validation}/ {count} (for validation)"] if validation else []
    used_as_test = not validation and test.lower().startswith("val")
    parts += [f"{test}/ {count}{' (used as test)' if used_as_test else ''}"]
    assert dataset.notes[0] == ", ".join([*parts, f"{len(classes) * len(folders)} files skipped"])


def fill(root: Path, picture: Callable[..., Path], *folders: str, count: int = 2) -> Path:
    for number, folder in enumerate(folders):
        for value in range(count):
            picture(root / folder / f"{value}.png", 10 * number + value)
    return root


def refusal(root: Path) -> str:
    with pytest.raises(DataUnavailableError) as caught:
        load(root)
    assert str(caught.value).isprintable()
    return str(caught.value)


@pytest.mark.parametrize(
    ("folders", "message"),
    [
        (
            ("train/a", "train/b", "test"),
            "test/' has 2 files but no class folders: put its images into test/C",
        ),
        (("Train/a", "Train/b", "Val"), "Val/' has 2 files but no class folders: put its images into Val/C"),
        (("train/a", "train/b", "test/a", "val"), "val/' has 2 files but no class folders"),
        (("train", "test/a", "test/b"), "train/' has 2 files but no class folders"),
        (("train/a", "train/b", "Train/a"), "has 'Train/' and 'train/', which mean the same split: keep one"),
        (("train/a", "val/a", "valid/b"), "has 'val/' and 'valid/', which mean the same split"),
        (("test/a", "test/b", "val/a", "val/b"), "has val/ and test/ but no train/: add train/CLASS/"),
        (("train/cat", "train/dog", "test/Cat"), "'test/Cat' and 'train/cat' in '.*' differ in case only"),
        (("train/CAT", "train/cat", "test/cat"), "'train/CAT' and 'train/cat' in '.*' differ in case only"),
        (("Straße", "STRASSE"), "'STRASSE' and 'Straße' in '.*' differ in case only"),
        (("set/a", "set/b"), r"only one class folder \(set\): did you mean '.*images/set'\?$"),
        (
            ("set/train/a", "set/test/a", "__MACOSX/set"),
            r"only one class folder \(set\): did you mean '.*/set'\?$",
        ),
    ],
)
def test_refused_in_a_sentence(
    tmp_path: Path, picture: Callable[..., Path], folders: tuple[str, ...], message: str
) -> None:
    assert re.search(message, refusal(fill(tmp_path / "images", picture, *folders)))


def test_an_empty_test_folder_is_refused(both: Path) -> None:
    shutil.rmtree(both / "test")
    (both / "test").mkdir()
    assert "test/' has no class folders" in refusal(both)


def load_noted(root: Path) -> tuple[Dataset, str]:
    dataset = load(root)
    return dataset, "\n".join([*dataset.notes, *dataset.warnings])


@pytest.mark.parametrize(
    "clutter",
    [
        "__MACOSX",
        ".ipynb_checkpoints",
        "@eaDir",
        "$RECYCLE.BIN",
        "$Recycle.Bin",
        "lost+found",
        "System Volume Information",
        "#recycle",
        "__pycache__",
    ],
)
def test_what_tools_make_is_passed_over(both: Path, picture: Callable[..., Path], clutter: str) -> None:
    for folder in (both, both / "train", both / "test", both / "train" / "cat"):
        picture(folder / clutter / "0.png", 9)
        picture(folder / clutter / "cat" / "0.png", 9)
        for name in ("Thumbs.db", "desktop.ini", "._0.png", "0.png:Zone.Identifier"):
            (folder / name).write_bytes(b"x")
    dataset, said = load_noted(both)
    assert dataset.class_names == ("ape", "cat", "dog")
    assert (len(dataset.train), len(dataset.test)) == (12, 5)
    assert skipped(dataset) == []
    assert "left out" not in said


def test_what_lies_beside_the_splits_and_classes_is_said(both: Path, picture: Callable[..., Path]) -> None:
    picture(both / "labels" / "0.png")
    picture(both / "train" / "stray.png")
    (both / "train" / "list.csv").write_text("")
    said = load_noted(both)[1]
    assert "left out beside test/ and train/: labels/" in said
    assert "left out 2 files in train/ that are in no class folder" in said


def test_a_class_that_is_named_like_a_split_is_said(tmp_path: Path, picture: Callable[..., Path]) -> None:
    dataset, said = load_noted(fill(tmp_path / "images", picture, "valid", "invalid"))
    assert dataset.class_names == ("invalid", "valid")
    assert "'valid/' has no class folders: taken for a class" in said


def test_a_class_with_folders_that_is_named_like_a_split_is_said(
    tmp_path: Path, picture: Callable[..., Path]
) -> None:
    dataset, said = load_noted(fill(tmp_path / "images", picture, "valid/a", "valid/b", "invalid"))
    assert dataset.class_names == ("invalid", "valid")
    assert "'valid/' is beside folders that are no splits: taken for a class" in said
    assert "no class folders" not in said
    nested = load(fill(tmp_path / "nested", picture, "valid/2024", "invalid/2024"))
    assert nested.class_names == ("invalid", "valid")


@pytest.mark.parametrize("name", [HANGUL, CAFE, "Å", "が"])
def test_a_name_in_either_unicode_form_is_one_class(
    tmp_path: Path, picture: Callable[..., Path], name: str
) -> None:
    nfc, nfd = (unicodedata.normalize(form, name) for form in ("NFC", "NFD"))
    assert nfc != nfd
    apart = load(fill(tmp_path / "apart", picture, f"train/{nfd}", "train/b", f"test/{nfc}", "test/b"))
    assert apart.class_names == tuple(sorted(["b", nfc]))
    assert sorted(apart.test.targets.tolist()) == sorted(apart.train.targets.tolist()) == [0, 0, 1, 1]
    root = fill(
        tmp_path / "both", picture, f"train/{nfd}", f"train/{nfc}", "train/b", "test/b", f"test/{nfd}"
    )
    together, said = load_noted(root)
    assert torch.bincount(together.train.targets).tolist() in ([2, 4], [4, 2])
    assert f"class '{nfc}' has two folders in train/, whose names differ in their Unicode form only" in said


def test_targets_do_not_depend_on_the_unicode_form(tmp_path: Path, picture: Callable[..., Path]) -> None:
    names = ["e", "f", "é", "ez"]  # "é" sorts between "e" and "f" in NFD, and last in NFC
    roots = [
        fill(tmp_path / form, picture, *(unicodedata.normalize(form, name) for name in names))
        for form in ("NFC", "NFD")
    ]
    assert load(roots[0]).class_names == load(roots[1]).class_names == ("e", "ez", "f", "é")


@pytest.mark.parametrize(
    ("folders", "said"),
    [
        (
            ("train/a", "train/b", "test/a", "test/b", "test/z"),
            (
                "class 'z' has no training images (train/): it cannot be learnt, "
                "and its 2 test images count as wrong"
            ),
        ),
        (
            ("train/a", "train/b", "train/y", "train/z", "test/a", "test/b"),
            "2 classes 'y', 'z' have no test images (test/): their accuracy is not measured",
        ),
        (
            ("train/a", "train/b", "val/a", "test/a", "test/b"),
            "class 'b' has no validation images (val/)",
        ),
        (
            ("train/a", "train/b", "Val/a"),
            "class 'b' has no test images (Val/): its accuracy is not measured",
        ),
    ],
)
def test_a_class_that_a_split_lacks_is_named(
    tmp_path: Path, picture: Callable[..., Path], folders: tuple[str, ...], said: str
) -> None:
    assert said in load(fill(tmp_path / "images", picture, *folders)).warnings


def test_a_class_whose_files_of_a_split_are_no_images_is_named(both: Path) -> None:
    for path in (both / "train" / "dog").iterdir():
        path.write_text("no image")
    assert any(line.startswith("class 'dog' has no training images") for line in load(both).warnings)


@pytest.mark.parametrize("layout", ["train", "Test", ""])
def test_a_split_that_the_program_makes_is_said(
    tmp_path: Path, picture: Callable[..., Path], layout: str
) -> None:
    root = fill(tmp_path / "images", picture, *(str(Path(layout, name)) for name in "ab"), count=6)
    where = f"{layout}/ " if layout else ""
    dataset = load(root)
    assert dataset.notes[0] == (
        f"{where}12 images of 2 classes ({len(dataset.test)} of them, chosen by the seed, used as test)"
    )


def test_class_folders_that_group_the_classes_are_named(tmp_path: Path, picture: Callable[..., Path]) -> None:
    root = tmp_path / "images"
    for part in ("train", "test"):
        for index, inner in enumerate(
            ("animals/dog", "animals/cat", "vehicles/car", "vehicles/ship", "rest")
        ):
            picture(root / part / inner / "0.png", index + 50 * (part == "test"))
        (root / part / "animals" / "about.txt").write_text("no image")
    (warning,) = [line for line in load(root).warnings if "inside" in line]
    assert warning == (
        "2 classes have their images in folders inside the class folder, read as one class each: "
        "animals (cat, dog), vehicles (car, ship); if those are the classes, move them up one folder"
    )


@pytest.mark.parametrize("inner", ["images/0.png", "0.png images/1.png more/2.png", "0.png images/1.png"])
def test_other_folders_in_class_folders_are_no_groups(
    tmp_path: Path, picture: Callable[..., Path], inner: str
) -> None:
    root = tmp_path / "images"
    for part in ("train", "test"):
        for name in ("cat", "dog"):
            for index, path in enumerate(inner.split()):
                picture(root / part / name / path, index)
    assert not [line for line in load(root).warnings if "inside" in line]
